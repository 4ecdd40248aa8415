"""One spec -> one record."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

import glip_core
from glip_core import Detector, InputError, tuning
from glip_core.config import get_config
from odinw_bench.caching import MEMORY_ONLY, CacheSettings
from odinw_bench.environment import environment, now, peak_memory, reset_peak_memory, threads_for
from odinw_bench.evaluation import evaluate
from odinw_bench.feature_store import make_cache
from odinw_bench.files import write_json
from odinw_bench.inference import detect_split
from odinw_bench.preparation import Prepared, prepare
from odinw_bench.prompts import prompt_to_json
from odinw_bench.records import (
    SCHEMA,
    claim,
    is_done,
    read_record,
    resume_path,
    write_lines,
    write_record,
    writing,
)
from odinw_bench.resume import Resume
from odinw_bench.spec import RunSpec
from odinw_bench.training import Tuned, tune

Say = Callable[[str], None]


def run(
    spec: RunSpec,
    results: Path | str = "results",
    *,
    data_root: Path | str | None = None,
    device: str = "cpu",
    force: bool = False,
    cache: CacheSettings = MEMORY_ONLY,
    checkpointing: bool = False,
    say: Say | None = None,
) -> dict[str, Any]:
    """Do one run, or return its record if it was done before.

    Args:
        spec: the cell.
        results: folder of the records.
        data_root: folder of the official data; see :func:`odinw_bench.sources.open_split`.
        device: ``cpu`` or ``cuda[:N]``.
        force: do it again even if it was done.
        cache: budget of frozen features.
        checkpointing: compute activations again on the way back rather than keep them: less memory, the same numbers.
        say: told in words what happens.

    Returns:
        The record, as ``run.json`` holds it. A run that fails leaves one with status ``failed``, and the error
        goes on; one that is killed goes on from its last epoch when it is asked for again.

    Raises:
        InputError: something the user gave cannot be used.
        BusyError: another process is doing this very run.
    """
    prepared = prepare(spec, results, data_root=data_root)
    return execute(prepared, device=device, force=force, cache=cache, checkpointing=checkpointing, say=say)


def execute(
    prepared: Prepared,
    *,
    device: str = "cpu",
    force: bool = False,
    cache: CacheSettings = MEMORY_ONLY,
    checkpointing: bool = False,
    say: Say | None = None,
) -> dict[str, Any]:
    """The work of :func:`run` on a prepared spec."""
    folder = prepared.folder
    if not force and is_done(folder):
        return read_record(folder)
    with claim(folder), threads_for(prepared.spec.model, device):
        if not force and is_done(folder):  # by another process, meanwhile
            return read_record(folder)
        resume = Resume(resume_path(folder), prepared.digest)
        if force:
            resume.clear()
        record = _new_record(prepared, device)
        failure: Exception | None = None
        with writing(folder) as scratch:
            try:
                reset_peak_memory(device)
                detector = load_detector(prepared, device)
                detector.checkpointing = checkpointing
                _work(prepared, detector, record, scratch, cache, resume, say or (lambda _: None))
                record["status"] = "done"
            except Exception as error:
                failure = error
                record["error"] = describe(error)
                if not isinstance(error, InputError):
                    (scratch / "traceback.txt").write_text(traceback.format_exc(), encoding="utf-8")
                if is_done(folder):  # a failure never takes the place of numbers
                    raise
            record["finished"] = now()
            write_record(scratch, record)
        resume.clear()
    if failure is not None:
        raise failure
    return record


def record_failure(prepared: Prepared, device: str, error: str) -> None:
    """Record a run whose process died, unless it is done after all.

    Raises:
        BusyError: another process is doing it.
    """
    with claim(prepared.folder):
        if is_done(prepared.folder):
            return
        with writing(prepared.folder) as scratch:
            write_record(scratch, _new_record(prepared, device) | {"error": error, "finished": now()})


def describe(error: Exception) -> str:
    """An error on one line: the user's mistakes in their own words, others with their kind."""
    text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def load_detector(prepared: Prepared, device: str) -> Detector:
    """The base model of a run.

    Raises:
        InputError: the weights are of another model, or the prompt is longer than it reads.
    """
    spec = prepared.spec
    classes = None if get_config(spec.model).has_text else len(prepared.task.classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)  # a fresh class layer is part of the run
        detector = glip_core.load(spec.model, prepared.weights, num_classes=classes, device=device)
    if prepared.settings is not None and detector.config.has_text:
        detector.token_map(prepared.prompt)  # tuning wants the whole prompt at once: a longer one ends the run here
    return detector


