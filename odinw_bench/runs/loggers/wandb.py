"""Weights & Biases, or its files alone with ``WANDB_MODE=offline``."""

from __future__ import annotations

from collections.abc import Mapping

from odinw_bench.runs.loggers.base import PROJECT, LoggedRun


class WandbLogger:
    """See :class:`~odinw_bench.runs.loggers.base.RunLogger`."""

    def __init__(self, run: LoggedRun) -> None:
        import wandb

        run.folder.mkdir(parents=True, exist_ok=True)
        self.run = wandb.init(
            project=PROJECT,
            name=run.name,
            group=run.group,
            id=run.digest[:32],
            resume="allow",  # a run that was interrupted goes on under the same id
            config=dict(run.config),
            dir=str(run.folder),
        )

    def write(self, values: Mapping[str, float], epoch: int) -> None:
        """See :class:`~odinw_bench.runs.loggers.base.RunLogger`."""
        self.run.log({"epoch": epoch, **values}, step=epoch)

    def end(self, values: Mapping[str, float], error: str | None) -> None:
        """See :class:`~odinw_bench.runs.loggers.base.RunLogger`."""
        self.run.summary.update(dict(values) if error is None else {**values, "error": error})
        self.run.finish(exit_code=0 if error is None else 1)
