"""One spec -> one record."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

import glip_core
from glip_core import Detector, InputError, Prompt, checkpoint, tuning
from glip_core.config import get_config
from odinw_bench.coco import Split
from odinw_bench.environment import environment, now, peak_memory
from odinw_bench.evaluation import evaluate
from odinw_bench.features import DEFAULT_BUDGET, FeatureCache
from odinw_bench.files import sha256_file, write_json
from odinw_bench.inference import detect_split
from odinw_bench.prompts import prompt_to_json, task_prompt
from odinw_bench.protocol import Hyperparameters, hyperparameters
from odinw_bench.records import SCHEMA, is_done, read_record, write_lines, write_record, writing
from odinw_bench.sources import few_shot_subset, open_split
from odinw_bench.spec import UNTUNED, RunSpec
from odinw_bench.task import Task
from odinw_bench.tasks import load_task
from odinw_bench.training import Tuned, tune

Say = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """A spec whose names have been looked up: everything but the work itself.

    Attributes:
        spec: the cell.
        task: its dataset.
        prompt: its classes as the model is given them.
        settings: hyper-parameters, None where nothing is tuned.
        train, validation, test: the images; the first two are None where nothing is tuned.
        few_shot: how the training subset was made, ``official-file`` or ``rule``.
        weights: the weights' file.
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
    weights: Path
    digest: str
    folder: Path


def prepare(spec: RunSpec, results: Path | str = "results", *, data_root: Path | str | None = None) -> Prepared:
    """Look up everything a spec names, read the annotations, and give the run its identity.

    Raises:
        InputError: a name, file or value that cannot be used.
    """
    task = load_task(spec.dataset, spec.suite)
    prompt = task_prompt(task, spec.mode, spec.attributes)
    config = get_config(spec.model)
    tunes = spec.mode not in UNTUNED
    settings = hyperparameters(spec.protocol_name, spec.mode, spec.shots, spec.overrides) if tunes else None
    test = open_split(task, spec.eval_split, data_root)
    train = validation = None
    few_shot = None
    if settings is not None:
        train, few_shot = _subset(task, "train", spec, data_root)
        validation = open_split(task, task.eval_split, data_root)
        if settings.few_shot_validation:
            validation, _ = _subset(task, task.eval_split, spec, data_root)
        if not train.trainable_ids():
            raise InputError(f"the training split of '{task.name}' has no image with a usable box")
    weights = checkpoint.find_weights(config, spec.weights)
    splits = {"train": train, "validation": validation, spec.eval_split: test}
    identities: dict[str, Any] = {
        "weights": _file_hash(str(weights)),
        "data": {name: split.sha256 for name, split in splits.items() if split is not None},
        "hyperparameters": settings.to_json() if settings else None,
        "prompt": prompt_to_json(prompt),
    }
    digest = spec.digest(identities)
    folder = Path(results) / spec.folder_name(task.suite, task.name, digest)
    return Prepared(spec, task, prompt, settings, train, validation, test, few_shot, weights, digest, folder)


def _subset(task: Task, name: str, spec: RunSpec, data_root: Path | str | None) -> tuple[Split, str]:
    whole = open_split(task, name, data_root)
    return few_shot_subset(task, name, whole, spec.shots, spec.seed, data_root)


@lru_cache(maxsize=64)
def _file_hash(path: str) -> str:
    return sha256_file(path)


def run(
    spec: RunSpec,
    results: Path | str = "results",
    *,
    data_root: Path | str | None = None,
    device: str = "cpu",
    force: bool = False,
    cache_budget: int = DEFAULT_BUDGET,
    say: Say | None = None,
) -> dict[str, Any]:
    """Do one run, or return its record if it was done before.

    Args:
        spec: the cell.
        results: folder of the records.
        data_root: folder of the official data; see :func:`odinw_bench.sources.open_split`.
        device: ``cpu`` or ``cuda[:N]``.
        force: do it again even if it was done.
        cache_budget: bytes for frozen features.
        say: told in words what happens.

    Returns:
        The record, as ``run.json`` holds it. A run that fails leaves one with status ``failed``, and the error
        goes on.

    Raises:
        InputError: something the user gave cannot be used.
        BusyError: another process is doing this very run.
    """
    prepared = prepare(spec, results, data_root=data_root)
    return execute(prepared, device=device, force=force, cache_budget=cache_budget, say=say)


