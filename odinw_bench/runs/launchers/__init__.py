"""Ways of working through many cells: in this process, in several, on a Ray cluster, under torchrun."""

from odinw_bench.runs.launchers.base import Engine, Outcome, Watcher
from odinw_bench.runs.launchers.choose import ENGINES, choose_engine, device_for, make_engine

__all__ = ["ENGINES", "Engine", "Outcome", "Watcher", "choose_engine", "device_for", "make_engine"]
