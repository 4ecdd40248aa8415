"""The commands that are killed: how each begins, what of it is finished, and what it must end with."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.cli.conftest import write_dataset

from .moments import ends_well
from .program import leftovers, numbers, records

SAVE_EVERY = 4
"""Steps between the checkpoints of a pre-training that is killed; the program's 200 would take too long."""

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Command:
    """One of the commands.

    Attributes:
        name: in the table.
        arguments: of the program.
        needs: files of the workshop that a folder begins with.
        finished: what is finished in a folder, each with what tells that it was not done again. It also checks that
            nothing half done passes for whole.
        result: what the command ends with, without times.
        share: of the kills.
        warm: called in a fork before the work; None: a process of its own, because the command starts others.
    """

    name: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...]
    finished: Callable[[Path], Facts]
    result: Callable[[Path], Facts]
    share: float
    warm: Callable[[], None] | None = lambda: None

    def begin(self, workshop: Path, folder: Path) -> None:
        """Make a folder with what the command needs."""
        folder.mkdir(parents=True)
        for name in self.needs:
            source = workshop / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)


def make_workshop(folder: Path) -> None:
    """A small data set."""
    write_dataset(folder / "pets")


def _run_finished(folder: Path) -> Facts:
    return {place: record["started"] for place, record in records(folder / "results").items()}


def _run_result(folder: Path) -> Facts:
    """Metrics, predictions, tuned weights and losses; nothing is left over."""
    assert leftovers(folder / "results") == []
    found = records(folder / "results")
    measured = numbers(found)
    return {
        place: [measured[place], _hashes(folder / "results" / place), _losses(folder / "results" / place)]
        for place in found
    }


def _hashes(place: Path) -> dict[str, str]:
    files = (path for path in sorted(place.iterdir()) if path.name not in ("run.json", "history.jsonl"))
    return {path.name: _sha(path) for path in files}


def _losses(place: Path) -> list[dict[str, Any]]:
    path = place / "history.jsonl"
    lines = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _search_finished(folder: Path) -> Facts:
    """The finished trials, by study, and how long each took."""
    from optuna.trial import TrialState

    from odinw_bench.search.study import open_storage

    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    found = {}
    for journal in (folder / "results").rglob("study.journal"):
        storage = open_storage(None, journal.parent)
        for study in storage.get_all_studies():
            for trial in storage.get_all_trials(study._study_id, states=ended):
                name = f"{journal.parent.name} {study.study_name} {trial.number}"
                found[name] = [trial.value, trial.state.name, trial.user_attrs.get("seconds")]
    return found | _run_finished(folder)


def _search_result(folder: Path) -> Facts:
    found: dict[str, Any] = {}
    for path in (folder / "results").rglob("search.json"):
        found[path.parent.name] = _without_times(json.loads(path.read_text()))
    assert found
    found["files"] = sorted(str(path.relative_to(folder)) for path in (folder / "results").rglob("*"))
    return found | numbers(records(folder / "results"))


def _without_times(content: Any) -> Any:
    if isinstance(content, dict):
        times = ("seconds", "started", "finished")
        return {key: _without_times(value) for key, value in content.items() if key not in times}
    return [_without_times(one) for one in content] if isinstance(content, list) else content


def _files(folder: Path, below: str) -> dict[str, str]:
    root = folder / below
    return {str(path.relative_to(root)): _sha(path) for path in sorted(root.rglob("*")) if path.is_file()}


def _report_finished(folder: Path) -> Facts:
    for path in (folder / "report").rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            assert ends_well(path), path
    return {}


def _render_finished(folder: Path) -> Facts:
    """A split that has its annotations is whole, and its pictures are."""
    found = {}
    for path in (folder / "mini").rglob("annotations_without_background.json"):
        for image in json.loads(path.read_text())["images"]:
            name = path.parent / image["file_name"]
            found[str(name.relative_to(folder))] = _sha(name)
    return found


def _pretrain_finished(folder: Path) -> Facts:
    """The steps until the checkpoint, whose line of the curve (with its time) stays."""
    import torch

    path = folder / "out" / "last.pt"
    if not path.exists():
        return {}
    step = torch.load(path, weights_only=True)["step"]
    return {str(line["step"]): line for line in _curve(folder) if line["step"] <= step}


def _curve(folder: Path) -> list[dict[str, Any]]:
    path = folder / "out" / "curve.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _pretrain_result(folder: Path) -> Facts:
    from safetensors.torch import load_file

    weights = load_file(folder / "out" / "dyhead-nano.safetensors")
    hashes = {name: hashlib.sha256(one.numpy().tobytes()).hexdigest() for name, one in weights.items()}
    names = sorted(path.name for path in (folder / "out").iterdir())
    return {"files": names, "curve": _without_times(_curve(folder)), "weights": hashes}


def _fewer_steps() -> None:
    """A pre-training in seconds: one image a step, and a checkpoint every few."""
    from odinw_bench import pretraining
    from odinw_bench.pretraining.recipe import get_recipe
    from odinw_bench.pretraining.train import pretrain

    pretraining.get_recipe = lambda model: replace(get_recipe(model), batch=1)
    pretrain.__kwdefaults__["save_every"] = SAVE_EVERY


def all_commands() -> tuple[Command, ...]:
    """All of them."""
    data = ("--dataset", "pets", "--results", "results")
    tuned = ("run", *data, "--shots", "1", "--set", "epochs=2,repeats_per_epoch=1,min_steps_per_epoch=1,eval_every=1")
    records_of = partial(Command, needs=("pets",), finished=_run_finished, result=_run_result)
    others = partial(records_of, share=0.5, warm=None)
    search = ("search", *data, "--shots", "1", "--trials")
    search_of = partial(Command, needs=("pets",), finished=_search_finished, result=_search_result)
    two = ("--mode", "zero-shot,linear", "--quiet")
    return (
        records_of("run", (*tuned, "--mode", "zero-shot,linear,prompt", "--engine", "local"), share=20),
        search_of("search", (*search, "4"), share=9),
        search_of("search --space tuning", (*search, "2", "--space", "tuning", "--mode", "linear"), share=4),
        Command(
            "report",
            ("report", "--results", "results", "--out", "report", "--pictures", "0"),
            ("results",),
            _report_finished,
            partial(_files, below="report"),
            9,
        ),
        Command(
            "data render",
            ("data", "render", "--out", "mini", "--dataset", "raccoon"),
            (),
            _render_finished,
            partial(_files, below="mini"),
            22,
        ),
        Command(
            "pretrain",
            ("pretrain", "--model", "dyhead-nano", "--schedule", "24", "--workers", "0", "--out", "out"),
            (),
            _pretrain_finished,
            _pretrain_result,
            7,
            _fewer_steps,
        ),
        Command(
            "score",
            ("score", *data, "--predictions", "found.json", "--model-name", "other"),
            ("pets", "found.json"),
            _run_finished,
            _run_result,
            28,
        ),
        others("run --workers 2", (*tuned, *two, "--engine", "processes", "--workers", "2")),
        others("run --engine ray", (*tuned, *two, "--engine", "ray", "--workers", "1")),
    )


def after_run(workshop: Path, folder: Path) -> None:
    """Keep the records of an undisturbed run for a report, and its predictions to be scored."""
    shutil.copytree(folder / "results", workshop / "results")
    predictions = next((workshop / "results").rglob("linear-*/predictions.json"))
    shutil.copy(predictions, workshop / "found.json")


def fixed_environment() -> None:
    """One thread a process: the same sums in the same order."""
    os.environ["OMP_NUM_THREADS"] = "1"
