"""Getting the data of a task: the official zips from the hub, or Roboflow's exports."""

from odinw_bench.datasets.download.fetch import Downloaded, SourceName, download_task

__all__ = ["Downloaded", "SourceName", "download_task"]
