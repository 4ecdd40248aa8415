"""Reports out of run records: tables, figures and one page, without a model and without torch.

The way of the data, straight down: records (:mod:`~odinw_bench.report.load`) -> means
(:mod:`~odinw_bench.report.averages`) -> sections of a document -> files (:mod:`~odinw_bench.report.build`).
"""

from odinw_bench.report.build import ReportSettings, build_report

__all__ = ["ReportSettings", "build_report"]
