"""One spec -> one record."""

from __future__ import annotations

import traceback
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from glip_core import Detector, InputError
from odinw_bench.engine.cache_settings import MEMORY_ONLY, CacheSettings
from odinw_bench.engine.checkpoint import Resume
from odinw_bench.engine.distributed import SINGLE_PROCESS, DistributedContext
from odinw_bench.models import Adapter
from odinw_bench.runs.environment import environment, now, reset_peak_memory, threads_for
from odinw_bench.runs.prepare import Prepared, prepare
from odinw_bench.runs.record import (
    SCHEMA,
    BusyError,
    claim,
    is_done,
    is_full,
    read_record,
    resume_path,
    tidy,
    write_record,
    writing,
)
from odinw_bench.runs.spec import RunSpec
from odinw_bench.runs.work import Say, Work, load_detector

_GO, _DONE = "go", "done"


@dataclass(frozen=True)
class Means:
    """By what means a run is done; nothing here changes its numbers.

    Attributes:
        device: ``cpu`` or ``cuda[:N]``.
        force: do it again even if it was done.
        cache: budget of frozen features.
        checkpointing: compute activations again on the way back rather than keep them: less memory, the same numbers.
        distributed: the processes that share the run; all call with the same arguments, and the leader writes.
        say: told in words what happens.
    """

    device: str = "cpu"
    force: bool = False
    cache: CacheSettings = MEMORY_ONLY
    checkpointing: bool = False
    distributed: DistributedContext = SINGLE_PROCESS
    say: Say = lambda _: None


def run(
    spec: RunSpec,
    results: Path | str = "results",
    *,
    data_root: Path | str | None = None,
    device: str = "cpu",
    force: bool = False,
    cache: CacheSettings = MEMORY_ONLY,
    checkpointing: bool = False,
    distributed: DistributedContext = SINGLE_PROCESS,
    say: Say | None = None,
) -> dict[str, Any]:
    """Do one run, or return its record if it was done before.

    Args:
        spec: the cell.
        results: folder of the records.
        data_root: folder of the official data; see :func:`odinw_bench.datasets.sources.open_split`.
        device: ``cpu`` or ``cuda[:N]``.
        force: do it again even if it was done.
        cache: budget of frozen features.
        checkpointing: less memory for more time; see :class:`Means`.
        distributed: the processes that share the run.
        say: told in words what happens.

    Returns:
        The record, as ``run.json`` holds it. A run that fails leaves one with status ``failed``, and the error
        goes on; one that is killed goes on from its last epoch when it is asked for again.

    Raises:
        InputError: something the user gave cannot be used.
        BusyError: another process is doing this very run.
    """
    prepared = prepare(spec, results, data_root=data_root)
    means = Means(device, force, cache, checkpointing, distributed, say or (lambda _: None))
    return execute(prepared, means)


def execute(prepared: Prepared, means: Means = Means()) -> dict[str, Any]:
    """The work of :func:`run` on a prepared spec.

    What fails in one process of a team ends all: they wait for each other at every step.
    """
    distributed = means.distributed
    if distributed.is_main:
        with ExitStack() as held:
            verdict = distributed.broadcast(_claim(prepared, means.force, held))
            if verdict == _GO:
                _lead(prepared, means)
    else:
        verdict = distributed.broadcast(None)
        if verdict == _GO:
            _follow(prepared, means)
    if verdict not in (_GO, _DONE):
        raise BusyError(verdict)
    distributed.broadcast(None)  # the leader has written the record
    return read_record(prepared.folder)


def _claim(prepared: Prepared, force: bool, held: ExitStack) -> str:
    """Whether to do a run: go, it is done, or who is at it. The claim is held as long as the stack."""
    if not force and is_done(prepared.folder):
        tidy(prepared.folder)
        return _DONE
    try:
        held.enter_context(claim(prepared.folder))
    except BusyError as error:
        return str(error)
    return _DONE if not force and is_done(prepared.folder) else _GO  # done by another process, meanwhile


def _lead(prepared: Prepared, means: Means) -> None:
    """Do a run, or its leader's part, and write the record."""
    folder = prepared.folder
    resume = Resume(resume_path(folder), prepared.digest)
    if means.force:
        resume.clear()
    failure: Exception | None = None
    with threads_for(prepared.spec.model, means.device), writing(folder) as scratch:
        record = _new_record(prepared, means.device)
        record["environment"]["processes"] = means.distributed.size
        try:
            work = Work(prepared, scratch, means.cache, resume, means.distributed, means.say)
            record |= work.do(_begin(prepared, means))
            record["status"] = "done"
        except Exception as error:
            if is_full(error):  # not the run's fault: it is not recorded as failed
                raise
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


def _follow(prepared: Prepared, means: Means) -> None:
    """The part of a process that does not lead: what it writes is thrown away."""
    resume = Resume(resume_path(prepared.folder), prepared.digest, read_only=True)
    with threads_for(prepared.spec.model, means.device), TemporaryDirectory() as scratch:
        Work(prepared, Path(scratch), means.cache, resume, means.distributed, means.say).do(_begin(prepared, means))


def _begin(prepared: Prepared, means: Means) -> Detector | Adapter:
    reset_peak_memory(means.device)
    detector = load_detector(prepared, means.device)
    if isinstance(detector, Detector):
        detector.checkpointing = means.checkpointing
    return detector


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
            "leaks": prepared.leaks,
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
