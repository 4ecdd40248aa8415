"""What a detector costs on this machine: time by stage, memory, operations, with fusion and without."""

from odinw_bench.profiling.measure import ProfileSettings, profile
from odinw_bench.profiling.suite import profile_all

__all__ = ["ProfileSettings", "profile", "profile_all"]
