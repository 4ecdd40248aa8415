"""The suites beside ODinW and its miniature, a module each; :data:`LOADERS` says who makes their tasks."""

from odinw_bench.datasets.suites.table import LOADERS

__all__ = ["LOADERS"]
