"""Where runs write losses and results beside their records: TensorBoard, Weights & Biases, MLflow, Trackio, others."""

from odinw_bench.runs.loggers.base import LoggedRun, RunLogger
from odinw_bench.runs.loggers.group import NO_LOGGERS, Loggers, logging_to
from odinw_bench.runs.loggers.table import GROUP, LOGGERS, find_logger

__all__ = ["GROUP", "LOGGERS", "NO_LOGGERS", "LoggedRun", "Loggers", "RunLogger", "find_logger", "logging_to"]
