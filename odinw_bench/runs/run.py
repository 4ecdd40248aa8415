"""One spec -> one cell -> one record."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from glip_core import InputError
from odinw_bench.datasets.coco import annotation_notes
from odinw_bench.datasets.duplicates import COMPARED
from odinw_bench.engine.cache_settings import MEMORY_ONLY, CacheSettings
from odinw_bench.engine.checkpoint import Resume
from odinw_bench.engine.distributed import SINGLE_PROCESS, DistributedContext, ProcessFailedError
from odinw_bench.engine.micro_batch import MemoryExhaustedError
from odinw_bench.engine.optimise import DivergedError
from odinw_bench.evaluation import recorded_evaluation
from odinw_bench.models import Model
from odinw_bench.runs.cell import Cell
from odinw_bench.runs.claims import (
    BusyError,
    Claim,
    LockLostError,
    claim,
    is_full,
    resume_path,
    tested_path,
    tidy,
)
from odinw_bench.runs.environment import arithmetic, environment, now, reset_peak_memory
from odinw_bench.runs.loggers import logging_to
from odinw_bench.runs.options import DEFAULTS, RunOptions
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.progress import CellProgress, Say
from odinw_bench.runs.record import SCHEMA, RunRecord, has_numbers, is_done, read_record, write_record
from odinw_bench.runs.spec import RunSpec
from odinw_bench.runs.work import Work, load_model, load_tunable
from odinw_bench.utils.hardware import pick_device

_OF_THE_RUN = (InputError, DivergedError, MemoryExhaustedError)
"""Errors that are a run's own. Any other one, among several processes, may be the end of another of them."""


def run(
    spec: RunSpec,
    results: Path | str = "results",
    *,
    data_root: Path | str | None = None,
    device: str = "auto",
    force: bool = False,
    cache: CacheSettings = MEMORY_ONLY,
    checkpointing: bool = False,
    tf32: bool = False,
    lenient_weights: bool = False,
    distributed: DistributedContext = SINGLE_PROCESS,
    say: Say | None = None,
    log: Sequence[str] = (),
) -> RunRecord:
    """Do one run, or return its record if it was done before.

    Args:
        spec: what to run.
        results: folder of the records.
        data_root: folder of the official data; see :func:`odinw_bench.datasets.sources.open_split`.
        device: ``auto``, ``cpu``, ``cuda[:N]`` or ``mps``.
        force: do it again even if it was done.
        cache: budget of frozen features.
        checkpointing: less memory for more time; see :class:`~odinw_bench.runs.options.RunOptions`.
        tf32: allow TF32 on GPUs; likewise.
        lenient_weights: ignore names in the weights that the model has no use for; the record lists them.
        distributed: the processes that share the run.
        say: called with a line of text on each step.
        log: where losses and results are also written; see :mod:`odinw_bench.runs.loggers`.

    Returns:
        The record, which also is a mapping of what ``run.json`` holds. A run that fails leaves one with status
        ``failed``, and the error is raised. One that failed or was killed resumes from its last epoch when it is asked
        for again, but after a loss that is not finite, or with ``force``.

    Raises:
        InputError: something the user gave cannot be used.
        BusyError: another process is doing this very run.
        ProcessFailedError: this process, one of several, failed by itself.
    """
    root = None if data_root is None else Path(data_root)
    options = RunOptions(
        Path(results), root, pick_device(device), force, cache, checkpointing, tf32, lenient_weights, log=log
    )
    cell = prepare(spec, options.results, data_root=options.data_root, force=force)
    return execute(cell, options, distributed, say or _silent)


def _silent(_: str) -> None:
    """Report nothing."""


def execute(
    cell: Cell,
    options: RunOptions = DEFAULTS,
    distributed: DistributedContext = SINGLE_PROCESS,
    say: Say = _silent,
) -> RunRecord:
    """The work of :func:`run` on a cell.

    All processes of a distributed context call this with the same arguments. What keeps a run from being begun, and a
    loss that is not finite, is raised in all of them; any other error in one of them must end all: they wait for each
    other at every step.

    Raises:
        ProcessFailedError: this process, one of several, failed by itself.
    """
    try:
        refusal = _take_part(cell, options, distributed, say)
    except DivergedError:  # of the sums of all processes, so that all raise it
        raise
    except Exception as error:
        if distributed.size == 1:
            raise
        raise ProcessFailedError(f"process {distributed.rank} of {distributed.size}: {describe(error)}") from error
    if refusal is not None:
        raise refusal
    return read_record(cell.folder)


def _take_part(cell: Cell, options: RunOptions, distributed: DistributedContext, say: Say) -> Exception | None:
    """This process's part of a run, unless it is done; in all processes the error for which it cannot be begun."""
    if distributed.is_main:
        with ExitStack() as held:
            claimed = _claim(cell, options, held)
            if isinstance(claimed, Exception):
                distributed.broadcast(_for_others(claimed))
                return claimed
            distributed.broadcast(claimed and cell.digest)
            if claimed:
                _lead(cell, claimed, options, distributed, say)
    else:
        verdict = distributed.broadcast(None)
        if isinstance(verdict, Exception):
            return verdict
        if verdict not in (None, cell.digest):
            raise InputError(f"the leader does run {verdict[:8]}, not {cell.digest[:8]}: all need the same data")
        if verdict is not None:
            _follow(cell, options, distributed, say)
    distributed.broadcast(None)  # the main process has written the record
    return None


