"""What the data of a task really hold, and what is wrong with them."""

from odinw_bench.datasets.checks.boxes import Counts
from odinw_bench.datasets.checks.check import Checked, Subset, check_task
from odinw_bench.datasets.checks.findings import ERRORS, Finding

__all__ = ["ERRORS", "Checked", "Counts", "Finding", "Subset", "check_task"]
