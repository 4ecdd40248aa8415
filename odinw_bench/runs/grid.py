"""Grids: every combination of some models, datasets, modes, shots and seeds, and their form as a file."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from glip_core.errors import InputError
from odinw_bench.datasets.names import identity
from odinw_bench.datasets.registry import list_tasks
from odinw_bench.datasets.task import PromptStyle, Task
from odinw_bench.engine.recipes import OF_A_MODE, current_name
from odinw_bench.evaluation import evaluation_of
from odinw_bench.models import find_mode, model_facts
from odinw_bench.runs.spec import MODES, UNTUNED, RunSpec, Shots
from odinw_bench.utils.io import canonical_json


@dataclass(frozen=True)
class Grid:
    """What a grid is made of, named as the long options of ``odinw-bench run``.

    Attributes:
        model: detectors.
        suite: of all datasets.
        dataset: tasks, paths of COCO folders, or ``all``.
        mode: tuning modes, or ``all``.
        shots: images per class.
        seed: of subset and training.
        set: hyper-parameters that differ from the protocol's.
        protocol, weights, attributes, precision, eval_split, prompt_style, retention: see
            :class:`~odinw_bench.runs.spec.RunSpec`.
    """

    model: Sequence[str]
    suite: str
    dataset: Sequence[str]
    mode: Sequence[str]
    shots: Sequence[Shots]
    seed: Sequence[int]
    protocol: str | None = None
    weights: str | None = None
    attributes: str | None = None
    set: Mapping[str, Any] = field(default_factory=dict)
    precision: str = "fp32"
    eval_split: str = "test"
    prompt_style: PromptStyle | None = None
    retention: Sequence[str] = ()

    def listed(self) -> Grid:
        """The same with the names that ``all`` stands for.

        Raises:
            InputError: there is no such suite.
        """
        datasets = list_tasks(self.suite) if "all" in self.dataset else list(self.dataset)
        modes = list(MODES) if "all" in self.mode else list(self.mode)
        return replace(self, dataset=datasets, mode=modes)

    def expand(self, find_task: Callable[[str, str], Task]) -> tuple[list[RunSpec], list[str]]:
        """All cells, and notes on what was left out.

        Args:
            find_task: from a dataset and a suite to the task.

        Raises:
            InputError: see :func:`expand_grid`.
        """
        grid = self.listed()
        same: dict[str, Any] = {"protocol": grid.protocol, "weights": grid.weights, "attributes": grid.attributes}
        same |= {"overrides": grid.set, "precision": grid.precision, "eval_split": grid.eval_split}
        same |= {"prompt_style": grid.prompt_style, "retention": tuple(grid.retention)}
        specs, notes = expand_grid(
            models=grid.model,
            suite=grid.suite,
            datasets=grid.dataset,
            modes=grid.mode,
            shots=grid.shots,
            seeds=grid.seed,
            base=same,
        )
        specs, refused = allowed(each_once(specs, find_task), find_task)
        notes += refused
        kept, unwritten = with_hand_written(specs, find_task)
        if not unwritten or not kept:  # asked for alone, it is an error that says what to do
            return specs, notes
        return kept, [*notes, f"mode 'manual' on {', '.join(unwritten)}: no hand-written prompt (see --attributes)"]

    def to_json(self) -> dict[str, Any]:
        """The grid as a file for ``odinw-bench run --config`` holds it; what is not given is left out."""
        grid = self.listed()
        return {
            name: dict(value) if isinstance(value, Mapping) else value if isinstance(value, str) else list(value)
            for name, value in vars(grid).items()
            if value
        }


class NothingLeftError(InputError):
    """Each of a grid's names is known, but none of its combinations can be."""


def each_once(specs: Sequence[RunSpec], find_task: Callable[[str, str], Task]) -> list[RunSpec]:
    """The cells without those of a data set that was named before in another spelling."""
    first: dict[tuple[str, ...], str] = {}
    again: dict[str, bool] = {}
    for spec in specs:
        if spec.dataset not in again:
            try:
                key = identity(find_task(spec.dataset, spec.suite))
            except InputError:
                key = ("unknown", spec.dataset)  # whoever prepares the cell says what is wrong
            again[spec.dataset] = first.setdefault(key, spec.dataset) != spec.dataset
    return [spec for spec in specs if not again[spec.dataset]]


def allowed(specs: Sequence[RunSpec], find_task: Callable[[str, str], Task]) -> tuple[list[RunSpec], list[str]]:
    """The cells without those in modes that their task's evaluation is not for, and why; all, if none would be left."""
    kept, notes = [], []
    for spec in specs:
        try:
            task = find_task(spec.dataset, spec.suite)
        except InputError:  # whoever prepares the cell says what is wrong
            kept.append(spec)
            continue
        try:
            evaluation_of(task).check_mode(task, spec.mode)
            kept.append(spec)
        except InputError as error:
            notes.append(str(error))
    return (kept, list(dict.fromkeys(notes))) if kept else (list(specs), [])


