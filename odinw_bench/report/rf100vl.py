"""The runs on Roboflow100-VL: means by its seven domains, each data set, and what others publish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from odinw_bench.datasets.suites.rf100vl import DOMAINS, domain_of, entries
from odinw_bench.metrics.published import PublishedRF100VL, published_rf100vl
from odinw_bench.report.document import NOTHING, Cell, Column, Section, Table, number_cell, text_cell
from odinw_bench.report.evaluations import Found, grouped, made_by, mean
from odinw_bench.runs.record import RunRecord

NAMES = {"rf100vl": "RF100-VL", "rf20vl": "RF20-VL"}
_CONFIG = ("benchmark", "model", "mode", "track")
_Config = tuple[str, str, str, str]
_Scores = Mapping[_Config, Mapping[str, float]]


def rf100vl_section(key: str, found: Found) -> Section:
    """Tables of the runs with the evaluation ``rf100vl``."""
    scores = _scores(found)
    about = (
        "Roboflow100-VL (arXiv 2505.20612): AP is COCO's on up to 500 detections an image, in percent; a mean is over "
        "the data sets of a domain, 'all' over all data sets alike and not over the domains. The 10-shot track is "
        "on the images that the benchmark gives. A mean over some of the data sets is not the benchmark's number."
    )
    tables = [_by_domain(key, scores), _published(key), _by_dataset(key, scores), made_by(key, found)]
    return Section(f"evaluation-{key}", "Roboflow100-VL", text=[about], tables=tables)


def track(record: RunRecord) -> str:
    """The benchmark's name of what was learnt from: ``zero-shot``, ``10-shot``, ``full``; else the shots drawn here."""
    shots, made = str(record.spec.shots), record.data.get("few_shot")
    if shots == "0":
        return "zero-shot"
    if shots == "all":
        return "full"
    return f"{shots}-shot" if made == "given" else f"{shots} shots, drawn here"


def _scores(found: Found) -> _Scores:
    """Mean AP over seeds on the test split, by configuration and data set."""
    scores: dict[_Config, dict[str, float]] = {}
    for (suite, dataset, split, model, mode, *_), records in grouped(found).items():
        ap = mean([record.result for record in records])
        if split == "test" and ap is not None:
            config = (NAMES.get(suite, suite), model, mode, track(records[0]))  # one track: grouped by shots as given
            scores.setdefault(config, {})[dataset] = ap
    return dict(sorted(scores.items()))


def _by_domain(key: str, scores: _Scores) -> Table:
    whole = {
        "RF100-VL": {domain: _count(domain, twenty=False) for domain in DOMAINS},
        "RF20-VL": {domain: _count(domain, twenty=True) for domain in DOMAINS},
    }
    rows = []
    for config, row in scores.items():
        cells: list[Cell] = []
        for domain in DOMAINS:
            some = [ap for task, ap in row.items() if domain_of(task) == domain]
            cells.append(_mean_cell(some, whole.get(config[0], {}).get(domain, 0)))
        total = sum(whole.get(config[0], {}).values())
        cells += [_mean_cell(list(row.values()), total), text_cell(f"{len(row)} of {total}")]
        rows.append([*map(text_cell, config), *cells])
    columns = [
        *map(Column, _CONFIG),
        *(
            Column(domain, numeric=True, hint="mean over the data sets of the domain that were run")
            for domain in DOMAINS
        ),
        Column("all", numeric=True, hint="mean over all data sets that were run"),
        Column("data sets"),
    ]
    notes = ["A mean over fewer data sets than the domain has is marked by an asterisk."]
    return Table(f"{key}-domains", "AP by domain, in percent", columns, rows, notes)


def _count(domain: str, *, twenty: bool) -> int:
    return sum(entry.domain == domain and (entry.in_rf20 or not twenty) for entry in entries().values())


def _mean_cell(values: Sequence[float], of: int) -> Cell:
    if not values:
        return NOTHING
    made = number_cell(sum(values) / len(values))
    if len(values) == of:
        return made
    return Cell(f"{made.text}*", made.value, hint=f"mean over {len(values)} of {of} data sets", kind="partial")


def _published(key: str) -> Table:
    columns = [
        *map(Column, ("benchmark", "model")),
        *(Column(one, numeric=True) for one in ("zero-shot", "10-shot", "full")),
        *map(Column, ("source", "to know")),
    ]
    rows = [
        [text_cell(one.benchmark), text_cell(one.model), *(_printed(one, key) for key in ("0", "10", "all")),
         text_cell(one.source), text_cell(one.note)]
        for one in published_rf100vl()
    ]  # fmt: skip
    notes = ["Published by others, none of it measured here. Their means by domain were found in no public text."]
    return Table(f"{key}-published", "Published AP over all data sets, in percent", columns, rows, notes)


def _printed(one: PublishedRF100VL, shots: str) -> Cell:
    ap = one.ap.get(shots)
    return NOTHING if ap is None else number_cell(ap, hint=one.source, kind="published")


def _by_dataset(key: str, scores: _Scores) -> Table:
    configs = list(scores)
    tasks = sorted({task for row in scores.values() for task in row}, key=lambda task: (domain_of(task) or "", task))
    columns = [
        Column("data set"),
        Column("domain"),
        *(Column(" ".join(config[1:]), numeric=True, hint=config[0]) for config in configs),
    ]
    rows = [
        [text_cell(task), text_cell(domain_of(task) or ""), *(number_cell(scores[one].get(task)) for one in configs)]
        for task in tasks
    ]
    return Table(f"{key}-datasets", "AP by data set, in percent", columns, rows)
