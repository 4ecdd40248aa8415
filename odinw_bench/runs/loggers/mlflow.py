"""MLflow, at ``MLFLOW_TRACKING_URI`` or where MLflow writes by itself."""

from __future__ import annotations

import re
from collections.abc import Mapping

from odinw_bench.runs.loggers.base import PROJECT, LoggedRun

_UNUSABLE = re.compile(r"[^\w\-. /]")
_LONGEST = 500  # characters of a parameter that every store takes


class MlflowLogger:
    """See :class:`~odinw_bench.runs.loggers.base.RunLogger`."""

    def __init__(self, run: LoggedRun) -> None:
        import mlflow

        self.mlflow = mlflow
        mlflow.set_experiment(PROJECT)
        mlflow.start_run(run_name=run.name, tags={"digest": run.digest, "group": run.group})
        mlflow.log_params({name: str(value)[:_LONGEST] for name, value in run.config.items()})

    def write(self, values: Mapping[str, float], epoch: int) -> None:
        """See :class:`~odinw_bench.runs.loggers.base.RunLogger`."""
        self.mlflow.log_metrics({_UNUSABLE.sub("_", name): value for name, value in values.items()}, step=epoch)

    def end(self, values: Mapping[str, float], error: str | None) -> None:
        """See :class:`~odinw_bench.runs.loggers.base.RunLogger`."""
        if values:
            self.mlflow.log_metrics({_UNUSABLE.sub("_", name): value for name, value in values.items()})
        if error is not None:
            self.mlflow.set_tag("error", error[:_LONGEST])
        self.mlflow.end_run("FINISHED" if error is None else "FAILED")
