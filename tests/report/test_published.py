"""Published numbers: each beside what it is of, with every caveat that is about it, and none that is not."""

from __future__ import annotations

import csv
import json
import statistics

import pytest

from odinw_bench.metrics.published import (
    caveats,
    facts,
    official_code,
    per_dataset_2026,
    state_of_the_art,
)
from odinw_bench.report.averages import AS_PUBLISHED, Config
from odinw_bench.report.published import official_code_mean, published_mean, released_mean
from odinw_bench.report.state_of_the_art import to_know
from odinw_bench.utils.escape import for_csv
from tests.report import made

ALL = sorted(facts()["glip_zero_shot_and_tuning"][0]["per_dataset"])


def rows(out, table):
    with (out / "tables" / f"{table}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def unescaped(page):
    return page.replace("&#39;", "'").replace("&#34;", '"').replace("&gt;", ">")


def test_shipped_tables_are_the_shared_ones(shared):
    for ours, theirs in (
        ("published_2026.csv", "odinw_published_2026.csv"),
        ("published_2026_per_dataset.csv", "odinw13_per_dataset_2026.csv"),
    ):
        from importlib import resources

        shipped = (resources.files("odinw_bench.metrics") / ours).read_text(encoding="utf-8")
        assert shipped == (shared / "odinw" / theirs).read_text(encoding="utf-8")
    source = json.loads((shared / "odinw" / "published.json").read_text(encoding="utf-8"))
    shown = {
        text
        for kind in ("paper", "released", "official-code", "state-of-the-art")
        for model in ("GLIP-T", "GLIP-T (A)", "Grounding DINO-L")
        for mode, shots in (("zero-shot", "0"), ("full", "1"))
        for text in caveats(kind, model=model, mode=mode, shots=shots, datasets=ALL)
    }
    whole = [text for text in source["caveats"] if not text.startswith(("Table 11", "mmdetection's ODinW-13"))]
    assert len(whole) == 7
    assert set(whole) <= shown  # the other two are split up by the number that each part is about


def test_the_released_weights_have_a_row_beside_the_papers():
    for model, paper, released in (("glip-t", 46.5, 42.7), ("glip-l", 52.1, 51.2), ("glip-t-c", 44.4, 44.4)):
        config = Config(model, "", AS_PUBLISHED, "0")
        assert published_mean(config, ALL).ap == paper
        assert released_mean(config, ALL).ap == released
        assert released_mean(Config(model, "", "zero-shot", "0"), ALL).ap == released
        assert released_mean(config, ALL[:3]) is None  # no number by task is known
        assert released_mean(Config(model, "", "prompt", "1"), ALL) is None
        assert released_mean(Config(model, "weights mine.pth", "zero-shot", "0"), ALL) is None
    said = released_mean(Config("glip-t", "", "zero-shot", "0"), ALL).caveats
    assert any("46.5" in text and "42.7" in text for text in said)
    assert any("prompts" in text for text in said)


def test_the_official_code_is_the_target_of_plain_names():
    for model, mean in (("glip-t-a", 32.4), ("glip-t-b", 31.8), ("glip-t-c", 39.2)):
        found = official_code_mean(Config(model, "", "zero-shot", "0"), ALL)
        assert found.ap == mean
        assert "split 'val'" in found.source
        assert official_code_mean(Config(model, "", "manual", "0"), ALL) is None
    some = official_code_mean(Config("glip-t-c", "", "zero-shot", "0"), ["raccoon", "pothole"])
    assert some.ap == pytest.approx((24.4 + 5.8) / 2)
    assert official_code_mean(Config("glip-t", "", "zero-shot", "0"), ALL) is None
    for model in ("GLIP-T (A)", "GLIP-T (C)"):  # what is printed as the mean is that of what we took over
        row = official_code()["rows"][model]
        assert statistics.fmean(row["per_dataset"].values()) == pytest.approx(row["average"], abs=0.05)


def test_rows_beside_the_wrong_task_are_left_out():
    """mmdetection's column for GLIP-T (B) gives EgoHands the value of PascalVOC, and so on."""
    lettered = Config("glip-t-b", "", "zero-shot", "0")
    assert official_code_mean(lettered, ["egohands"]) is None
    assert official_code_mean(lettered, ["raccoon"]).ap == 28.8
    assert any("wrong tasks" in text for text in official_code_mean(lettered, ALL).caveats)


def test_the_body_of_a_glip_is_not_the_papers_dyhead(tmp_path, cli):
    """DyHead-T (O365) of the paper was pre-trained with a class head; the body of GLIP-T (A) was not."""
    results, out = tmp_path / "results", tmp_path / "out"
    for weights in ("glip-t-a", "own.pth"):
        one = made.spec(dataset="aquarium", mode="linear", model="dyhead-t", suite="odinw13", shots=1, weights=weights)
        made.write(results, made.record(one, made.metrics(30.0)))
    assert cli("report", "--results", results, "--out", out, "--pictures", "0").code == 0
    by_model = {row["model"]: row for row in rows(out, "odinw13-headline")}
    body = by_model["dyhead-t (weights glip-t-a: its body under a new class layer)"]
    assert body["published"] == ""
    assert by_model["dyhead-t (weights own.pth)"]["published"] != ""


def test_each_caveat_stands_in_the_table_of_its_number(tmp_path, cli):
    """The report printed the first five of nine, whatever numbers it showed."""
    results, out = tmp_path / "results", tmp_path / "out"
    for task in ("vehicles", "raccoon"):
        one = made.spec(dataset=task, mode="zero-shot", model="glip-t-a", suite="odinw13")
        made.write(results, made.record(one, made.metrics(20.0)))
    assert cli("report", "--results", results, "--out", out, "--pictures", "0").code == 0
    page = unescaped((out / "report.html").read_text(encoding="utf-8"))
    twice = next(text for text in caveats("paper", datasets=["vehicles"]) if text.startswith("VehiclesOpenImages"))
    assert page.count(twice) == 2  # the headline, and the task's own table
    reruns = next(text for text in caveats("paper", model="GLIP-T (A)", mode="zero-shot") if "Re-runs" in text)
    assert reruns in page
    latex = (out / "tables" / "odinw13-headline.tex").read_text(encoding="utf-8")
    assert f"% {twice}" in latex.splitlines()
    assert "sample deviation" not in page  # about standard deviations of tuned runs, of which there are none


def test_a_suite_without_published_numbers_has_no_caveats(tmp_path, cli):
    results, out = tmp_path / "results", tmp_path / "out"
    made.write(results, made.record(made.spec(dataset="aquarium"), made.metrics(50.0)))
    assert cli("report", "--results", results, "--out", out, "--pictures", "0").code == 0
    assert "not measured here" not in (out / "report.html").read_text(encoding="utf-8")
    assert not (out / "published.html").exists()


def test_later_models_have_a_page_of_their_own(tmp_path, cli):
    results, out = tmp_path / "results", tmp_path / "out"
    one = made.spec(dataset="raccoon", mode="zero-shot", model="glip-t", suite="odinw13")
    made.write(results, made.record(one, made.metrics(20.0)))
    assert cli("report", "--results", results, "--out", out, "--pictures", "0").code == 0
    assert "published.html" in (out / "report.md").read_text(encoding="utf-8")
    page = unescaped((out / "published.html").read_text(encoding="utf-8"))
    assert "none of them measured here" in page
    means = rows(out, "published-means")
    assert len(means) == len(state_of_the_art())
    for line, model in zip(means, state_of_the_art(), strict=True):
        assert line["model"] == model.model
        assert line["0 shots"] == model.odinw13.get("0", "")
        assert line["to know"] == for_csv(to_know(model))
        assert model.note in line["to know"]
        assert line["source"] == model.source
    assert next(line for line in means if line["model"] == "SAM 3")["1 shots"] == "66.1±0.8"
    assert len(rows(out, "published-tasks")) == len(per_dataset_2026())
    assert "57.3" in next(line for line in means if line["model"] == "Grounding DINO-L")["to know"]
    released = {line["model"]: line for line in rows(out, "published-released")}
    assert released["GLIP-T (CC3M+SBU)"]["README, 0 shots"] == "42.7"
    assert released["GLIP-T (A)"]["official code, 0 shots"] == "32.4"
