"""What a report stands on: which runs failed, which are missing, and where the numbers come from."""

from __future__ import annotations

import math
import shlex
from collections import Counter, defaultdict
from collections.abc import Sequence

import pandas as pd

from glip_core.config import PRESETS
from odinw_bench.datasets.registry import SUITES, load_task
from odinw_bench.report.averages import AS_PUBLISHED, Config, Suite, shots_rank
from odinw_bench.report.document import Cell, Column, Section, Table, listed, number_cell, text_cell
from odinw_bench.report.load import Runs
from odinw_bench.report.tables import CONFIG_COLUMNS, config_cells
from odinw_bench.runs.spec import MODES, TEXT_MODES, UNTUNED
from odinw_bench.utils.text import counted

_MOST_ERRORS = 500


def missing_section(suite: Suite) -> Section:
    """Cells of the grid that have no finished run.

    The grid is spanned by what was begun: configurations and tasks with at least one run, and all seeds that any
    tuned run of the suite has. What was not begun at all is named once.
    """
    tuned = [row for config, row in suite.scores.items() if config.mode not in UNTUNED]
    seeds = sorted({seed for row in tuned for score in row.values() for seed in score.seeds})
    tried = {*suite.measured, *suite.failed["dataset"]}
    tasks = [task for task in suite.tasks if task in tried]
    begun = _begun(suite)
    rows, cells, gaps = [], 0, 0
    for config in begun:
        row = suite.scores.get(config, {})
        wanted: list[int | None] = [None] if config.mode in UNTUNED or not seeds else [*seeds]
        lacking = {
            task: [seed for seed in wanted if task not in row or (seed is not None and seed not in row[task].seeds)]
            for task in _possible_tasks(suite, config, tasks)
        }
        cells += len(wanted) * len(lacking)
        count = sum(map(len, lacking.values()))
        gaps += count
        if count:
            lost_tasks = [task for task, lost in lacking.items() if lost]
            lost_seeds = sorted({seed for lost in lacking.values() for seed in lost if seed is not None})
            rows.append(
                [
                    *config_cells(config),
                    Cell(str(count), count),
                    text_cell(listed(lost_tasks)),
                    text_cell(listed([str(seed) for seed in lost_seeds]) or "any"),
                    text_cell(_command(suite, config, lost_tasks, lost_seeds)),
                ]
            )
    text = [
        f"Of what was begun ({counted(len(begun), 'configuration')}, {counted(len(tasks), 'task')}, seeds "
        f"{listed([str(seed) for seed in seeds]) or 'none'}), {cells - gaps} of {cells} cells are done."
    ]
    untried = [task for task in suite.tasks if task not in tried]
    if untried:
        text.append(f"Tasks without any run: {listed(untried)}.")
    absent = _absent(suite, begun)
    if absent:
        text.append(f"Configurations without any run: {'; '.join(absent)}.")
    columns = [
        *CONFIG_COLUMNS,
        Column("missing", numeric=True, hint="cells: tasks times seeds"),
        Column("tasks"),
        Column("seeds"),
        Column("to do them", hint="options of your own, such as --data-root, are left out"),
    ]
    tables = [Table(suite.key("missing"), "Missing from the grid", columns, rows, folded=True)] if rows else []
    return Section(suite.key("missing"), "What is missing", text=text, tables=tables)


def _begun(suite: Suite) -> list[Config]:
    failed = {Config(*key) for key in suite.failed[["model", "variant", "mode", "shots"]].itertuples(index=False)}
    measured = {config for config in suite.scores if config.mode != AS_PUBLISHED}
    return sorted(failed | measured, key=lambda config: config.rank)


def _possible_tasks(suite: Suite, config: Config, tasks: Sequence[str]) -> list[str]:
    """Tasks a configuration can be run on: ``manual`` needs a hand-written prompt."""
    if config.mode != "manual" or suite.base not in SUITES or "attributes " in config.variant:
        return list(tasks)
    return [task for task in tasks if load_task(task, suite.base).has_manual]


def _absent(suite: Suite, begun: Sequence[Config]) -> list[str]:
    """Models and modes of the grid with the shots that have no run at all, in words; what lacks the same, together."""
    models = list(dict.fromkeys(config.model for config in begun if not config.variant))
    modes = list(dict.fromkeys(config.mode for config in begun if config.mode in MODES))
    shots = sorted({config.shots for config in begun if config.mode not in UNTUNED}, key=shots_rank)
    made = {(config.model, config.mode, config.shots) for config in begun}
    alike = defaultdict(list)
    for model in models:
        lost = defaultdict(list)
        for mode in modes:
            if mode in TEXT_MODES and model in PRESETS and not PRESETS[model].has_text:
                continue
            wanted = ["0"] if mode in UNTUNED else shots
            lost[tuple(number for number in wanted if (model, mode, number) not in made)].append(mode)
        words = [listed(some) + _with_shots(numbers) for numbers, some in lost.items() if numbers]
        if words:
            alike["; ".join(words)].append(model)
    return [f"{listed(some)}: {words}" for words, some in alike.items()]


def _with_shots(numbers: tuple[str, ...]) -> str:
    if numbers == ("0",):
        return ""
    return f" ({', '.join(numbers)} {'shot' if numbers == ('1',) else 'shots'})"