def with_hand_written(
    specs: Sequence[RunSpec], find_task: Callable[[str, str], Task]
) -> tuple[list[RunSpec], list[str]]:
    """The cells without those of ``manual`` on tasks that nobody wrote a prompt for, and the names of these tasks."""
    unwritten: dict[str, bool] = {}
    for spec in specs:
        if spec.mode == "manual" and spec.attributes is None and spec.dataset not in unwritten:
            try:
                unwritten[spec.dataset] = not find_task(spec.dataset, spec.suite).has_manual
            except InputError:
                unwritten[spec.dataset] = False  # whoever prepares the cell says what is wrong
    missing = [name for name, bare in unwritten.items() if bare]
    return [spec for spec in specs if spec.mode != "manual" or spec.dataset not in missing], missing


def expand_grid(
    *,
    models: Sequence[str],
    suite: str,
    datasets: Sequence[str],
    modes: Sequence[str],
    shots: Sequence[Shots],
    seeds: Sequence[int],
    base: Mapping[str, Any] | None = None,
) -> tuple[list[RunSpec], list[str]]:
    """All cells of a grid, datasets innermost, and notes on what was left out.

    A mode that tunes nothing gives one cell per model and dataset, whatever shots and seeds are asked for. In a grid of
    several models or modes, combinations that cannot be (a class head without prompts, tuning on 0 shots) are left
    out with a note; asked for alone they are errors. Likewise hyper-parameters that a mode does not read: they would
    make another run of the same training.

    Args:
        models: detectors.
        suite: of all datasets.
        datasets: tasks or folders.
        modes: tuning modes.
        shots: images per class.
        seeds: of subset and training.
        base: other fields of the specs, the same for all; ``attributes`` goes to the ``manual`` cells alone unless
            all prompts are written ones.

    Raises:
        NothingLeftError: models and modes are known, but no combination can be.
        InputError: an unknown model or mode, or another unusable value.
    """
    cells: dict[bytes, RunSpec] = {}
    notes: list[str] = []
    alone = len(models) == len(modes) == len(shots) == 1
    common = dict(base or {})
    written = common.get("prompt_style") == "written"
    if common.get("attributes") is not None and "manual" not in modes and not written:
        raise InputError("an attributes file is for the mode 'manual', or for --prompt-style written")
    read = _read_by(modes, common.pop("overrides", {}), notes)
    for model, mode, shot, seed in itertools.product(models, modes, shots, seeds):
        if mode in UNTUNED and seed != seeds[0]:
            continue
        fields = common | {"attributes": common.get("attributes") if mode == "manual" or written else None}
        fields["overrides"] = read.get(mode, {})  # of an unknown mode: it is refused
        try:
            blueprint = RunSpec(dataset="", model=model, suite=suite, mode=mode, shots=shot, seed=seed, **fields)
        except InputError as error:
            if not _is_known(model) or not _is_mode(mode):
                raise
            RunSpec(dataset="", mode="zero-shot", **{**fields, "attributes": None})  # a value that nothing can use
            if alone:
                raise NothingLeftError(str(error)) from error
            if str(error) not in notes:
                notes.append(str(error))
            continue
        for dataset in datasets:
            spec = replace(blueprint, dataset=dataset)
            cells.setdefault(canonical_json(spec.to_json()), spec)
    if not cells:
        if notes:
            raise NothingLeftError("; ".join(notes))
        raise InputError("the grid is empty: give at least one dataset, mode and seed")
    return list(cells.values()), notes


def _read_by(modes: Sequence[str], overrides: Mapping[str, Any], notes: list[str]) -> dict[str, Mapping[str, Any]]:
    """The hyper-parameters of each mode that there is, without those that only others read.

    Args:
        modes: of the grid.
        overrides: as given.
        notes: gets a line on what is left out.

    Raises:
        NothingLeftError: no mode of the grid reads them.
    """
    found = {name: find_mode(name) for name in modes if _is_mode(name)}
    own = [name for name in overrides if current_name(name) in OF_A_MODE]
    deaf = [name for name, mode in found.items() if own and mode.tunes and not mode.is_configurable]
    if deaf:
        text = f"{' and '.join(deaf)} {'do' if len(deaf) > 1 else 'does'} not read {', '.join(own)}"
        if not any(mode.is_configurable for mode in found.values()):
            raise NothingLeftError(f"{text}, which lora, dora and prompt+lora do")
        notes.append(f"{text}: done as without")
    rest = {name: value for name, value in overrides.items() if name not in own}
    return {name: rest if name in deaf else overrides for name in found}


def _is_mode(mode: str) -> bool:
    try:
        find_mode(mode)
    except InputError:
        return False
    return True


def _is_known(model: str) -> bool:
    try:
        model_facts(model)
    except InputError:
        return False
    return True