def execute(
    prepared: Prepared,
    *,
    device: str = "cpu",
    force: bool = False,
    cache_budget: int = DEFAULT_BUDGET,
    say: Say | None = None,
) -> dict[str, Any]:
    """The work of :func:`run` on a prepared spec."""
    folder = prepared.folder
    if not force and is_done(folder):
        return read_record(folder)
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "spec": prepared.spec.to_json() | {"dataset": prepared.task.name},
        "digest": prepared.digest,
        "status": "failed",
        "metrics": None,
        "cost": None,
        "data": _data_facts(prepared),
        "protocol": {
            "name": prepared.spec.protocol_name,
            "hyperparameters": prepared.settings.to_json() if prepared.settings else None,
            "validation_split": prepared.task.eval_split if prepared.settings else None,
            "eval_split": prepared.spec.eval_split,
        },
        "weights_sha256": _file_hash(str(prepared.weights)),
        "environment": environment(device),
        "started": now(),
        "finished": None,
        "error": None,
    }
    with writing(folder) as scratch:
        try:
            _work(prepared, record, scratch, device, cache_budget, say or (lambda _: None))
            record["status"] = "done"
        except Exception as error:
            record["error"] = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
            if not isinstance(error, InputError):
                (scratch / "traceback.txt").write_text(traceback.format_exc(), encoding="utf-8")
            record["finished"] = now()
            write_record(scratch, record)
            failure: Exception | None = error
        else:
            record["finished"] = now()
            write_record(scratch, record)
            failure = None
    if failure is not None:
        raise failure
    return record


def _work(prepared: Prepared, record: dict[str, Any], folder: Path, device: str, cache_budget: int, say: Say) -> None:
    spec, prompt = prepared.spec, prepared.prompt
    mode = tuning.get_mode(spec.mode)
    detector = load_detector(prepared, device)
    total = sum(p.numel() for p in detector.parameters())
    tuned: Tuned | None = None
    if prepared.settings is not None:
        assert prepared.train is not None
        assert prepared.validation is not None

        def report(line: dict[str, Any]) -> None:
            say(f"epoch {line['epoch']}: validation AP {line['validation_AP']:.1f}")

        tuned = tune(
            detector,
            mode,
            prompt,
            prepared.train,
            prepared.validation,
            prepared.settings,
            seed=spec.seed,
            precision=spec.precision,
            cache=FeatureCache(cache_budget),
            on_epoch=report,
        )
        write_lines(folder / "history.jsonl", tuned.history)
        save_file(tuning.tuned_state(detector, mode), folder / "tuned.safetensors")
    write_json(folder / "prompt.json", prompt_to_json(prompt))
    started = time.perf_counter()
    seen = [0]

    def count(images: int) -> None:
        seen[0] += images
        say(f"test {seen[0]}/{len(prepared.test)}")

    predictions = detect_split(detector, prompt, prepared.test, precision=spec.precision, on_images=count)
    seconds = time.perf_counter() - started
    write_json(folder / "predictions.json", predictions, indent=None)
    record["metrics"] = evaluate(prepared.test.annotations, predictions)
    record["cost"] = {
        "tune_seconds": round(tuned.seconds, 3) if tuned else 0.0,
        "tune_steps": tuned.steps if tuned else 0,
        "best_epoch": tuned.best_epoch if tuned else None,
        "validation_AP": tuned.best_ap if tuned else None,
        "test_seconds": round(seconds, 3),
        "images_per_second": round(len(prepared.test) / seconds, 3) if seconds > 0 else None,
        "peak_memory_bytes": peak_memory(device),
        "tuned_parameters": tuned.parameters if tuned else 0,
        "total_parameters": total,
    }


def load_detector(prepared: Prepared, device: str) -> Detector:
    """The base model of a run."""
    spec = prepared.spec
    classes = None if get_config(spec.model).has_text else len(prepared.task.classes)
    torch.manual_seed(spec.seed)  # a fresh class layer is part of the run
    detector = glip_core.load(spec.model, prepared.weights, num_classes=classes, device=device)
    if detector.config.has_text:
        detector.token_map(prepared.prompt)  # a prompt that is too long ends the run here
    return detector


def _data_facts(prepared: Prepared) -> dict[str, Any]:
    splits = {"train": prepared.train, "validation": prepared.validation, "test": prepared.test}
    return {
        "train_images": len(prepared.train) if prepared.train else 0,
        "validation_images": len(prepared.validation) if prepared.validation else 0,
        "test_images": len(prepared.test),
        "few_shot": prepared.few_shot,
        "annotations_sha256": {name: split.sha256 for name, split in splits.items() if split is not None},
    }
