"""Make what is committed of an example out of the runs of a grid: results, report, and the model cards.

``python -m tools.make_example example [GRID]`` for the miniature, ``python -m tools.make_example example-photos [GRID]
--data-root DATA`` for the photos. GRID is the folder that the runs were written to; without it report and cards are
made again, from the committed results.

Of the records all are kept, in one compressed file. One run a data set, the best of those that :data:`SHOWN` selects,
also keeps its folder with prompt, history, predictions and the tuned prompt, for the report's gallery and for tests.
Of searches the result is kept, not the study.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glip_core import InputError
from odinw_bench.pretraining import RECIPES
from odinw_bench.pretraining.modelcard import model_card
from odinw_bench.report import ReportSettings, build_report
from odinw_bench.runs.archive import ARCHIVE, write_archive
from odinw_bench.runs.record import TUNED, RunRecord, find_records
from odinw_bench.utils.io import write_text

ROOT = Path(__file__).resolve().parents[1]
TITLES = {"example": "ODinW-Mini", "example-photos": "ODinW photos, nano models"}
SHOWN = {("glip-nano", "prompt", "5", 3), ("glip-nano", "manual", "0", 3)}
"""Model, mode, shots and seed of the runs of which one a data set is kept whole (predictions are 0.3 MB a run)."""

_SEARCH = ("search.json", "best.yaml")
_RUN = ("run.json", "prompt.json", "history.jsonl", "predictions.json", TUNED)


def keep(grid: Path, target: Path) -> int:
    """Write what is kept of a grid's results.

    Args:
        grid: folder of the runs.
        target: the folder to write, replaced as a whole.

    Returns:
        the number of records.

    Raises:
        InputError: there are no records in ``grid``, or one of the folders is the other or lies in it.
    """
    records = list(find_records(grid))
    given, replaced = grid.resolve(), target.resolve()
    if not records or given.is_relative_to(replaced) or replaced.is_relative_to(given):
        raise InputError(
            f"'{grid}' holds no grid to keep, or lies around or within '{target}', which is replaced; "
            "give the folder that 'odinw-bench run --results' wrote"
        )
    shutil.rmtree(target, ignore_errors=True)
    for folder in _shown(records):
        _copy(folder, target / folder.relative_to(grid), _RUN)
    for found in sorted(grid.glob("search/**/search.json")):
        _copy(found.parent, target / found.parent.relative_to(grid), _SEARCH)
    return write_archive(target / ARCHIVE, ((folder.relative_to(grid), record) for folder, record in records))


def _shown(records: Sequence[tuple[Path, Mapping[str, Any]]]) -> list[Path]:
    """The folder of the best selected run of each data set; among equals the first."""
    best: dict[tuple[str, str], tuple[float, Path]] = {}
    for folder, record in records:
        spec = record["spec"]
        selected = (spec["model"], spec["mode"], str(spec["shots"]), spec["seed"]) in SHOWN
        if not selected or not (folder / "predictions.json").is_file():
            continue
        place, ap = (spec["suite"], spec["dataset"]), record["metrics"]["AP"]
        if place not in best or ap > best[place][0]:
            best[place] = (ap, folder)
    return [folder for _, folder in best.values()]


def _copy(source: Path, target: Path, names: Sequence[str]) -> None:
    target.mkdir(parents=True)
    for name in names:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def card_records() -> list[RunRecord]:
    """Of the example: the numbers in the models' cards."""
    return [record for _, record in find_records(ROOT / "results" / "example")]


def _write_cards() -> None:
    records = card_records()
    for name in RECIPES:
        write_text(ROOT / "docs" / "models" / f"{name}.md", model_card(name, records))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Make what is committed of an example.")
    parser.add_argument("name", choices=sorted(TITLES))
    parser.add_argument("grid", nargs="?", type=Path, help="folder of the runs; without it: from what is committed")
    parser.add_argument("--data-root", type=Path, help="folder of the official data, for the report's pictures")
    arguments = parser.parse_args()
    results, report = ROOT / "results" / arguments.name, ROOT / "reports" / arguments.name
    try:
        if arguments.grid is not None:
            print(keep(arguments.grid, results), "records in", results)
        shutil.rmtree(report, ignore_errors=True)
        title = TITLES[arguments.name]
        build_report(ReportSettings(results, report, title=title, data_root=arguments.data_root), say=print)
        if arguments.name == "example":
            _write_cards()
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
