"""Trackio: a local database, and a dashboard with ``trackio show``."""

from __future__ import annotations

from collections.abc import Mapping

from odinw_bench.runs.loggers.base import PROJECT, LoggedRun


class TrackioLogger:
    """See :class:`~odinw_bench.runs.loggers.base.RunLogger`."""

    def __init__(self, run: LoggedRun) -> None:
        import trackio

        self.trackio = trackio
        trackio.init(project=PROJECT, name=run.name, config=dict(run.config))
        self.last = 0

    def write(self, values: Mapping[str, float], epoch: int) -> None:
        """See :class:`~odinw_bench.runs.loggers.base.RunLogger`."""
        self.trackio.log(dict(values), step=epoch)
        self.last = epoch

    def end(self, values: Mapping[str, float], error: str | None) -> None:
        """See :class:`~odinw_bench.runs.loggers.base.RunLogger`."""
        if values:
            self.trackio.log(dict(values), step=self.last)
        self.trackio.finish()
