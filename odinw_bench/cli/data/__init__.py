"""``odinw-bench data``: a file per verb."""

from odinw_bench.cli.data.group import app

__all__ = ["app"]
