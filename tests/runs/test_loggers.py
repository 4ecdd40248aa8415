"""Losses and results go to TensorBoard (the real one) and to the calls of the other packages (made up)."""

from __future__ import annotations

import importlib.machinery
import json
import sys
import types

import pytest

from glip_core import InputError
from odinw_bench import RunSpec, run
from odinw_bench.runs.loggers import find_logger
from odinw_bench.runs.options import RunOptions

SPEC = RunSpec(
    dataset="packages",
    mode="prompt",
    shots=1,
    overrides={"epochs": 2, "repeats_per_epoch": 1, "min_steps_per_epoch": 1},
)


class Calls(types.ModuleType):
    """A package that writes down what is called in it."""

    def __init__(self, name, calls=None):
        super().__init__(name)
        self.__spec__ = importlib.machinery.ModuleSpec(name, None)
        self.calls = [] if calls is None else calls

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*arguments, **options):
            self.calls.append((name, arguments, options))
            return self

        call.update = lambda values: self.calls.append(("summary", (values,), {}))
        return call


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return run(SPEC, tmp_path_factory.mktemp("plain"), device="cpu")


def test_tensorboard(tmp_path, plain):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    record = run(SPEC, tmp_path, device="cpu", log=["tensorboard"])
    name = record.folder.relative_to(tmp_path)
    events = EventAccumulator(str(tmp_path / "logs" / "tensorboard" / name)).Reload()
    lines = [json.loads(text) for text in (record.folder / "history.jsonl").read_text().splitlines()]
    losses = [(one.step, one.value) for one in events.Scalars("loss")]
    assert losses == [(one["epoch"], pytest.approx(sum(one["losses"].values()), rel=1e-5)) for one in lines]
    assert events.Scalars("test/AP")[0].value == pytest.approx(record["metrics"]["AP"], rel=1e-5)
    assert record["digest"] == plain["digest"]
    assert record["metrics"] == plain["metrics"]


@pytest.mark.parametrize("name", ["wandb", "mlflow", "trackio"])
def test_other_packages(name, tmp_path, monkeypatch):
    package = Calls(name)
    monkeypatch.setitem(sys.modules, name, package)
    record = run(SPEC, tmp_path, device="cpu", log=[name])
    said = [call for call, *_ in package.calls]
    texts = repr(package.calls)
    begins = {"wandb": "init", "mlflow": "set_experiment", "trackio": "init"}
    ends = {"wandb": "finish", "mlflow": "end_run", "trackio": "finish"}
    assert (said[0], said[-1]) == (begins[name], ends[name])
    assert record.folder.relative_to(tmp_path).as_posix() in texts
    assert "test/AP" in texts
    steps = [options["step"] for call, _, options in package.calls if call in ("log", "log_metrics") and options]
    assert steps[:2] == [1, 2]


def test_a_logger_that_breaks_costs_no_run(tmp_path, monkeypatch, caplog, plain):
    package = Calls("trackio")
    package.log = lambda *_, **__: 1 / 0
    monkeypatch.setitem(sys.modules, "trackio", package)
    record = run(SPEC, tmp_path, device="cpu", log=["trackio"])
    assert record["metrics"] == plain["metrics"]
    assert [one.getMessage() for one in caplog.records] == [
        "--log trackio: left out from here on: ZeroDivisionError: division by zero"
    ]


def test_a_failed_run_is_logged_as_failed(tmp_path, monkeypatch):
    package = Calls("mlflow")
    monkeypatch.setitem(sys.modules, "mlflow", package)

    def fail(*_, **__):
        raise RuntimeError("broken")

    monkeypatch.setattr("odinw_bench.runs.work.tune", fail)
    with pytest.raises(RuntimeError):
        run(SPEC, tmp_path, device="cpu", log=["mlflow"])
    assert package.calls[-1][:2] == ("end_run", ("FAILED",))


def test_unknown_loggers_and_missing_packages_are_refused_before_any_work(monkeypatch):
    with pytest.raises(InputError, match="unknown logger 'tensorbord'"):
        RunOptions(log=["tensorbord"])
    monkeypatch.setattr("odinw_bench.runs.loggers.table.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'odinw-bench\[wandb\]'"):
        RunOptions(log=["wandb"])


def test_loggers_of_ones_own(monkeypatch):
    assert find_logger("tests.runs.test_loggers:Calls").__name__ == "Calls"
    monkeypatch.setattr("odinw_bench.runs.loggers.table.declared", lambda _: {"mine": "tests.runs.test_loggers:Calls"})
    assert find_logger("mine").__name__ == "Calls"
