"""The runs on sentences: recall of phrases and precision of expressions, with intervals, by type, beside published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from odinw_bench.metrics.published import PublishedRefexp, published_refexp
from odinw_bench.report.document import Cell, Column, Section, Table, number_cell, text_cell
from odinw_bench.report.evaluations import CONFIG, Found, grouped, made_by, metrics_table
from odinw_bench.runs.record import RunRecord

_REFEXP_SUITES = ("refcoco", "refcoco+", "refcocog")


def flickr_section(key: str, found: Found) -> Section:
    """Tables of the runs with the evaluation ``flickr``."""
    about = (
        "A phrase is found at k if one of its first k boxes overlaps one of its true boxes by half or more (any box), "
        "or the one box around them all (merged). The interval is of a bootstrap over the images."
    )
    tables = [metrics_table(key, found), _intervals(key, found), _by_type(key, found), made_by(key, found)]
    return Section(f"evaluation-{key}", "Phrase grounding", text=[about], tables=[one for one in tables if one])


def refexp_section(key: str, found: Found) -> Section:
    """Tables of the runs with the evaluation ``refexp``; published numbers where there are runs on real data."""
    about = (
        "An expression is found at k if one of its k best boxes overlaps the object meant by half or more; P@1_giou "
        "asks for the generalised IoU, P@1_head takes the score of the head noun phrase in place of the whole "
        "expression. GLIP's authors publish no number and no rule from logits to boxes; this one is ours."
    )
    tables = [metrics_table(key, found), _intervals(key, found), _by_type(key, found)]
    if any(run.record.spec.suite in _REFEXP_SUITES for run in found):
        tables.append(_published(key, published_refexp()))
    tables.append(made_by(key, found))
    return Section(f"evaluation-{key}", "Referring expressions", text=[about], tables=[one for one in tables if one])


def _single(found: Found) -> Mapping[tuple[str, ...], RunRecord]:
    """The newest run of each configuration: nothing is tuned, so there is one."""
    return {config: records[-1] for config, records in grouped(found).items()}


def _intervals(key: str, found: Found) -> Table | None:
    rows: list[Sequence[Cell]] = []
    headline = found[0].record.headline
    for config, record in _single(found).items():
        interval = record.metrics.get(f"{headline}_interval")
        if isinstance(interval, Mapping):
            ends = [number_cell(interval.get(end)) for end in ("low", "high")]
            rows.append([*map(text_cell, config), number_cell(record.result), *ends])
    columns = [*map(Column, CONFIG), *(Column(text, numeric=True) for text in (headline, "low", "high"))]
    return Table(f"{key}-intervals", f"{headline} with its 95 % interval", columns, rows) if rows else None


def _by_type(key: str, found: Found) -> Table | None:
    headline = found[0].record.headline
    single = _single(found)
    values = {config: record.metrics.get(f"{headline}_by_type") for config, record in single.items()}
    known = {config: value for config, value in values.items() if isinstance(value, Mapping)}
    kinds = sorted({kind for value in known.values() for kind in value})
    rows = [
        [*map(text_cell, config), *(number_cell(value.get(kind)) for kind in kinds)] for config, value in known.items()
    ]
    columns = [*map(Column, CONFIG), *(Column(kind, numeric=True) for kind in kinds)]
    return Table(f"{key}-types", f"{headline} by type", columns, rows) if rows else None


def _published(key: str, lines: Sequence[PublishedRefexp]) -> Table:
    rows = [
        [
            text_cell(line.suite),
            text_cell(line.split),
            text_cell(line.model),
            number_cell(line.value, 2, hint=f"published: {line.source}", kind="published"),
            text_cell(line.source),
        ]
        for line in lines
    ]
    columns = [Column("suite"), Column("split"), Column("model"), Column("P@1, published", numeric=True)]
    return Table(f"{key}-published", "Published, not measured here", [*columns, Column("source")], rows)