def _command(suite: Suite, config: Config, tasks: Sequence[str], seeds: Sequence[int]) -> str:
    if config.variant or config.model not in PRESETS or config.mode not in MODES:
        return ""
    datasets = "all" if len(tasks) == len(suite.tasks) else ",".join(tasks)
    parts = ["odinw-bench", "run", "--model", config.model, "--suite", suite.base, "--dataset", datasets]
    parts += ["--mode", config.mode]
    if config.mode not in UNTUNED:
        parts += ["--shots", config.shots, *(["--seed", ",".join(map(str, seeds))] if seeds else [])]
    return shlex.join(parts)


def failed_section(suite: Suite) -> Section | None:
    """Runs that failed, with their errors."""
    if suite.failed.empty:
        return None
    columns = [*CONFIG_COLUMNS, Column("task"), Column("seed", numeric=True), Column("error")]
    columns += [Column("raised at", hint="the last line of the traceback"), Column("all of it", hint="in the results")]
    rows = []
    for run in suite.failed.head(_MOST_ERRORS).itertuples():
        config = Config(str(run.model), str(run.variant), str(run.mode), str(run.shots))
        seed = Cell(str(run.seed), float(str(run.seed)))
        rows.append(
            [
                *config_cells(config),
                text_cell(str(run.dataset)),
                seed,
                text_cell(str(run.error)[:1000]),
                text_cell(str(run.raised_at)),
                text_cell(str(run.traceback or run.folder)),
            ]
        )
    more = len(suite.failed) - len(rows)
    notes = [f"{more} more are left out."] if more else []
    table = Table(suite.key("failed"), "Runs that failed", columns, rows, notes)
    return Section(suite.key("failed"), "What failed", tables=[table])


def provenance_section(runs: Runs) -> Section:
    """Versions, hardware, seeds, hashes and protocols of all runs that count."""
    done = runs.done
    times = (
        [f"{done['started'].replace('', pd.NA).min()} to {done['finished'].replace('', pd.NA).max()}"]
        if len(done)
        else []
    )
    seconds = float(done[["tune_seconds", "test_seconds"]].sum().sum())
    text = [
        f"{len(done)} finished runs, {len(runs.failed)} failed"
        + "".join(f"; made from {span}" for span in times)
        + f"; {seconds / 3600:,.2f} hours of tuning and testing in all.",
    ]
    tables = [
        _grouped(
            done,
            "environment",
            "Versions and hardware",
            {
                "odinw_bench": "odinw-bench",
                "git_revision": "revision",
                "python": "Python",
                "torch": "torch",
                "device_name": "device",
                "threads": "threads",
            },
        ),
        _grouped(
            done, "weights", "Weights", {"model": "model", "weights_name": "given as", "weights_sha256": "sha256"}
        ),
        _grouped(
            done,
            "data",
            "Data",
            {
                "suite": "suite",
                "dataset": "task",
                "eval_split": "split",
                "test_images": "images",
                "test_sha256": "sha256 of its annotations",
            },
        ),
        _grouped(
            done[~done["mode"].isin(UNTUNED)],
            "protocols",
            "Protocols",
            {"protocol": "protocol", "mode": "mode", "shots": "shots", "hyperparameters": "hyper-parameters"},
        ),
    ]
    seeds = sorted({int(seed) for seed in done[~done["mode"].isin(UNTUNED)]["seed"]})
    if seeds:
        text.append(f"Seeds of the tuned runs: {listed([str(seed) for seed in seeds])}.")
    tables = [table for table in [*tables, _notes(runs)] if table.rows]
    return Section("provenance", "Where the numbers come from", text=text, tables=tables, folded=True)


def notes_section(runs: Runs) -> Section | None:
    """What was passed over, for a report without the tables of :func:`provenance_section`; None where nothing was."""
    table = _notes(runs)
    return Section("provenance", "What was passed over", tables=[table], folded=True) if table.rows else None


def _notes(runs: Runs) -> Table:
    rows = [[text_cell(note)] for note in runs.notes[:_MOST_ERRORS]]
    more = [f"{len(runs.notes) - len(rows)} more are left out."] if len(runs.notes) > len(rows) else []
    return Table("notes", "Doubts, and records that were passed over", [Column("note")], rows, more)


def _grouped(frame: pd.DataFrame, key: str, caption: str, names: dict[str, str]) -> Table:
    """Distinct combinations of some fields with the number of runs that have them."""
    columns = [*(Column(name) for name in names.values()), Column("runs", numeric=True)]
    found = Counter(frame[list(names)].itertuples(index=False, name=None))
    counts = dict(sorted(found.items(), key=lambda item: [_order(value) for value in item[0]]))
    rows = [[*map(_field, combination), Cell(f"{count:,}", int(count))] for combination, count in counts.items()]
    return Table(key, caption, columns, rows)


def _order(value: object) -> tuple[bool, float, str]:
    """Numbers and shots by their size, words after them; NaN last."""
    text = str(value)
    number = float(text) if text.replace(".", "", 1).isdigit() else math.inf
    return math.isinf(number), number, text


def _field(value: object) -> Cell:
    if isinstance(value, float):
        return number_cell(value, 0)
    text = str(value)
    return text_cell(text) if text else Cell("–", None)
