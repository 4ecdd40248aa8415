"""The GLIP paper's tables as the paper lays them out: the numbers measured here beside its own, blanks where none."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from odinw_bench.engine.protocol_files import newest_protocol
from odinw_bench.metrics.published import paper_tables
from odinw_bench.report.averages import Config, Suite, average
from odinw_bench.report.document import NOTHING, Cell, Column, Section, Table, listed, number_cell, text_cell
from odinw_bench.report.load import Runs, rows_of
from odinw_bench.report.other_runs import OtherRun
from odinw_bench.report.published import AS_PUBLISHED, published_mean

_LVIS = ("APr", "APc", "APf", "AP")
_FLICKR = ("R@1", "R@5", "R@10")
_SUITES = {"coco", "lvis", "lvis-minival", "flickr30k"}
"""The suites that the section is about; with runs on ODinW alone there is none."""

_ODINW = (("zero-shot", "0"), *(("full", shots) for shots in ("1", "3", "5", "10", "all")))
_RECIPE = newest_protocol("coco-glip")
"""That the paper's numbers on COCO were tuned by; the default is the recipe of ODinW."""
_LADDER = ("dyhead-t", "glip-t-a", "glip-t-b", "glip-t-c", "glip-t", "glip-l")


def paper_section(runs: Runs, suites: Sequence[Suite]) -> Section | None:
    """The paper's tables 2, 3 and 4, and its averages on ODinW; None without a run on COCO, LVIS or Flickr30k.

    Args:
        runs: all runs.
        suites: those of COCO's AP, by suite.
    """
    found = {*runs.done["suite"], *(run.record.spec.suite for run in runs.others)}
    if not found & _SUITES:
        return None
    tables = [_coco(runs), _lvis(runs), _flickr(runs)]
    odinw = next((suite for suite in suites if suite.name == "odinw13"), None)
    if odinw is not None:
        tables.append(_odinw(odinw))
    text = (
        "Percent. Columns headed 'published' are the paper's or the README's numbers and were not measured here; a "
        "dash means that nothing was measured, or published. Rows that the paper has not stand at the end. Measured "
        "with the released weights and the paper's recipe in full precision; other runs are named below a table."
    )
    return Section("paper", "The GLIP paper's tables", text=[text], tables=tables)


def _coco(runs: Runs) -> Table:
    ways = {"zero_shot": ("zero-shot", "0"), "fine_tuned": ("full", "all")}
    coco = runs.done[(runs.done["suite"] == "coco") & runs.done["mode"].isin(["zero-shot", "full"])]
    coco = coco[(coco["mode"] != "full") | (coco["shots"] == "all")]
    fits = (coco["variant"] == "") & (coco["mode"] == "zero-shot")
    fits |= coco["variant"].isin(["", _RECIPE]) & (coco["protocol"] == _RECIPE)
    usual = coco[fits]
    rows = []
    for row in _rows("coco", set(usual["model"])):
        cells = []
        for key, (mode, shots) in ways.items():
            cells += [number_cell(_ap(usual, row["preset"], mode, shots)), _published(row, row.get(key))]
        rows.append(_framed(row, cells))
    heads = [(name, "published") for name in ("zero-shot AP", "fine-tuned AP")]
    names = ("model", "variant", "mode", "shots", "protocol")
    others = {
        Config(model, variant or ("" if mode == "zero-shot" else protocol), mode, shots).name
        for model, variant, mode, shots, protocol in rows_of(coco[~fits], names)
    }
    return Table("paper-table-2", "Table 2: COCO val2017", _columns(heads), rows, _passed_over(others))


def _lvis(runs: Runs) -> Table:
    suites = {"minival": "lvis-minival", "val": "lvis"}
    usual, notes = _zero_shot(runs, suites.values())
    rows = []
    for row in _rows("lvis", {run.record.spec.model for run in usual}):
        cells = []
        for split, suite in suites.items():
            for metric in _LVIS:
                ours = _metric(usual, suite, row["preset"], metric)
                cells += [number_cell(ours), _published(row, row.get(split, {}).get(metric))]
        rows.append(_framed(row, cells))
    heads = [(f"{split} {metric}", "published") for split in suites for metric in _LVIS]
    return Table("paper-table-3", "Table 3: LVIS v1.0 zero-shot, fixed AP", _columns(heads), rows, notes)


