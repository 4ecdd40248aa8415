"""What a run says and writes on its way, and that nothing of it stays but the record."""

from __future__ import annotations

import json

import pytest

from odinw_bench import RunSpec, run
from odinw_bench.runs import progress
from odinw_bench.runs.loggers import Loggers
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.progress import HISTORY, PROGRESS, CellProgress, find_running
from odinw_bench.runs.record import read_record
from odinw_bench.runs.seal import find_damage
from odinw_bench.utils.text import duration

SPEC = RunSpec(
    dataset="packages",
    mode="prompt",
    shots=1,
    overrides={"epochs": 3, "repeats_per_epoch": 1, "min_steps_per_epoch": 1, "eval_every": 1},
)


def line(number, ap=None, best=False, loss=2.0, seconds=None):
    return {
        **{"epoch": number, "steps": number, "lr": 0.1, "losses": {"alignment": loss / 2, "box": loss / 2}},
        **{"validation_AP": ap, "best": best, "seconds": 2.0 * number if seconds is None else seconds},
    }


def test_history_grows_while_a_run_is_done_and_ends_as_if_written_at_once(tmp_path):
    """Seen from outside at each epoch: whole lines, a state, and no trace of it in the sealed record."""
    seen, said = [], []

    def say(text):
        said.append(text)
        (now,) = find_running(tmp_path) if (found := list(find_running(tmp_path))) else (None,)
        if now is not None and text.startswith("epoch"):
            (scratch,) = tmp_path.glob("**/.*.part")
            lines = (scratch / HISTORY).read_text().splitlines()
            seen.append((len(lines), json.loads(lines[-1])["epoch"], found[0].folder, now.lives))

    record = run(SPEC, tmp_path, device="cpu", say=say)
    folder = prepare(SPEC, tmp_path).folder
    assert [(count, epoch) for count, epoch, *_ in seen] == [(1, 1), (2, 2), (3, 3)]
    assert {(where, lives) for *_, where, lives in seen} == {(folder, True)}
    assert [text.split(":")[0] for text in said if text.startswith("epoch")] == [f"epoch {n}/3" for n in (1, 2, 3)]
    assert all("validation AP" in text and "of tuning left" in text for text in said if text.startswith("epoch"))
    assert not list(find_running(tmp_path))
    assert {"prompt.json", "predictions.json", HISTORY, "tuned.safetensors"} == set(record["files"])
    assert not list(folder.glob(f"*{PROGRESS}"))
    assert find_damage(read_record(folder)) is None
    lines = [json.loads(text) for text in (folder / HISTORY).read_text().splitlines()]
    assert (folder / HISTORY).read_text() == "".join(json.dumps(one) + "\n" for one in lines)
    assert [one["epoch"] for one in lines] == [1, 2, 3]


def test_lines_say_losses_and_what_is_left(tmp_path):
    said = []
    with CellProgress("a run", tmp_path, said.append) as one:
        one.begin_tuning(10)
        one.resume([line(1, 20.0, True), line(2)])
        one.epoch(line(3, 25.0, True, seconds=14.0))
        one.epoch(line(4, seconds=24.0))
        state = json.loads((tmp_path / PROGRESS).read_text())
        one.tested(1, 40)
        assert json.loads((tmp_path / PROGRESS).read_text())["stage"] == "testing"
    assert said == [
        "epoch 3/10: loss 2.000, validation AP 25.0 (best so far), 10 s an epoch, at most 70 s of tuning left",
        "epoch 4/10: loss 2.000, 10 s an epoch, at most 60 s of tuning left",
        "test image 1/40",
    ]
    assert (state["run"], state["epoch"], state["epochs"], state["best_AP"], state["seconds_left"]) == (
        "a run",
        4,
        10,
        25.0,
        60.0,
    )
    assert [json.loads(text)["epoch"] for text in (tmp_path / HISTORY).read_text().splitlines()] == [1, 2, 3, 4]
    assert {path.name for path in tmp_path.iterdir()} == {HISTORY}


def test_what_cannot_be_written_does_not_stop_a_run(tmp_path):
    said = []
    with CellProgress("a run", tmp_path / "gone", said.append) as one:
        one.begin_tuning(1)
        one.epoch(line(1, 5.0))
        one.tested(1, 1)
    assert len(said) == 2


def test_a_dead_run_is_silent(tmp_path, monkeypatch):
    scratch = tmp_path / "mini" / ".cell.0a1b.part"
    scratch.mkdir(parents=True)
    CellProgress("a run", scratch, print).begin_tuning(3)
    (one,) = find_running(tmp_path)
    assert one.lives
    assert one.folder == tmp_path / "mini" / "cell"
    now = progress.time.time()
    monkeypatch.setattr(progress.time, "time", lambda: now + 1000)
    (one,) = find_running(tmp_path)
    assert not one.lives
    (scratch / PROGRESS).write_text("{half")
    assert list(find_running(tmp_path)) == []


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.96, "10 s"), (99.4, "99 s"), (100, "2 min"), (9000, "2.5 h")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_loggers_hear_of_a_resumed_run_from_its_first_epoch(tmp_path):
    heard = []

    class Fake:
        def write(self, values, epoch):
            heard.append((epoch, values["loss"]))

    with CellProgress("a run", tmp_path, lambda _: None, Loggers({"fake": Fake()})) as one:
        one.begin_tuning(3)
        one.resume([line(1), line(2)])
        one.epoch(line(3))
    assert heard == [(1, 2.0), (2, 2.0), (3, 2.0)]
