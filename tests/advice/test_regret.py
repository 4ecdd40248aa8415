"""How good the advice is: records of a grid are used as they are, what was measured stays, what is missing is said."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from odinw_bench.advice import Advice
from odinw_bench.advice import regret as module
from odinw_bench.advice.prior import known
from odinw_bench.advice.prior_measured import Measured
from odinw_bench.advice.regret import Conditions, Truth, in_markdown, main, regret, small_first, summary
from odinw_bench.advice.settings import DEFAULT_MODES
from odinw_bench.models import UNTUNED
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.spec import RunSpec
from tests.report import made

APS = dict(zip(DEFAULT_MODES, (10.0, 60.0, 50.0, 52.0, 55.0, 62.0, 64.0, 63.0), strict=True))


def write_grid(results, task="packages", modes=DEFAULT_MODES, seed=3, **changes):
    """Records of some ways on a task, which also say what tuning destroys."""
    for mode in modes:
        spec = RunSpec(task, mode=mode, shots=5, seed=seed)
        settings = prepare(spec, results).settings
        tuned = {"hyperparameters": settings.to_json() if settings else None}
        said = spec.to_json() | ({} if mode in UNTUNED else {"retention": ["mini"]}) | changes
        record = made.record(said, {"AP": APS[mode], "per_class": {}})
        record["protocol"] |= tuned | {"name": spec.protocol_name}
        made.write(results, record)


@pytest.fixture
def advised(monkeypatch):
    """Advice that is always the same, and no run that is really done; what was asked for."""
    asked = []

    def answer(task, budget, **settings):
        asked.append((task, budget, settings))
        content = {
            "recommendation": {"mode": "full", "expected_AP": 50.0},
            "candidates": [{"mode": "full", "tried": "in full on 1 fold"}],
            "seconds": budget / 2,
        }
        return Advice(content, SimpleNamespace())

    monkeypatch.setattr(module, "advise", answer)
    monkeypatch.setattr(module, "run", lambda spec, *_, **__: SimpleNamespace(cost={"test_seconds": 4.0}, ap=1.0))
    return asked


def test_records_of_a_grid_are_the_truth_whatever_else_they_measured(tmp_path, advised):
    write_grid(tmp_path / "grid")
    truth = Truth(Conditions(tmp_path / "grid", tmp_path / "advised"))
    row = regret("packages", 3, truth)
    assert row["AP"] == APS
    assert row["best"] == "prompt+lora"
    assert row["regret"] == 1.0  # advised was full tuning
    ((task, budget, settings),) = advised
    assert task == "packages"
    assert budget == pytest.approx(row["grid_seconds"] / 5)
    assert settings["modes"] == list(DEFAULT_MODES)
    records = [truth.of("packages", mode, 3).cost for mode in DEFAULT_MODES]
    stated = sum(cost["tune_seconds"] + cost["test_seconds"] for cost in records)
    assert row["grid_seconds"] == pytest.approx(2 * stated)  # the machine is half as fast as it was


def test_records_of_other_recipes_and_splits_are_not(tmp_path, advised):
    write_grid(tmp_path / "val", eval_split="val")
    write_grid(tmp_path / "val", protocol="quick-1", modes=["full"])
    truth = Truth(Conditions(tmp_path / "val", tmp_path / "advised", do_missing=False))
    assert "prompt+lora" in regret("packages", 3, truth)


def test_what_is_missing_is_said_and_what_was_measured_stays(tmp_path, advised, capsys):
    write_grid(tmp_path / "grid")
    write_grid(tmp_path / "grid", "rabbits", modes=["zero-shot", "manual", "full"])
    out = tmp_path / "regret.json"
    arguments = [
        "--results",
        str(tmp_path / "grid"),
        "--advised",
        str(tmp_path / "a"),
        "--out",
        str(out),
        "--no-missing",
    ]
    main([*arguments, "--tasks", "packages,rabbits", "--seeds", "3"])
    shown = capsys.readouterr().out
    assert "1 of 2 tasks and seeds: mean regret 1.00 AP," in shown
    assert "rabbits seed 3 (no record of prompt, linear, bias, lora, prompt+lora)" in shown
    write_grid(tmp_path / "grid", "rabbits", modes=[mode for mode in DEFAULT_MODES if mode not in ("full", *UNTUNED)])
    main([*arguments, "--tasks", "packages,rabbits", "--seeds", "3"])
    assert len(advised) == 2  # packages was not asked again
    assert "2 of 2 tasks and seeds" in capsys.readouterr().out
    content = json.loads(out.read_text())
    assert [row["task"] for row in content["rows"]] == ["packages", "rabbits"]
    assert content["mean_regret"] == 1.0
    main([*arguments, "--tasks", "packages", "--seeds", "3", "--part", "0.5"])
    assert len(advised) == 3  # another budget is another question


def test_what_is_known_beforehand_is_from_the_other_tasks_alone(tmp_path, advised, monkeypatch):
    tunes = [mode for mode in DEFAULT_MODES if mode not in UNTUNED]
    gains = {"packages": 40.0, "rabbits": 5.0, "raccoon": 7.0}  # of lora over the other ways
    on_validation = {
        task: Measured({mode: 50.0 + gain * (mode == "lora") for mode in tunes}, dict.fromkeys(tunes, -3.0), 100.0)
        for task, gain in gains.items()
    }
    monkeypatch.setattr(module, "collect", lambda *_: (on_validation, "glip-nano, made up"))
    monkeypatch.setattr(module, "quickest_steps", lambda *_: dict.fromkeys(tunes, 1.0))
    answer, seen = module.advise, []
    monkeypatch.setattr(module, "advise", lambda *given, **more: (seen.append(known()), answer(*given, **more))[1])
    write_grid(tmp_path / "grid")
    conditions = Conditions(tmp_path / "grid", tmp_path / "advised", prior=tmp_path / "validation")
    regret("packages", 3, Truth(conditions))
    (prior,) = seen
    assert prior.tasks == ["rabbits", "raccoon"]
    assert prior.gains["lora"] == 6.0
    assert prior.noise == 10.0
    assert known() != prior  # outside, what ships with the program is known again


def test_no_task_is_begun_when_the_time_is_over(tmp_path, advised, capsys):
    main(["--results", str(tmp_path), "--out", str(tmp_path / "r.json"), "--minutes", "-1", "--seeds", "3"])
    assert not advised
    assert "packages seed 3 (no time)" in capsys.readouterr().out


def test_the_summary_in_numbers_and_words():
    rows = [
        {"task": task, "seed": seed, "advised": "full", "best": best, "AP": {"full": 50.0, "lora": lora}}
        | {"regret": max(lora - 50.0, 0.0), "grid_seconds": 100.0, "advice_seconds": 20.0}
        for task, seed, best, lora in (("a", 3, "lora", 54.0), ("b", 30, "full", 44.0))
    ]
    found = summary(rows)
    assert found["mean_regret"] == 2.0
    assert found["low"] < 2.0 < found["high"]
    assert found["best_advised"] == 0.5
    assert found["time_share"] == pytest.approx(0.2)
    assert found["constant"] == {"full": 2.0, "lora": 3.0}
    text = in_markdown(rows, {"b seed 3": "no time"})
    assert "| a | 3 | full | 50.0 | lora | 54.0 | 4.0 | 20% |" in text
    assert "2 of 3 tasks and seeds: mean regret 2.00 AP (95 % interval over tasks" in text
    assert "always taking one way: full 2.0, lora 3.0" in text


def test_the_interval_is_over_tasks_whose_seeds_lose_alike():
    once = [
        {"task": task, "seed": 3, "advised": "full", "best": "lora", "AP": {"full": 50.0 - lost, "lora": 50.0}}
        | {"regret": lost, "grid_seconds": 100.0, "advice_seconds": 20.0}
        for task, lost in (("a", 1.0), ("b", 4.0), ("c", 2.5))
    ]
    thrice = [row | {"seed": seed} for row in once for seed in (3, 30, 300)]
    assert {**summary(thrice), "constant": None} == pytest.approx({**summary(once), "constant": None})


def test_small_tasks_come_first():
    order = small_first(["pascalvoc", "packages", "shellfish"])
    assert order == ["packages", "shellfish", "pascalvoc"]