def _new_record(prepared: Prepared, device: str) -> dict[str, Any]:
    """A record before any work: it says ``failed`` until the work is done."""
    spec, task, settings = prepared.spec, prepared.task, prepared.settings
    splits = {"train": prepared.train, "validation": prepared.validation, "test": prepared.test}
    return {
        "schema": SCHEMA,
        "spec": spec.to_json() | {"suite": task.suite, "dataset": task.name},
        "digest": prepared.digest,
        "status": "failed",
        "metrics": None,
        "cost": None,
        "data": {
            **{f"{name}_images": 0 if split is None else len(split) for name, split in splits.items()},
            "few_shot": prepared.few_shot,
            "annotations_sha256": {name: split.sha256 for name, split in splits.items() if split is not None},
        },
        "protocol": {
            "name": spec.protocol_name,
            "hyperparameters": settings.to_json() if settings else None,
            "validation_split": task.eval_split if settings else None,
            "eval_split": spec.eval_split,
        },
        "weights_sha256": prepared.weights_sha256,
        "environment": environment(device),
        "started": now(),
        "finished": None,
        "error": None,
    }


def _work(
    prepared: Prepared,
    detector: Detector,
    record: dict[str, Any],
    folder: Path,
    cache: CacheSettings,
    resume: Resume,
    say: Say,
) -> None:
    """Tune, test, and fill in the record."""
    total = sum(p.numel() for p in detector.parameters())
    tuned = _tune(prepared, detector, folder, cache, resume, say) if prepared.settings else None
    write_json(folder / "prompt.json", prompt_to_json(prepared.prompt))
    started = time.perf_counter()
    seen = 0

    def count(images: int) -> None:
        nonlocal seen
        seen += images
        say(f"test image {seen}/{len(prepared.test)}")

    predictions = detect_split(
        detector, prepared.prompt, prepared.test, precision=prepared.spec.precision, on_images=count
    )
    seconds = time.perf_counter() - started
    write_json(folder / "predictions.json", predictions, indent=None)
    record["metrics"] = evaluate(prepared.test.annotations, predictions)
    record["cost"] = {
        "tune_seconds": round(tuned.seconds, 3) if tuned else 0.0,
        "tune_steps": tuned.steps if tuned else 0,
        "best_epoch": tuned.best_epoch if tuned else None,
        "validation_AP": tuned.best_ap if tuned else None,
        "test_seconds": round(seconds, 3),
        "images_per_second": round(len(prepared.test) / seconds, 3),
        "peak_memory_bytes": peak_memory(str(detector.device)),
        "tuned_parameters": tuned.parameters if tuned else 0,
        "total_parameters": total,
    }


def _tune(
    prepared: Prepared, detector: Detector, folder: Path, cache: CacheSettings, resume: Resume, say: Say
) -> Tuned:
    """Tune, and write what came of it."""
    settings, train, validation = prepared.settings, prepared.train, prepared.validation
    assert settings is not None
    assert train is not None
    assert validation is not None
    mode = tuning.get_mode(prepared.spec.mode)

    def report(line: dict[str, Any]) -> None:
        ap = line["validation_AP"]
        found = f"validation AP {ap:.1f}" if ap is not None else f"loss {sum(line['losses'].values()):.3f}"
        say(f"epoch {line['epoch']}/{settings.epochs}: {found}")

    tuned = tune(
        detector,
        mode,
        prepared.prompt,
        train,
        validation,
        settings,
        seed=prepared.spec.seed,
        precision=prepared.spec.precision,
        cache=make_cache(cache),
        resume=resume,
        on_epoch=report,
    )
    write_lines(folder / "history.jsonl", tuned.history)
    save_file(tuning.tuned_state(detector, mode), folder / "tuned.safetensors")
    return tuned