def _flickr(runs: Runs) -> Table:
    usual, notes = _zero_shot(runs, ["flickr30k"])
    rows = []
    for row in _rows("flickr", {run.record.spec.model for run in usual}):
        cells = []
        for split in ("val", "test"):
            for metric in _FLICKR:
                ours = _metric(usual, "flickr30k", row["preset"], metric, split)
                cells += [number_cell(ours), _published(row, row.get(split, {}).get(metric))]
        rows.append(_framed(row, cells))
    heads = [(f"{split} {metric}", "published") for split in ("val", "test") for metric in _FLICKR]
    return Table("paper-table-4", "Table 4: Flickr30k Entities, any box", _columns(heads), rows, notes)


def _odinw(suite: Suite) -> Table:
    """Averages over the 13 tasks; a configuration that lacks one of them has none.

    Zero-shot is with the prompts of the paper, some of them hand-written, where such runs are; else with plain names.
    """
    rows = []
    for model in _LADDER:
        cells = []
        for mode, shots in _ODINW:
            config = Config(model, "", AS_PUBLISHED if mode == "zero-shot" else mode, shots)
            row = suite.scores.get(config) or suite.scores.get(Config(model, "", mode, shots), {})
            ours = average(row).ap if row and set(row) == set(suite.tasks) else None
            published = published_mean(config, suite.tasks)
            cells += [number_cell(ours), NOTHING if published is None else _cell(published.ap, published.source)]
        rows.append([text_cell(model), *cells])
    names = [f"{mode} {shots}" if shots != "0" else mode for mode, shots in _ODINW]
    heads = [head for name in names for head in (name, "published")]
    columns = [Column("model"), *(Column(head, numeric=True) for head in heads)]
    return Table("paper-odinw", "ODinW, mean AP over 13 tasks, full-model tuning by shots", columns, rows)


def _rows(table: str, measured: Collection[str]) -> list[Mapping[str, Any]]:
    """The paper's rows, and one for each further model that was measured."""
    published = paper_tables()[table]
    known = {row["preset"] for row in published}
    return [
        *published,
        *({"model": name, "data": "", "preset": name} for name in sorted(measured) if name not in known),
    ]


def _columns(heads: Sequence[tuple[str, str]]) -> list[Column]:
    inner = [Column(name, numeric=True) for pair in heads for name in pair]
    return [Column("model"), Column("pre-training data"), *inner, Column("source"), Column("to know")]


def _framed(row: Mapping[str, Any], cells: Sequence[Cell]) -> list[Cell]:
    source, note = str(row.get("source", "")), str(row.get("note", ""))
    return [text_cell(row["model"]), text_cell(row["data"]), *cells, text_cell(source), text_cell(note)]


def _published(row: Mapping[str, Any], value: float | None) -> Cell:
    return NOTHING if value is None else _cell(value, str(row.get("source", "")))


def _cell(value: float, source: str) -> Cell:
    return number_cell(value, hint=f"published: {source}", kind="published")


def _zero_shot(runs: Runs, suites: Collection[str]) -> tuple[list[OtherRun], list[str]]:
    """The zero-shot runs of some suites that are comparable with the paper's, and a note that names the others."""
    found = [run for run in runs.others if run.record.spec.suite in suites and run.record.spec.mode == "zero-shot"]
    others = {
        f"{run.model_name} on {run.record.spec.suite} {run.record.spec.eval_split}" for run in found if run.variant
    }
    return [run for run in found if not run.variant], _passed_over(others)


def _passed_over(names: Iterable[str]) -> list[str]:
    """A note that names the runs which stand beside no published number; none where there are no such runs."""
    found = sorted(names)
    why = "their weights, recipe, precision or data are not the paper's"
    return [f"Passed over, since {why}: {listed(found)}."] if found else []


def _ap(usual: pd.DataFrame, model: str | None, mode: str, shots: str) -> float | None:
    """Mean AP over seeds of a model's runs."""
    some = usual[(usual["model"] == model) & (usual["mode"] == mode) & (usual["shots"] == shots)]
    return None if some.empty else float(some["AP"].mean())


def _metric(
    usual: Iterable[OtherRun], suite: str, model: str | None, metric: str, split: str | None = None
) -> float | None:
    """A metric of a model's newest run on a suite; of any split for None."""
    some = [
        run.record
        for run in usual
        if (run.record.spec.suite, run.record.spec.model) == (suite, model)
        and split in (None, run.record.spec.eval_split)
    ]
    newest = max(some, key=lambda record: str(record.get("finished") or ""), default=None)
    return None if newest is None else newest.number(metric)
