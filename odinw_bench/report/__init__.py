"""Reports out of run records: tables, figures and one page, without a model and without torch.

The way of the data, straight down: records (:mod:`~odinw_bench.report.load`) -> means
(:mod:`~odinw_bench.report.averages`) -> sections of a document -> files (:mod:`~odinw_bench.report.build`).
"""

from odinw_bench.report.averages import Config, Score, Suite, average
from odinw_bench.report.build import ReportSettings, build_report
from odinw_bench.report.document import Cell, Column, Section, Table, number_cell, text_cell
from odinw_bench.report.tables import CONFIG_COLUMNS, config_cells

__all__ = [
    "CONFIG_COLUMNS",
    "Cell",
    "Column",
    "Config",
    "ReportSettings",
    "Score",
    "Section",
    "Suite",
    "Table",
    "average",
    "build_report",
    "config_cells",
    "number_cell",
    "text_cell",
]
