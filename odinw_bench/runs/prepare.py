"""From a spec to a cell: its task, images, prompt, recipe and weights are looked up, and give the run its identity."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from glip_core.prompt import Prompt
from odinw_bench.datasets.picture_hashes import pictures_sha256
from odinw_bench.datasets.prompts import prompt_style, prompt_to_json, task_prompt
from odinw_bench.datasets.store import SplitStore
from odinw_bench.engine.recipes import check_overrides, hyperparameters
from odinw_bench.evaluation import COCO, evaluation_of
from odinw_bench.models import find_mode, find_model
from odinw_bench.runs.cell import Cell
from odinw_bench.runs.record import is_done, read_record
from odinw_bench.runs.spec import UNTUNED, RunSpec
from odinw_bench.utils.versions import PathVersion, path_version

OFFICIAL_SPLIT = "official"
"""In place of a split's name: the one that each task's official file evaluates."""


def prepare(
    spec: RunSpec,
    results: Path | str = "results",
    *,
    data_root: Path | str | None = None,
    splits: SplitStore | None = None,
    force: bool = False,
) -> Cell:
    """Look up everything a spec names, read the annotations, and give the run its identity.

    Args:
        spec: what the user asked for.
        results: folder of the records.
        data_root: folder of the official data.
        splits: opened splits to share between cells; its data root counts.
        force: the run is to be done again. Else a finished one counts whose digest did not cover the pictures, be it
            of schema 1 or only of what is asked again: the cell then has that digest and that folder.

    Raises:
        InputError: a name, file or value that cannot be used.
    """
    splits = splits or SplitStore(data_root)
    task = splits.task(spec.dataset, spec.suite)
    evaluation = evaluation_of(task)
    evaluation.check_mode(task, spec.mode)
    evaluation.check_model(task, spec.facts)
    if spec.eval_split == OFFICIAL_SPLIT:  # the same run as with the name of the split
        spec = replace(spec, eval_split=task.eval_split)
    if spec.eval_split != task.split_named(spec.eval_split):
        spec = replace(spec, eval_split=task.split_named(spec.eval_split))
    if not task.classes and evaluation.prompts(task):  # they are in the annotations alone
        task = replace(task, classes=splits.open(task, spec.eval_split).task_classes())
    style = spec.prompt_style if spec.facts.has_text else "names"  # a class head reads no prompt
    each_its_own = not evaluation.prompts(task)
    prompt = Prompt("", (), ()) if each_its_own else task_prompt(task, spec.mode, spec.attributes, style=style)
    selected_on = None
    train = validation = few_shot = settings = leaks = selection_leaks = None
    if spec.mode in UNTUNED:
        check_overrides(spec.protocol_name, spec.overrides)
    else:
        settings = hyperparameters(spec.protocol_name, spec.mode, spec.shots, spec.overrides, model=spec.model)
        find_mode(spec.mode).configured(settings)  # what it cannot use is reported before any work
        if spec.facts.has_text:  # no layer of theirs starts from nothing
            settings = replace(settings, fresh_factor=1.0)
        else:  # no text, and so no dropout, in their tower
            settings = replace(settings, tower_dropout=False, text_per_image=False)
        shuffled = settings.shuffled_subset
        train, few_shot = splits.subset(task, "train", spec.shots, spec.seed, shuffled=shuffled)
        leaks = splits.leaks(task, spec.eval_split, task.learnt_from(spec.shots))
        if few_shot == "given":  # a benchmark's own images are all the labels that there are
            validation, selected_on = train, few_shot
        else:
            selection_leaks = splits.selection_leaks(task, spec.eval_split)
            if settings.few_shot_validation:
                validation, selected_on = splits.subset(task, task.selection_split, spec.shots, spec.seed)
            else:
                validation = splits.open(task, task.selection_split)
        if not train.trainable_ids():
            raise InputError(f"the training split of '{task.name}' has no image with a usable box")
    test = splits.open(task, spec.eval_split)
    weights_sha256 = _identify(spec.model, spec.weights, _version(spec))
    used = {"train": train, "validation": validation, "test": test}
    identities: dict[str, Any] = {
        "suite": task.suite,
        "dataset": task.name,
        "data": {name: split.sha256 for name, split in used.items() if split is not None},
        "weights": weights_sha256,
        "prompt": prompt_to_json(prompt),
        "hyperparameters": settings.to_json() if settings else None,
    }
    if evaluation.name != COCO:  # as before there were others
        identities["evaluation"] = evaluation.identity(task)
    retained = splits.retained.of(spec.retention, task) if spec.retention else ()
    asked = {"retention": [one.identity for one in retained]} if retained else {}
    asked_before = {"retention": [one.identity_without_pictures for one in retained]} if retained else {}
    pictures = {name: found for name, split in used.items() if split and (found := pictures_sha256(split)) is not None}
    seen = {"pictures": pictures} if pictures else {}

    def place(known: dict[str, Any]) -> tuple[str, Path]:
        digest = spec.digest(known)
        return digest, Path(results) / spec.folder_name(task.suite, task.name, digest)

    digest, folder = place(identities | asked | seen)
    if not force and not is_done(folder):
        for known, counts in (
            *([(identities | asked_before | seen, is_done)] if asked != asked_before else []),
            *([(identities | asked_before, _is_of_schema_1)] if seen else []),
        ):
            earlier, candidate = place(known)
            if counts(candidate):
                digest, folder = earlier, candidate
                break
    return Cell(
        spec=spec,
        facts=spec.facts,
        task=task,
        prompt=prompt,
        prompt_style=prompt_style(task, spec.mode, style, spec.attributes),
        settings=settings,
        train=train,
        validation=validation,
        test=test,
        few_shot=few_shot,
        few_shot_validation=selected_on,
        leaks=leaks,
        selection_leaks=selection_leaks,
        weights=spec.weights,
        weights_sha256=weights_sha256,
        pictures_sha256=pictures,
        digest=digest,
        folder=folder,
        retained=retained,
    )


def _is_of_schema_1(folder: Path) -> bool:
    """Whether a folder holds a finished run of the time when digests did not cover the pictures."""
    try:
        record = read_record(folder)
    except InputError:
        return False
    return record.is_done and not record.is_sealed


@lru_cache(maxsize=64)
def _identify(model: str, weights: str | None, _version: tuple[PathVersion, ...]) -> str:
    """The hash of a model's weights; not computed for every cell, since it may take reading gigabytes.

    Raises:
        InputError: the weights are a file that is no checkpoint: said once, before any run.
    """
    if weights is not None and Path(weights).is_file():
        from glip_core.checkpoint.reading import check_checkpoint  # brings torch

        check_checkpoint(weights)
    return find_model(model).identify(weights)


def _version(spec: RunSpec) -> tuple[PathVersion, ...]:
    """What tells whether the files that a model's name (``hf:FOLDER``, ``onnx:FILE``) and weights say are the same."""
    _, _, source = spec.model.partition(":")
    return tuple(path_version(path) for path in (source, spec.weights) if path)
