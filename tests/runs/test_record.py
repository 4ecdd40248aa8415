"""Records: whole or not at all, and one writer at a time."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import textwrap

import pytest

from glip_core import InputError
from odinw_bench.runs.claims import BusyError, claim
from odinw_bench.runs.record import RunRecord, find_records, is_done, read_record, write_record
from tests.report import made

SPEC = {"suite": "mini", "dataset": "packages", "model": "glip-nano", "mode": "prompt", "shots": 5, "seed": 3}


def record(**changes):
    """The least that a record may hold."""
    return {"schema": 1, "status": "done", "spec": SPEC, "metrics": {"AP": 50.0}} | changes


def test_a_record_appears_when_it_is_whole(tmp_path):
    folder = tmp_path / "suite" / "run"
    with claim(folder) as claimed, claimed.writing() as scratch:
        write_record(scratch, record())
        assert not folder.exists()
        assert list(find_records(tmp_path)) == []
    assert is_done(folder)
    assert [path for path, _ in find_records(tmp_path)] == [folder]
    assert {p.name for p in folder.parent.iterdir()} == {"run"}  # neither lock nor scratch is left


def test_an_error_leaves_the_old_record(tmp_path):
    folder = tmp_path / "run"
    with claim(folder) as claimed, claimed.writing() as scratch:
        write_record(scratch, record(number=1))

    def fail():
        with claim(folder) as claimed, claimed.writing() as scratch:
            write_record(scratch, record(number=2))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert read_record(folder)["number"] == 1
    with claim(folder) as claimed, claimed.writing() as scratch:
        write_record(scratch, record(number=3))
    assert read_record(folder)["number"] == 3


@pytest.mark.integration
def test_a_killed_writer_leaves_nothing_half(tmp_path):
    """SIGKILL in the middle: no record; the next writer takes the lock of the dead process."""
    code = f"""
        import time
        from pathlib import Path
        from odinw_bench.runs.claims import claim
        from odinw_bench.runs.record import write_record
        folder = Path({str(tmp_path / "run")!r})
        with claim(folder) as claimed, claimed.writing() as scratch:
            write_record(scratch, {{"schema": 1, "status": "done"}})
            print("ready", flush=True)
            time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        with pytest.raises(BusyError, match=f"process {child.pid} on"), claim(tmp_path / "run"):
            pass
        child.kill()
    assert list(find_records(tmp_path)) == []
    with claim(tmp_path / "run") as claimed, claimed.writing() as scratch:
        assert not list(scratch.iterdir())
        write_record(scratch, record())
    assert is_done(tmp_path / "run")
    assert {p.name for p in tmp_path.iterdir()} == {"run"}


def test_a_claim_leaves_nothing(tmp_path):
    with claim(tmp_path / "suite" / "run"):
        assert [p.name for p in (tmp_path / "suite").iterdir()] == [".run.lock"]
    assert not list((tmp_path / "suite").iterdir())


def test_what_is_no_record(tmp_path):
    with pytest.raises(InputError, match="no run record at"):
        read_record(tmp_path)
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(InputError, match="schema none"):
        read_record(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"schema": 99}))
    with pytest.raises(InputError, match="schema 99, this version reads 1"):
        read_record(tmp_path / "run.json")


def test_a_results_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write to the results folder"), claim(tmp_path / "file" / "run"):
        pass


def test_errors_of_the_work_itself_are_not_taken_for_the_folders(tmp_path):
    with pytest.raises(FileExistsError), claim(tmp_path / "run") as claimed, claimed.writing():
        tmp_path.mkdir()


def test_a_record_has_types():
    full = made.record(made.spec(), made.metrics(41.5), sha256="a" * 64)
    one = RunRecord.from_json(full)
    assert (one.ap, one.status, one.is_done, one.error) == (41.5, "done", True, None)
    assert (one.spec.model, one.spec.shots, one.spec.seed, one.spec.eval_split) == ("glip-nano", 5, 3, "test")
    assert (one.digest, one.protocol_name, one.test_sha256) == (full["digest"], "mini-2", "a" * 64)
    assert one.cost["test_seconds"] == 2.0
    assert one["metrics"]["AP"] == one.metrics["AP"]
    assert one.get("external") is None
    assert one == full == one.to_json() == dict(one)
    assert pickle.loads(pickle.dumps(one)) == one


