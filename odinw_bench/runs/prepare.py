"""From a spec to a cell: its task, images, prompt, recipe and weights are looked up, and give the run its identity."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from glip_core.checkpoint import find_weights
from glip_core.config import get_config
from glip_core.errors import InputError
from glip_core.files import file_sha256
from odinw_bench.datasets.coco import Split
from odinw_bench.datasets.duplicates import leaked
from odinw_bench.datasets.prompts import prompt_style, prompt_to_json, task_prompt
from odinw_bench.datasets.registry import load_task
from odinw_bench.datasets.sources import few_shot_subset, open_split
from odinw_bench.datasets.task import Task
from odinw_bench.engine.recipes import check_overrides, hyperparameters
from odinw_bench.models import Adapter, find_adapter
from odinw_bench.runs.cell import Cell
from odinw_bench.runs.spec import UNTUNED, RunSpec
from odinw_bench.utils.text import shorten

OFFICIAL_SPLIT = "official"
"""In place of a split's name: the one that each task's official file evaluates."""


class SplitStore:
    """Finds tasks and opens splits; cells of one dataset that follow each other share its splits.

    Args:
        data_root: see :func:`odinw_bench.datasets.sources.open_split`.
    """

    def __init__(self, data_root: Path | str | None = None) -> None:
        self.data_root = data_root
        self._tasks: dict[tuple[str, str], Task] = {}
        self._task: tuple[str, str, Path | None] | None = None
        self._splits: dict[str, Split] = {}
        self._leaks: dict[str, int] = {}

    def task(self, dataset: str, suite: str) -> Task:
        """A task, found once; see :func:`odinw_bench.datasets.registry.load_task`."""
        key = (dataset, suite)
        if key not in self._tasks:
            self._tasks[key] = load_task(dataset, suite)
        return self._tasks[key]

    def open(self, task: Task, name: str) -> Split:
        """A whole split; see :func:`odinw_bench.datasets.sources.open_split`."""
        key = (task.suite, task.name, task.root)
        if key != self._task:
            self._task, self._splits, self._leaks = key, {}, {}
        if name not in self._splits:
            self._splits[name] = open_split(task, name, self.data_root)
        return self._splits[name]

    def leaks(self, task: Task, tested: str) -> int:
        """How many pictures of the training split are in another, byte for byte.

        Official data are taken as they are, and the record says so; one's own can be mended.

        Raises:
            InputError: there are any, and the data are the user's own.
        """
        if tested not in self._leaks:
            pairs = leaked(self.open(task, "train"), self.open(task, tested))
            if pairs and task.root is not None:
                first, second = pairs[0]
                raise InputError(
                    f"'{task.name}': {len(pairs)} pictures of 'train' are in '{tested}' too, such as {shorten(first)} "
                    f"(there {shorten(second)}); tuning on them would make the numbers worthless: take them out of one"
                )
            self._leaks[tested] = len(pairs)
        return self._leaks[tested]

    def subset(self, task: Task, name: str, spec: RunSpec) -> tuple[Split, str]:
        """The k-shot subset that a spec asks for, and how it was made."""
        return few_shot_subset(task, name, self.open(task, name), spec.shots, spec.seed, self.data_root)


def prepare(
    spec: RunSpec,
    results: Path | str = "results",
    *,
    data_root: Path | str | None = None,
    splits: SplitStore | None = None,
) -> Cell:
    """Look up everything a spec names, read the annotations, and give the run its identity.

    Args:
        spec: what the user asked for.
        results: folder of the records.
        data_root: folder of the official data.
        splits: opened splits to share between cells; its data root counts.

    Raises:
        InputError: a name, file or value that cannot be used.
    """
    splits = splits or SplitStore(data_root)
    task = splits.task(spec.dataset, spec.suite)
    style = spec.prompt_style if spec.facts.has_text else "names"  # a class head reads no prompt
    prompt = task_prompt(task, spec.mode, spec.attributes, style=style)
    if spec.eval_split == OFFICIAL_SPLIT:  # the same run as with the name of the split
        spec = replace(spec, eval_split=task.eval_split)
    train = validation = few_shot = settings = leaks = None
    if spec.mode in UNTUNED:
        check_overrides(spec.protocol_name, spec.overrides)
    else:
        settings = hyperparameters(spec.protocol_name, spec.mode, spec.shots, spec.overrides)
        if spec.facts.has_text:  # no layer of theirs starts from nothing
            settings = replace(settings, fresh_factor=1.0)
        train, few_shot = splits.subset(task, "train", spec)
        leaks = splits.leaks(task, spec.eval_split)
        if settings.few_shot_validation:
            validation, _ = splits.subset(task, task.eval_split, spec)
        else:
            validation = splits.open(task, task.eval_split)
        if not train.trainable_ids():
            raise InputError(f"the training split of '{task.name}' has no image with a usable box")
    test = splits.open(task, spec.eval_split)
    adapter = find_adapter(spec.model)
    if adapter is not None:
        weights, weights_sha256 = None, _identify(adapter, spec.weights)
    else:
        weights = find_weights(get_config(spec.model), spec.weights)
        weights_sha256 = _hash(weights)
    used = {"train": train, "validation": validation, "test": test}
    identities: dict[str, Any] = {
        "suite": task.suite,
        "dataset": task.name,
        "data": {name: split.sha256 for name, split in used.items() if split is not None},
        "weights": weights_sha256,
        "prompt": prompt_to_json(prompt),
        "hyperparameters": settings.to_json() if settings else None,
    }
    digest = spec.digest(identities)
    return Cell(
        spec=spec,
        facts=spec.facts,
        adapter=adapter,
        task=task,
        prompt=prompt,
        prompt_style=prompt_style(task, spec.mode, style, spec.attributes),
        settings=settings,
        train=train,
        validation=validation,
        test=test,
        few_shot=few_shot,
        leaks=leaks,
        weights=weights,
        weights_sha256=weights_sha256,
        digest=digest,
        folder=Path(results) / spec.folder_name(task.suite, task.name, digest),
    )


def _hash(path: Path) -> str:
    """Of the file as it is now: weights of gigabytes are not read again for every cell."""
    facts = path.stat()
    return _hash_of_version(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=64)
def _identify(adapter: type[Adapter], weights: str | None) -> str:
    """Of a third-party detector; asked once, since it may read gigabytes."""
    return adapter.identify(weights)


@lru_cache(maxsize=64)
def _hash_of_version(path: Path, _mtime: int, _size: int) -> str:
    return file_sha256(path)
