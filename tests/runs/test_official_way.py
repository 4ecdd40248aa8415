"""What the official task files ask for: their prompt, and the split that they evaluate."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest

from glip_core import InputError
from odinw_bench import RunSpec, load_task
from odinw_bench.datasets.prompts import prompt_style, task_prompt
from odinw_bench.datasets.registry import load_suite
from odinw_bench.runs.grid import expand_grid
from odinw_bench.runs.prepare import prepare
from tests.report import made


def test_odinw35_has_the_written_prompts_of_its_official_files(shared):
    official = json.loads((shared / "odinw" / "datasets.json").read_text(encoding="utf-8"))
    for suite, key in (("odinw13", "odinw_13"), ("odinw35", "odinw_35")):
        captions = {one["config"]: one["caption_prompt"] for one in official[key]}
        for task in load_suite(suite):
            assert (task.prompt_style == "written") == (captions[task.config] is not None), task.name
            for mode in ("zero-shot", "prompt", "full"):
                caption = task_prompt(task, mode, style=None).caption
                if captions[task.config] is None:
                    assert caption == task_prompt(task, mode).caption
                else:
                    parts = [f"{one['prefix']}{one['name']}{one['suffix']}" for one in captions[task.config]]
                    assert caption.replace(" ", "") == ". ".join(parts).replace(" ", "")


def test_any_mode_can_have_either_style():
    written, plain = load_task("pothole"), load_task("raccoon")
    assert task_prompt(written, "prompt", style="written").caption == "there are some holes on the road"
    assert task_prompt(written, "prompt", style=None).caption == "pothole"  # odinw13
    assert task_prompt(load_task("pothole", "odinw35"), "prompt", style="names").caption == "pothole"
    assert prompt_style(plain, "prompt", "written") == "names"  # nobody wrote one
    assert prompt_style(written, "manual", None) == "written"


def test_the_style_counts_by_the_prompt_it_gives():
    """The same prompt is the same run; a spec without a choice is recorded as it always was."""
    as_before = prepare(RunSpec("pothole", mode="zero-shot"))
    names = prepare(RunSpec("pothole", mode="zero-shot", prompt_style="names"))
    written = prepare(RunSpec("pothole", mode="zero-shot", prompt_style="written"))
    assert as_before.digest == names.digest != written.digest
    assert "prompt_style" not in as_before.spec.to_json()
    assert (as_before.prompt_style, written.prompt_style) == ("names", "written")
    head = [prepare(RunSpec("pothole", model="dyhead-nano", mode="linear", prompt_style=s)) for s in (None, "written")]
    assert head[0].digest == head[1].digest  # a class head reads no prompt


def test_slips_are_one_line(cli):
    for options in (("--prompt-style", "poems"), ("--prompt-style", "names", "--mode", "manual")):
        answer = cli("run", "--dataset", "pothole", "--dry-run", *options)
        assert answer.code == 2
        assert len(answer.err.strip().splitlines()) == 1
    with pytest.raises(InputError, match="or for --prompt-style written"):
        RunSpec("pothole", attributes="a.yaml")


def test_attributes_go_with_written_prompts(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("raccoon: {suffix: ' with a mask'}\n")
    base = {"attributes": str(path), "prompt_style": "written"}
    specs, _ = expand_grid(
        models=["glip-nano"], suite="mini", datasets=["raccoon"], modes=["prompt"], shots=[1], seeds=[3], base=base
    )
    assert prepare(specs[0]).prompt.caption == "raccoon with a mask"


def test_the_official_split_is_each_tasks_own(shared):
    """Asked for by that word or by the split's name, it is the same run."""
    root = shared / "odinw" / "data"
    base = RunSpec("raccoon", model="glip-nano", suite="odinw13", mode="zero-shot", eval_split="val")
    named = prepare(base, data_root=root)
    official = prepare(replace(base, eval_split="official"), data_root=root)
    nobody = prepare(replace(base, prompt_style="written"), data_root=root)  # nobody wrote a prompt for it
    assert nobody.digest == named.digest
    assert official.digest == named.digest
    assert official.spec.eval_split == "val"
    assert {task.name for task in load_suite("odinw13") if task.eval_split == "minival"} == {"egohands", "vehicles"}


def rows(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return {row["model"]: row for row in csv.DictReader(stream)}


def test_runs_on_official_splits_are_one_row(tmp_path, cli):
    results, out = tmp_path / "results", tmp_path / "out"
    for task in ("raccoon", "egohands"):
        split = load_task(task).eval_split
        for model in ("glip-t", "glip-l"):
            one = made.spec(dataset=task, mode="zero-shot", model=model, suite="odinw13", eval_split=split)
            if (model, task) == ("glip-l", "egohands"):
                one["eval_split"] = "val"
            made.write(results, made.record(one, made.metrics(20.0)))
    assert cli("report", "--results", results, "--out", out, "--pictures", "0").code == 0
    official, val = sorted((out / "tables").glob("odinw13*-headline.csv"), key=lambda path: "val" in path.name)
    assert {model: row["tasks"] for model, row in rows(official).items()} == {"glip-t (on the official split)": "2"}
    assert {model: row["tasks"] for model, row in rows(val).items()} == {"glip-l (on val)": "2"}  # not ranked together
    assert "Splits: the paper's are of splits that it does not name" in (out / "report.md").read_text()


def test_prompts_other_than_the_official_ones_are_told_apart(tmp_path, cli):
    results, out = tmp_path / "results", tmp_path / "out"
    for task in ("pothole", "raccoon"):
        record = made.record(
            made.spec(dataset=task, mode="zero-shot", model="glip-t-c", suite="odinw13"), made.metrics(20.0)
        )
        made.write(results, record)
    record = made.record(
        made.spec(dataset="pothole", mode="zero-shot", model="glip-t-c", suite="odinw13", prompt_style="written"),
        made.metrics(25.0),
    )
    record["protocol"]["prompt_style"] = "written"
    made.write(results, record)
    for style in (None, "written"):  # of odinw35 it is the other way round
        record = made.record(
            made.spec(dataset="pothole", mode="zero-shot", model="glip-t-c", suite="odinw35", seed=3 if style else 4),
            made.metrics(25.0),
        )
        if style:
            record["protocol"]["prompt_style"] = style
        made.write(results, record)
    assert cli("report", "--results", results, "--out", out, "--pictures", "0").code == 0
    found = rows(out / "tables" / "odinw13-headline.csv")
    assert found["glip-t-c"]["tasks"] == "2"
    assert found["glip-t-c"]["official code"] == "15.1"
    assert found["glip-t-c (written prompts)"]["official code"] == ""
    with (out / "tables" / "odinw35-headline.csv").open(encoding="utf-8", newline="") as stream:
        assert {row["model"] for row in csv.DictReader(stream)} == {"glip-t-c", "glip-t-c (plain names)"}
