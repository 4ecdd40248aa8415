"""The runs that advice is made of."""

from __future__ import annotations

import errno
import weakref
from copy import copy
from pathlib import Path
from types import SimpleNamespace

import pytest

from glip_core.errors import InputError
from odinw_bench.advice import candidates
from odinw_bench.advice.candidates import SHORT, Candidate, spec_of
from odinw_bench.advice.settings import AdviceSettings, Budget
from odinw_bench.engine.length import Length
from odinw_bench.engine.optimise import DivergedError
from odinw_bench.engine.recipes import hyperparameters
from odinw_bench.utils.locks import BusyError


def settings_of(spec):
    return hyperparameters(spec.protocol_name, spec.mode, spec.shots, spec.overrides)


@pytest.mark.parametrize("model", ["glip-nano", "glip-t"])
def test_a_short_run_has_a_part_of_the_steps(model):
    settings = AdviceSettings("packages", models=(model,), shots=5)
    short, full = (
        Length.of(5, settings_of(spec_of(Candidate(model, "prompt", 0), Path("task.yaml"), settings, short=short)))
        for short in (True, False)
    )
    assert 0 < short.total <= full.total / SHORT * 1.1


def test_a_fold_is_tuned_by_the_recipe_of_the_run_that_is_advised_on():
    settings = AdviceSettings("packages", shots=5)
    spec = spec_of(Candidate("glip-nano", "prompt", 0), Path("task.yaml"), settings, short=False)
    assert settings_of(spec) == hyperparameters("mini-2", "prompt", 5)


class Model:
    """What takes the memory."""


def do(monkeypatch, error, models=None):
    """A candidate one of whose runs ends with an error, as runs do: kept until the record is written."""

    def run(*_, **__):
        model, failure = Model(), None
        if models is not None:
            models.append(weakref.ref(model))
        try:
            raise copy(error) from error.__cause__
        except BaseException as found:
            failure = found
        raise failure

    monkeypatch.setattr(candidates, "run", run)
    candidate = Candidate("glip-nano", "full", 0)
    fold = SimpleNamespace(name="pets-fold1", file=Path("fold1.yaml"))
    record = candidates.do(candidate, fold, AdviceSettings("pets"), Budget(60), 1.0, lambda _: None)
    assert record is None
    return candidate


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("CUDA out of memory.\nTried to allocate 2 GiB"), "RuntimeError: CUDA out of memory. Tried to"),
        (DivergedError("the loss is not finite"), "the loss is not finite"),
        (BusyError("another process is at it"), "another process is at it"),
        (InputError("no weights"), "no weights"),
    ],
)
def test_a_run_that_fails_ends_its_way_alone(monkeypatch, error, text):
    candidate = do(monkeypatch, error)
    assert text in candidate.failed
    assert candidate.stopped == f"it failed: {candidate.failed}"
    assert candidate.is_out


def test_a_run_that_fails_leaves_no_model_in_memory(monkeypatch):
    models = []
    do(monkeypatch, RuntimeError("CUDA out of memory"), models)
    assert models[0]() is None


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_full_disk_and_an_interruption_end_the_advice(monkeypatch, error):
    with pytest.raises(type(error)):
        do(monkeypatch, error)


def test_a_quota_that_is_used_up_ends_the_advice(monkeypatch):
    error = InputError("cannot write to the results folder")
    error.__cause__ = OSError(errno.EDQUOT, "Disk quota exceeded")
    with pytest.raises(InputError, match="cannot write"):
        do(monkeypatch, error)
