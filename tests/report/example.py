"""Make a committed example: ``python -m tests.report.example RESULTS [NAME]`` copies what is worth keeping.

All records with their prompts and histories, of the predictions those of :data:`KEPT` (a megabyte each), no weights;
of searches what was found, not the study itself. NAME is ``example`` (the miniature) or ``example-photos``.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from odinw_bench.runs.record import find_records

ROOT = Path(__file__).resolve().parents[2]
RESULTS, REPORT = ROOT / "results" / "example", ROOT / "reports" / "example"
SEARCHED = {"search.json", "best.yaml"}
KEPT = {("glip-nano", "prompt", "5", 3), ("glip-nano", "manual", "0", 3)}
"""Model, mode, shots and seed of the runs whose predictions are kept: for the gallery, and to be computed again."""


def copy(source: Path, target: Path) -> int:
    """Copy the records below a folder; returns how many."""
    shutil.rmtree(target, ignore_errors=True)
    count = 0
    for folder, record in find_records(source):
        spec = record["spec"]
        names = {"run.json", "prompt.json", "history.jsonl"}
        if (spec["model"], spec["mode"], str(spec["shots"]), spec["seed"]) in KEPT:
            names.add("predictions.json")
        place = target / folder.relative_to(source)
        place.mkdir(parents=True)
        for name in sorted(names):
            if (folder / name).is_file():
                shutil.copyfile(folder / name, place / name)
        count += 1
    for found in sorted(source.glob("search/**/search.json")):
        place = target / found.parent.relative_to(source)
        place.mkdir(parents=True)
        for name in sorted(SEARCHED):
            if (found.parent / name).is_file():
                shutil.copyfile(found.parent / name, place / name)
    return count


if __name__ == "__main__":
    place = RESULTS.with_name(sys.argv[2]) if len(sys.argv) > 2 else RESULTS
    print(copy(Path(sys.argv[1]), place), "records in", place)
