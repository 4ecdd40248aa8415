"""From a spec's names to what they stand for: task, images, prompt, recipe, weights, and the run's identity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from glip_core import InputError, Prompt
from glip_core.checkpoint import find_weights
from glip_core.config import get_config
from odinw_bench.datasets.coco import Split
from odinw_bench.datasets.duplicates import leaked
from odinw_bench.datasets.prompts import prompt_to_json, task_prompt
from odinw_bench.datasets.registry import load_task
from odinw_bench.datasets.sources import few_shot_subset, open_split
from odinw_bench.datasets.task import Task
from odinw_bench.engine.recipes import Hyperparameters, check_overrides, hyperparameters
from odinw_bench.models import find_adapter, model_facts
from odinw_bench.runs.spec import UNTUNED, RunSpec
from odinw_bench.utils.io import sha256_file, shorten


@dataclass(frozen=True)
class Prepared:
    """A spec whose names have been looked up: everything but the work itself.

    Attributes:
        spec: the cell.
        task: its dataset.
        prompt: its classes as the model is given them.
        settings: hyper-parameters, None where nothing is tuned.
        train: images to learn from; None where nothing is tuned.
        validation: images to select on; None where nothing is tuned.
        test: images to report on.
        leaks: pictures of the training split that are in the test split too; None where nothing is tuned.
        few_shot: how the training subset was made, ``official-file`` or ``rule``; None where nothing is tuned.
        weights: the weights' file; None for a detector of others.
        weights_sha256: its hash.
        digest: of everything that can change the numbers.
        folder: of the record.
    """

    spec: RunSpec
    task: Task
    prompt: Prompt
    settings: Hyperparameters | None
    train: Split | None
    validation: Split | None
    test: Split
    few_shot: str | None
    leaks: int | None
    weights: Path | None
    weights_sha256: str
    digest: str
    folder: Path


class SplitStore:
    """Opens splits, and keeps those of one task: cells of one dataset that follow each other share them.

    Args:
        data_root: see :func:`odinw_bench.datasets.sources.open_split`.
    """

    def __init__(self, data_root: Path | str | None = None) -> None:
        self.data_root = data_root
        self._task: tuple[str, str, Path | None] | None = None
        self._splits: dict[str, Split] = {}
        self._leaks: dict[str, int] = {}

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
) -> Prepared:
    """Look up everything a spec names, read the annotations, and give the run its identity.

    Args:
        spec: the cell.
        results: folder of the records.
        data_root: folder of the official data.
        splits: opened splits to share between cells; its data root counts.

    Raises:
        InputError: a name, file or value that cannot be used.
    """
    splits = splits or SplitStore(data_root)
    task = load_task(spec.dataset, spec.suite)
    prompt = task_prompt(task, spec.mode, spec.attributes)
    train = validation = few_shot = settings = leaks = None
    if spec.mode in UNTUNED:
        check_overrides(spec.protocol_name, spec.overrides)
    else:
        settings = hyperparameters(spec.protocol_name, spec.mode, spec.shots, spec.overrides)
        if model_facts(spec.model).has_text:  # no layer of theirs starts from nothing
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
    weights = None if adapter is not None else find_weights(get_config(spec.model), spec.weights)
    weights_sha256 = _hash(weights) if weights is not None else _identify(spec.model, spec.weights)
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
    return Prepared(
        spec=spec,
        task=task,
        prompt=prompt,
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
def _identify(model: str, weights: str | None) -> str:
    """Of a detector of others; asked once, since it may read gigabytes."""
    adapter = find_adapter(model)
    assert adapter is not None
    return adapter.identify(weights)


@lru_cache(maxsize=64)
def _hash_of_version(path: Path, _mtime: int, _size: int) -> str:
    return sha256_file(path)