def _claim(cell: Cell, options: RunOptions, held: ExitStack) -> Claim | Exception | None:
    """The claim on a run, held as long as the stack; None: it is done; else why it cannot be had."""
    try:
        if not options.force and is_done(cell.folder):
            tidy(cell.folder)
            return None
        claimed = held.enter_context(claim(cell.folder))
        if options.force and not options.resumed:
            claimed.clear_states()  # before the other processes look for a state
        return None if not options.force and is_done(cell.folder) else claimed  # done by another process, meanwhile
    except Exception as error:  # the other processes wait to hear of it
        return error


def _for_others(error: Exception) -> Exception:
    """An error that can be sent to other processes, of the same meaning."""
    for kind in (BusyError, InputError):
        if isinstance(error, kind):
            return kind(str(error))
    return RuntimeError(describe(error))


def _lead(cell: Cell, claimed: Claim, options: RunOptions, distributed: DistributedContext, say: Say) -> None:
    """Do a run, or the main process's part of it, and write the record."""
    folder = cell.folder
    resume = Resume(resume_path(folder), cell.digest, held=claimed.held)
    tested = Resume(tested_path(folder, 0), cell.digest, held=claimed.held)
    failure: Exception | None = None
    with (
        arithmetic(cell.facts, options.device, tf32=options.tf32),
        claimed.writing() as scratch,
        logging_to(options.log, cell, options.results) as loggers,
        CellProgress(cell.name, scratch, say, loggers) as progress,
    ):
        record = _new_record(cell, options.device, tf32=options.tf32)
        record["environment"]["processes"] = distributed.size
        try:
            work = Work(cell, scratch, options, resume, tested, distributed, progress)
            model = _begin(cell, options)
            if model.ignored_weights:
                record["ignored_weights"] = list(model.ignored_weights)
            record |= work.tune_and_test(model)
            record["status"] = "done"
        except LockLostError:  # another process has the run now: there is nothing to record
            raise
        except Exception as error:
            if is_full(error) or (distributed.size > 1 and not isinstance(error, _OF_THE_RUN)):
                raise  # not the run's fault: it is not recorded as failed
            failure = error
            record["error"] = describe(error)
            if not isinstance(error, InputError):
                (scratch / "traceback.txt").write_text(traceback.format_exc(), encoding="utf-8")
            if has_numbers(folder):  # a failure never takes the place of numbers
                raise
        record["finished"] = now()
        progress.remove()
        write_record(scratch, record)
        loggers.end(record)
    if failure is None or isinstance(failure, DivergedError):  # any other may pass: the next try resumes
        claimed.clear_states()
    if failure is not None:
        raise failure


def _follow(cell: Cell, options: RunOptions, distributed: DistributedContext, say: Say) -> None:
    """The part of any other process: what it writes is thrown away, but for what it found so far in testing."""
    resume = Resume(resume_path(cell.folder), cell.digest, read_only=True)
    tested = Resume(tested_path(cell.folder, distributed.rank), cell.digest)
    elsewhere = TemporaryDirectory(ignore_cleanup_errors=True)
    with arithmetic(cell.facts, options.device, tf32=options.tf32), elsewhere as scratch:
        progress = CellProgress(cell.name, Path(scratch), say)
        work = Work(cell, Path(scratch), options, resume, tested, distributed, progress)
        work.tune_and_test(_begin(cell, options))


def _begin(cell: Cell, options: RunOptions) -> Model:
    reset_peak_memory(options.device)
    load = load_tunable if cell.settings else load_model
    model = load(cell, options.device, lenient=options.lenient_weights)
    model.use_checkpointing(options.checkpointing)
    return model


def record_failure(cell: Cell, device: str, error: str) -> None:
    """Record a run whose process died, unless it has numbers, be they from before.

    Raises:
        BusyError: another process is doing it.
    """
    with claim(cell.folder) as claimed:
        if has_numbers(cell.folder):
            return
        with claimed.writing() as scratch:
            write_record(scratch, _new_record(cell, device) | {"error": error, "finished": now()})


def describe(error: Exception) -> str:
    """An error on one line: the user's mistakes in their own words, others with their kind."""
    text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def _new_record(cell: Cell, device: str, *, tf32: bool | None = None) -> dict[str, Any]:
    """A record before any work: it says ``failed`` until the work is done."""
    spec, task, settings = cell.spec, cell.task, cell.settings
    splits = {"train": cell.train, "validation": cell.validation, "test": cell.test}
    return {
        "schema": SCHEMA,
        "spec": spec.to_json() | {"suite": task.suite, "dataset": task.name},
        "digest": cell.digest,
        **recorded_evaluation(task),
        "status": "failed",
        "metrics": None,
        "cost": None,
        "data": {
            **{f"{name}_images": 0 if split is None else len(split) for name, split in splits.items()},
            "few_shot": cell.few_shot,
            "few_shot_validation": cell.few_shot_validation,
            "leaks": cell.leaks,
            **({} if cell.selection_leaks is None else {"selection_leaks": cell.selection_leaks}),
            "leaks_compared": None if cell.leaks is None else COMPARED,
            "annotations_sha256": {name: split.sha256 for name, split in splits.items() if split is not None},
            "pictures_sha256": dict(cell.pictures_sha256),
            "annotation_notes": annotation_notes(splits),
            "classes": cell.test.classes,
            **({} if task.root is None else {"folder": task.place}),
        },
        "protocol": {
            "name": spec.protocol_name,
            "hyperparameters": settings.to_json() if settings else None,
            "validation_split": task.selection_split if settings else None,
            "eval_split": spec.eval_split,
            "prompt_style": cell.prompt_style,
        },
        "weights_sha256": cell.weights_sha256,
        "environment": environment(device, tf32=tf32),
        "started": now(),
        "finished": None,
        "error": None,
    }
