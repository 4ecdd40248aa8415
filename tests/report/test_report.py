"""``odinw-bench report`` as a user runs it: the files, and that their numbers are those of the predictions."""

from __future__ import annotations

import csv
import json
import re
import statistics
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from glip_core.files import file_sha256
from odinw_bench import RunSpec, run
from odinw_bench.metrics.published import facts, published_cost
from odinw_bench.mini import load_recipe
from odinw_bench.report import ReportSettings, build_report
from odinw_bench.report.averages import Config
from odinw_bench.report.published import published_ap
from tests.cli.conftest import write_dataset
from tests.report import made
from tests.report.conftest import HOSTILE


@pytest.fixture(scope="module")
def reported(grid, tmp_path_factory):
    """The report of the grid."""
    out = tmp_path_factory.mktemp("report")
    build_report(ReportSettings(grid, out, pictures=1))
    return out


def rows(out, table):
    with (out / "tables" / f"{table}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def row(out, table, **wanted):
    found = [one for one in rows(out, table) if all(one[key] == value for key, value in wanted.items())]
    assert len(found) == 1, (table, wanted, len(found))
    return found[0]


def coco_ap(folder):
    """AP and AP per class of a record's predictions, by the reference evaluator and nothing of ours."""
    spec = json.loads((folder / "run.json").read_text())["spec"]
    truth, found = COCO(), COCO()
    truth.dataset = made.drawn(spec["dataset"]).annotations
    predictions = json.loads((folder / "predictions.json").read_text())
    boxes = [
        one | {"id": number, "area": one["bbox"][2] * one["bbox"][3], "iscrowd": 0}
        for number, one in enumerate(predictions, start=1)
    ]
    found.dataset = truth.dataset | {"annotations": boxes}
    truth.createIndex()
    found.createIndex()
    evaluator = COCOeval(truth, found, "bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    precision = evaluator.eval["precision"][:, :, :, 0, -1]
    names = [category["name"] for category in truth.dataset["categories"]]
    per_class = {name: 100 * precision[:, :, k].mean() for k, name in enumerate(names)}
    return 100 * precision[precision > -1].mean(), per_class


def test_every_number_of_the_headline_is_that_of_the_predictions(grid, reported):
    measured = {}
    for path in grid.glob("mini/*/*/*/predictions.json"):
        model, dataset, name = path.parts[-4:-1]
        mode, shots = re.fullmatch(r"(.*)-(\w+)shot-seed\d+-\w+", name).groups()
        measured.setdefault((model, mode, shots), {}).setdefault(dataset, []).append(coco_ap(path.parent)[0])
    table = rows(reported, "mini-headline")
    assert len(table) == len(measured) == 14
    for one in table:
        by_task = measured[one["model"], one["mode"], one["shots"]]
        mean = statistics.fmean(statistics.fmean(values) for values in by_task.values())
        assert float(one["AP"]) == pytest.approx(mean, abs=1e-3)
        assert int(one["tasks"]) == len(by_task)


def test_classes_and_the_names_seen_are_those_of_the_predictions(grid, reported):
    wanted = {"model": "glip-nano", "mode": "prompt", "shots": "1"}
    by_task = {}
    for dataset in ("aquarium", "packages"):
        folders = sorted((grid / "mini" / "glip-nano" / dataset).glob("prompt-1shot-*"))
        aps = [coco_ap(folder)[1] for folder in folders]
        assert len(aps) == 2
        by_task[dataset] = {name: statistics.fmean(ap[name] for ap in aps) for name in aps[0]}
        shown = row(reported, f"mini-classes-{dataset}", **wanted)
        for name, ap in by_task[dataset].items():
            assert float(shown[name]) == pytest.approx(ap, abs=1e-3)
    seen = {entry.name: entry.seen for task in by_task for entry in load_recipe(task).classes}
    means = {
        kind: statistics.fmean(
            statistics.fmean(values)
            for classes in by_task.values()
            if (values := [ap for name, ap in classes.items() if seen[name] is kind])
        )
        for kind in (True, False)
    }
    shown = row(reported, "mini-seen", **wanted)
    assert float(shown["seen names"]) == pytest.approx(means[True], abs=1e-3)
    assert float(shown["unseen names"]) == pytest.approx(means[False], abs=1e-3)
    assert float(shown["seen − unseen"]) == pytest.approx(means[True] - means[False], abs=1e-3)


def test_manual_against_names_and_the_ladder_are_differences_task_by_task(reported):
    by_task = {(one["model"], one["mode"], one["shots"]): one for one in rows(reported, "mini-datasets")}
    shown = row(reported, "mini-prompts", model="glip-nano")
    gains = [
        float(by_task["glip-nano", "manual", "0"][task]) - float(by_task["glip-nano", "zero-shot", "0"][task])
        for task in ("aquarium", "packages")
    ]
    assert float(shown["difference"]) == pytest.approx(statistics.fmean(gains), abs=1e-3)
    assert [float(shown["aquarium"]), float(shown["packages"])] == pytest.approx(gains, abs=1e-3)
    step = row(reported, "mini-ladder", mode="linear", shots="5", model="glip-nano")
    first, second = by_task["glip-nano", "linear", "5"], by_task["glip-nano-a", "linear", "5"]
    assert second["packages"] == ""
    assert step["against"] == "glip-nano-a"
    assert step["shared tasks"] == "1"
    assert float(step["difference"]) == pytest.approx(float(first["aquarium"]) - float(second["aquarium"]), abs=1e-3)
    assert step["low"] == step["high"] == ""  # of one task there is no interval
    order = [one["model"] for one in rows(reported, "mini-ladder") if (one["mode"], one["shots"]) == ("linear", "1")]
    assert order == ["dyhead-nano", "glip-nano-a", "glip-nano"]


def test_what_is_missing_and_what_failed_is_said(reported):
    text = (reported / "report.md").read_text(encoding="utf-8")
    assert "Every mean is over the same" not in text
    assert "Only means over the same tasks are comparable" in text
    missing = rows(reported, "mini-missing")
    listed = {(one["model"], one["mode"], one["shots"]): one for one in missing}
    lost = listed["glip-nano-a", "linear", "5"]
    assert (lost["missing"], lost["tasks"], lost["seeds"]) == ("2", "packages", "3, 30")
    assert lost["to do them"] == (
        "odinw-bench run --model glip-nano-a --suite mini --dataset packages --mode linear --shots 5 --seed 3,30"
    )
    assert listed["glip-nano", "prompt", "5"]["seeds"] == "30"
    assert listed["glip-nano", "full", "5"]["missing"] == "4"  # failed once, never done
    assert len(missing) == 3
    assert "Tasks without any run: aerial, egohands" in text
    (absent,) = [line for line in text.splitlines() if line.startswith("Configurations without any run")]
    assert absent == (  # what cannot be, a prompt of dyhead-nano, is not among it
        "Configurations without any run: glip-nano-a, dyhead-nano: full (1, 5 shots); glip-nano: full (1 shot)."
    )
    shared = row(reported, "mini-headline", model="glip-nano-a", mode="linear", shots="5")
    assert shared["tasks"] == "1"
    assert shared["AP on 2 shared"] == ""
    failed = rows(reported, "mini-failed")
    assert [one["error"] for one in failed] == [f"RuntimeError: {HOSTILE}"]


def test_the_same_records_give_the_same_bytes(grid, reported, tmp_path, cli):
    answer = cli("report", "--results", grid, "--out", tmp_path, "--pictures", "1", "--json")
    assert answer.code == 0, answer.err
    written = json.loads(answer.out)["written"]
    first = {path.relative_to(reported): path.read_bytes() for path in reported.rglob("*") if path.is_file()}
    second = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert first == second
    assert len(written) == len(second)
    assert {path.suffix for path in second} == {".html", ".md", ".csv", ".tex", ".png", ".svg"}


class Outline(HTMLParser):
    """Ids, links and everything that could load something."""

    def __init__(self, page):
        super().__init__()
        self.ids, self.links, self.loads, self.tags = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        target = given.get("href") or given.get("xlink:href") or given.get("src")
        if tag == "a":
            self.links.append(target)
        elif target:
            self.loads.append(target)


def test_the_page_is_whole_and_every_task_can_be_linked_to(reported):
    text = (reported / "report.html").read_text(encoding="utf-8")
    page = Outline(text)
    assert len(page.ids) == len(set(page.ids))
    assert {"mini-headline", "mini-task-aquarium", "mini-task-packages", "provenance"} <= set(page.ids)
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert all(target.startswith(("#", "data:image/webp;base64,")) for target in page.loads)
    assert re.search(r"url\((?!#)", text) is None
    assert "default-src 'none'" in text
    assert "img" not in page.tags  # HOSTILE would be one
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    for heading, following in pairwise(re.findall(r"<h(\d)", text)):
        assert int(following) <= int(heading) + 1  # no level is skipped


def test_markdown_and_latex_keep_hostile_names_harmless(reported):
    text = (reported / "report.md").read_text(encoding="utf-8")
    assert "<img" not in text
    columns = {line.replace("\\|", "").count("|") for line in text.splitlines() if "onerror" in line}
    assert len(columns) == 1
    latex = (reported / "tables" / "mini-failed.tex").read_text(encoding="utf-8")
    assert r"\textless{}img src=x onerror=alert(1)\textgreater{}\&" in latex
    body = [line for line in latex.splitlines() if line.endswith(r" \\")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {len(body[0].split(" & ")) - 1}


def test_a_set_of_your_own_with_odd_names(tmp_path, cli):
    """Names of folders and classes are anything; a suite that is not known has the tasks it has."""
    results, out = tmp_path / "results", tmp_path / "out"
    for dataset in ("Ängste", "a b", "a-b"):
        said = made.spec(dataset=dataset, suite="custom", model="my model")
        made.write(results, made.record(said, made.metrics(50.0, **{HOSTILE: 50.0, "=1+1": 50.0})), [])
    answer = cli("report", "--results", results, "--out", out)
    assert answer.code == 0, answer.err
    assert answer.err.count("no gallery of custom/") == 3
    page = Outline((out / "report.html").read_text(encoding="utf-8"))
    assert len(page.ids) == len(set(page.ids))
    assert len([name for name in page.ids if name.startswith("custom-task-") and not name.endswith("--title")]) == 3
    assert len(list((out / "tables").glob("custom-classes-*.csv"))) == 3
    assert "img" not in page.tags
    assert row(out, "custom-headline")["tasks"] == "3"
    assert "give its folder with --data FOLDER" in (out / "report.md").read_text(encoding="utf-8")


@pytest.fixture
def own(tmp_path):
    """The record of a run on a data set of one's own, the data set, and where a report may go."""
    folder = write_dataset(tmp_path / "pets")
    said = made.spec(dataset="pets", suite="custom")
    predictions = [{"image_id": 0, "category_id": 1, "bbox": [10, 10, 40, 30], "score": 0.9}]
    made.write(tmp_path / "results", made.record(said, made.metrics(50.0, cat=100.0, dog=0.0)), predictions)
    return tmp_path / "results", folder, tmp_path / "out"


def test_a_gallery_of_your_own_data(cli, own):
    results, folder, out = own
    answer = cli("report", "--results", results, "--out", out, "--data", folder)
    assert answer.code == 0, answer.err
    text = (out / "report.html").read_text(encoding="utf-8")
    assert "worst: F1 0.00, 0 right, 0 wrong, 1 missed" in text
    assert "best: F1 1.00, 1 right, 0 wrong, 0 missed" in text
    assert text.count("data:image/webp;base64,") == 2


def test_your_own_data_are_found_where_the_record_says_they_were(cli, own, tmp_path):
    _, folder, out = own
    sha256 = file_sha256(folder / "test" / "_annotations.coco.json")
    said = made.spec(dataset="pets", suite="custom")
    record = made.record(said, made.metrics(50.0, cat=100.0, dog=0.0), sha256=sha256)
    record["data"]["folder"] = str(folder)
    predictions = [{"image_id": 0, "category_id": 1, "bbox": [10, 10, 40, 30], "score": 0.9}]
    run = made.write(tmp_path / "known", record, predictions)
    assert cli("report", "--results", tmp_path / "known", "--out", out).code == 0
    assert (out / "report.html").read_text(encoding="utf-8").count("data:image/webp;base64,") == 2
    assert "A and B are equal" in cli("compare", run, run, "--samples", "10").out
    moved = tmp_path / "elsewhere" / "pets"
    moved.parent.mkdir()
    folder.rename(moved)
    line = cli("compare", run, run).refused()
    assert f"give its folder with --data FOLDER; it was tested at '{folder}'" in line
    assert cli("compare", run, run, "--samples", "10", "--data", moved).code == 0
    moved.rename(folder)
    with (folder / "test" / "_annotations.coco.json").open("a") as file:
        file.write("\n")
    assert "are not those of the record" in cli("compare", run, run).refused()


@pytest.mark.integration
@pytest.mark.parametrize("of", ["own", "grid"])
def test_a_report_brings_no_torch(own, grid, of):
    results, folder, out = own
    code = "import sys; from odinw_bench.cli import main\ntry: main()\nfinally: print('torch' in sys.modules)"
    arguments = ["report", "--results", results if of == "own" else grid, "--out", out, "--data", folder]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False"


def test_the_gallery_refuses_other_data_than_the_records(tmp_path, cli):
    said = made.spec(dataset="packages")
    made.write(tmp_path / "results", made.record(said, made.metrics(50.0), sha256="0" * 64), [])
    answer = cli("report", "--results", tmp_path / "results", "--out", tmp_path / "out")
    assert answer.code == 0
    assert "are not those of the record" in answer.err


def test_true_runs_are_reported(tmp_path, cli):
    """What the runner writes is what the report reads."""
    results, out = tmp_path / "results", tmp_path / "out"
    for dataset in ("packages", "raccoon"):
        spec = RunSpec(
            dataset, model="dyhead-nano", mode="linear", shots=1, overrides={"epochs": 1, "repeats_per_epoch": 1}
        )
        record = run(spec, results)
        assert record["status"] == "done"
    answer = cli("report", "--results", results, "--out", out, "--pictures", "1")
    assert answer.code == 0, answer.err
    assert "no gallery" not in answer.err
    shown = row(out, "mini-headline")
    assert (shown["model"], shown["tasks"]) == ("dyhead-nano (epochs=1, repeats_per_epoch=1)", "2")
    cost = row(out, "mini-cost")
    assert float(cost["trainable parameters"]) == record["cost"]["tuned_parameters"]
    assert row(out, "environment")["torch"] == record["environment"]["torch"]
    assert row(out, "weights")["sha256"] == record["weights_sha256"]


def test_published_facts_are_the_shared_ones(shared):
    source = json.loads((shared / "odinw" / "published.json").read_text(encoding="utf-8"))
    shipped = facts()
    assert set(shipped) <= set(source)
    assert shipped == {key: source[key] for key in shipped}
    lettered = published_cost("glip-t-b", "inference", fusion=True)
    assert lettered is not None and lettered.images_per_second == 2.52
    assert published_cost("dyhead-t", "inference", fusion=False) is None


def test_published_numbers_stand_beside_the_real_suite_alone(tmp_path, cli, shared):
    source = json.loads((shared / "odinw" / "published.json").read_text(encoding="utf-8"))
    paper = {(one["model"], one["mode"], str(one["shots"])): one for one in source["glip_zero_shot_and_tuning"]}
    zero, prompt = paper["GLIP-T", "zero-shot", "0"], paper["GLIP-T", "prompt", "1"]
    written = {entry["dataset"] for entry in source["manual_prompts"]["examples"]}
    results, out = tmp_path / "results", tmp_path / "out"

    def put(ap, dataset, mode, **said):
        one = made.spec(dataset=dataset, mode=mode, model="glip-t", suite="odinw13", **said)
        made.write(results, made.record(one, made.metrics(ap)))

    for task, entry in zero["per_dataset"].items():
        put(entry["ap"] + 1, task, "manual" if task in written else "zero-shot")
    for task in written:
        put(1.0, task, "zero-shot")
    for task in ("aquarium", "packages"):
        put(prompt["per_dataset"][task]["ap"] - 2, task, "prompt", shots=1)
    put(50.0, "aquarium", "prompt", shots=5, weights="mine.pth")
    made.write(results, made.record(made.spec(dataset="aquarium"), made.metrics(50.0)))
    answer = cli("report", "--results", results, "--out", out, "--pictures", "0")
    assert answer.code == 0, answer.err

    as_paper = row(out, "odinw13-headline", mode="zero-shot, paper's prompts")
    assert as_paper["tasks"] == "13"
    assert float(as_paper["published"]) == zero["average"]["ap"]
    mean = statistics.fmean(entry["ap"] for entry in zero["per_dataset"].values()) + 1
    assert float(as_paper["difference"]) == pytest.approx(mean - zero["average"]["ap"], abs=1e-3)
    assert row(out, "odinw13-headline", mode="zero-shot")["published"] == ""  # other prompts than the paper's
    tuned = row(out, "odinw13-headline", mode="prompt", shots="1")
    same = statistics.fmean(prompt["per_dataset"][task]["ap"] for task in ("aquarium", "packages"))
    assert float(tuned["published"]) == pytest.approx(same, abs=1e-3)  # over the same two tasks
    assert float(tuned["difference"]) == pytest.approx(-2.0, abs=1e-3)
    assert row(out, "odinw13-headline", mode="prompt", shots="5")["published"] == ""  # other weights
    assert "published" not in rows(out, "mini-headline")[0]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert f'title="published: GLIP-T, {zero["source"]}"' in page
    assert source["caveats"][0] in page.replace("&#39;", "'").replace("&#34;", '"')


def test_plain_names_and_manual_prompts_meet_the_papers_own():
    names, manual = Config("glip-t", "", "zero-shot", "0"), Config("glip-t", "", "manual", "0")
    assert published_ap(names, "raccoon") is not None
    assert published_ap(manual, "raccoon") is None
    assert published_ap(names, "aquarium") is None
    assert published_ap(manual, "aquarium") is not None
    small = Config("glip-t-a", "", "zero-shot", "0")  # for it the paper wrote two of them
    assert published_ap(small, "aquarium") is not None
    assert published_ap(small, "rabbits") is None
    assert published_ap(Config("glip-nano", "", "zero-shot", "0"), "raccoon") is None


def test_profiles_become_the_table_of_fusion_cost(tmp_path, cli):
    results, out = tmp_path / "results", tmp_path / "out"
    made.write(results, made.record(made.spec(), made.metrics(50.0)))
    settings = {"model": "glip-t", "fusion": True, "phase": "inference", "batch": 1, "precision": "fp32"}
    measured = {
        "settings": settings,
        "images_per_second": 0.25,
        "peak_memory_bytes": 2_400_000_000,
        "gflops": 400.0,
        "environment": {"device_name": "a processor"},
    }
    content = {"schema": 1, "kind": "profile", "measured": [measured, {"settings": settings, "error": "out of memory"}]}
    (results / "profile.json").write_text(json.dumps(content))
    (results / "profile-foreign.json").write_text("[")
    assert cli("report", "--results", results, "--out", out, "--pictures", "0").code == 0
    shown = row(out, "fusion-cost")
    assert (shown["images/s"], shown["published images/s"], shown["published GB"]) == ("0.25", "2.52", "2.4")


def test_a_record_that_is_passed_over_is_said(cli, own):
    results, _, out = own
    said = made.spec(dataset="pets", suite="custom", seed=30)
    made.write(results, made.record(said, made.metrics(50.0) | {"AP": None}), [])
    answer = cli("report", "--results", results, "--out", out, "--pictures", "0")
    assert answer.code == 0, answer.err
    (line,) = [line for line in answer.err.splitlines() if "passed over" in line]
    assert line.startswith("1 record passed over: custom/") and line.endswith("holds nothing to find")


def test_bad_input_is_one_line(tmp_path, cli):
    assert "no run records" in cli("report", "--results", tmp_path, "--out", tmp_path / "out").refused()
    assert "not found" in cli("report", "--results", tmp_path / "no", "--out", tmp_path / "out").refused()
    assert not (tmp_path / "out").exists()
