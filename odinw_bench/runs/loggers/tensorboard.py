"""TensorBoard: event files below ``RESULTS/logs/tensorboard``."""

from __future__ import annotations

from collections.abc import Mapping

from odinw_bench.runs.loggers.base import LoggedRun


class TensorBoardLogger:
    """See :class:`~odinw_bench.runs.loggers.base.RunLogger`. ``tensorboard --logdir RESULTS/logs/tensorboard``."""

    def __init__(self, run: LoggedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(run.folder / run.name))
        self.writer.add_text("config", "\n".join(f"    {name}: {value}" for name, value in run.config.items()))
        self.last = 0

    def write(self, values: Mapping[str, float], epoch: int) -> None:
        """See :class:`~odinw_bench.runs.loggers.base.RunLogger`."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, epoch)
        self.writer.flush()  # who looks on sees each epoch
        self.last = epoch

    def end(self, values: Mapping[str, float], error: str | None) -> None:
        """See :class:`~odinw_bench.runs.loggers.base.RunLogger`."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, self.last)
        if error is not None:
            self.writer.add_text("error", error)
        self.writer.close()