def test_what_is_optional_may_be_missing():
    one = RunRecord.from_json(record())
    assert (one.ap, one.digest, one.cost, one.data, one.environment) == (50.0, "", {}, {}, {})
    assert (one.spec.precision, one.spec.eval_split, one.spec.protocol) == ("fp32", "test", None)
    failed = RunRecord.from_json(record(status="failed", metrics=None, cost=None, error="no memory"))
    assert (failed.ap, failed.error, failed.is_done) == (None, "no memory", False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spec": None}, "spec.shots must be"),
        ({"spec": SPEC | {"model": ""}}, "spec.model is missing"),
        ({"spec": SPEC | {"dataset": 3}}, "spec.dataset must be a text"),
        ({"spec": SPEC | {"shots": -1}}, "spec.shots must be a whole number"),
        ({"spec": SPEC | {"shots": "some"}}, "spec.shots must be a whole number"),
        ({"spec": SPEC | {"seed": True}}, "spec.seed must be a whole number"),
        ({"spec": SPEC | {"overrides": ["lr"]}}, "spec.overrides must be an object"),
        ({"status": "maybe"}, "status must be 'done' or 'failed', not 'maybe'"),
        ({"metrics": None}, "metrics.AP is missing"),
        ({"metrics": {"AP": 101}}, "metrics.AP must be a number from 0 to 100, not 101"),
        ({"metrics": {"AP": -0.1}}, "metrics.AP must be a number from 0 to 100"),
        ({"metrics": {"AP": float("nan")}}, "metrics.AP must be a number, not nan"),
        ({"metrics": {"AP": True}}, "metrics.AP must be a number, not True"),
        ({"metrics": {"AP": 1.0, "AP50": "high"}}, "metrics.AP50 must be a number"),
        ({"metrics": {"AP": 1.0, "per_class": {"cat": 200}}}, "metrics.per_class.cat must be a number from 0 to 100"),
        ({"cost": [1]}, "cost must be an object"),
        ({"cost": {"test_seconds": -1}}, "cost.test_seconds must be a number of at least 0"),
        ({"cost": {"test_stages": {"model": "slow"}}}, "cost.test_stages.model must be a number"),
        ({"data": {"leaks": "many"}}, "data.leaks must be a number"),
        ({"data": {"selection_leaks": "many"}}, "data.selection_leaks must be a number"),
    ],
)
def test_what_cannot_be_is_named(changes, message):
    with pytest.raises(InputError, match=message):
        RunRecord.from_json(record(**changes))


def test_an_unreadable_record_is_listed_with_its_reason(tmp_path):
    for name, content in (("a", json.dumps(record())), ("b", json.dumps(record(metrics={"AP": 1e9}))), ("c", "{")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(content)
    unreadable = []
    assert [place.name for place, _ in find_records(tmp_path, unreadable)] == ["a"]
    assert [one.folder.name for one in unreadable] == ["b", "c"]
    assert unreadable[0].reason.startswith("metrics.AP must be")
    assert "is not JSON" in unreadable[1].reason
    assert not is_done(tmp_path / "b")
    with pytest.raises(InputError, match=r"b/run.json' is not a complete run record: metrics.AP"):
        read_record(tmp_path / "b")


def test_classes_are_called_by_their_names(tmp_path):
    old = made.record(made.spec(), made.metrics(40.0, cat=40.0))
    assert RunRecord.from_json(old).per_class == {"cat": 40.0}
    new = made.record(made.spec(), made.metrics(40.0) | {"per_class": {"1": 40.0, "2": 50.0, "3": None}})
    new["data"]["classes"] = {"1": "cat", "2": "dog", "3": "cat"}
    assert RunRecord.from_json(new).per_class == {"cat (id 1)": 40.0, "dog": 50.0, "cat (id 3)": None}
    new["data"]["classes"] = {"1": 7}
    with pytest.raises(InputError, match=r"data\.classes\.1 must be a text"):
        RunRecord.from_json(new)


def test_records_in_hidden_folders_are_none(tmp_path):
    (folder,) = [made.write(tmp_path, made.record(made.spec(), made.metrics(40.0)))]
    hidden = folder.parent / ".half.part"
    hidden.mkdir()
    (hidden / "run.json").write_bytes((folder / "run.json").read_bytes())
    (tmp_path / "run.json").mkdir()  # a folder of that name
    assert [path for path, _ in find_records(tmp_path)] == [folder]
