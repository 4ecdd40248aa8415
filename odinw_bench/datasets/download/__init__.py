"""Getting the data of a task: the official zips from the hub, or Roboflow's exports."""

from odinw_bench.datasets.download.fetch import SOURCES, Downloaded, SourceName, download_task

__all__ = ["SOURCES", "Downloaded", "SourceName", "download_task"]
