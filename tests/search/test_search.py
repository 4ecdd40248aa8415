"""The prompt search through the program: it finds, resumes, shares, and never looks at the test split."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import yaml

from odinw_bench import load_task
from odinw_bench.datasets.prompts import task_prompt
from odinw_bench.engine.scorer import shuffled
from odinw_bench.runs.prepare import prepare
from odinw_bench.runs.record import find_records
from odinw_bench.search import SearchSettings, begin, set_up, work, written_params
from odinw_bench.search.outcome import hand_written_ap, plain_names
from odinw_bench.search.prompt_search import labelled_images, shuffled_control
from odinw_bench.search.space import PromptSpace
from odinw_bench.search.study import open_storage, open_study
from odinw_bench.search.words import pools_of
from tests.cli.conftest import write_dataset

SMALL = ("search", "--dataset", "packages", "--shots", "1", "--no-control", "--no-explain")


def search_json(results):
    (path,) = results.glob("search/**/search.json")
    return json.loads(path.read_text()), path.parent


def test_it_finds_a_prompt_that_run_takes(cli, tmp_path):
    """A name that pre-training never showed is never found; words for its looks are."""
    results = tmp_path / "results"
    answer = cli("search", "--dataset", "packages", "--shots", "1", "--trials", "14", "--results", results)
    assert answer.code == 0, answer.err
    content, folder = search_json(results)
    prompts = content["prompts"]
    assert prompts["plain names"]["test_AP"] < 5
    assert prompts["best found"]["test_AP"] > prompts["plain names"]["test_AP"] + 10
    assert prompts["hand-written"]["search_AP"] is not None  # tried first
    assert content["trials"][0]["given"] == "plain names"
    assert content["shuffled_control"]["gain"] < prompts["best found"]["search_AP"]
    assert content["words"][0]["class"] == "package"
    assert content["words"][0]["low"] <= content["words"][0]["difference"] <= content["words"][0]["high"]
    assert (folder / "history.png").stat().st_size > 5000
    assert "shuffled-label control" in answer.err and "AP on the labelled images" in answer.out
    again = cli(
        *("run", "--dataset", "packages", "--mode", "manual", "--attributes", folder / "best.yaml"),
        *("--results", results, "--json"),
    )
    (run,) = json.loads(again.out)
    assert run["record"]["metrics"]["AP"] == prompts["best found"]["test_AP"]
    out = tmp_path / "report"
    assert cli("report", "--results", results, "--out", out, "--pictures", "0").code == 0
    assert f"| {len(content['trials'])} |" in (out / "report.md").read_text().partition("Prompt searches")[2]
    assert (out / "figures" / "searches.png").is_file()
    assert len(list(find_records(results))) == len(prompts)  # plain, hand-written, best, simplest: once each
    assert all(one["kept"] or one["low"] <= 0 for one in content["single_words"])
    if "simplest" in prompts:
        assert prompts["simplest"]["caption"] != prompts["best found"]["caption"]
        assert (folder / "simplest.yaml").is_file()
        assert "earned their place" in answer.out


def test_a_search_goes_on(cli, tmp_path):
    for trials in ("3", "5"):
        assert cli(*SMALL, "--trials", trials, "--results", tmp_path, "--quiet").code == 0
        content, _ = search_json(tmp_path)
        assert [trial["number"] for trial in content["trials"]] == list(range(int(trials)))
    assert [trial["given"] for trial in content["trials"][:3]] == ["plain names", "hand-written", None]


def test_without_hints_the_hand_written_prompt_is_not_tried(cli, tmp_path):
    assert cli(*SMALL, "--trials", "2", "--from-scratch", "--results", tmp_path, "--quiet").code == 0
    content, _ = search_json(tmp_path)
    assert [trial["given"] for trial in content["trials"]] == ["plain names", None]


@pytest.mark.slow
@pytest.mark.integration
def test_a_killed_search_goes_on_and_workers_share_it(tmp_path):
    command = [sys.executable, "-m", "odinw_bench", *SMALL, "--results", str(tmp_path), "--trials", "40"]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = None
    for _ in range(600):
        time.sleep(0.1)
        journal = next(tmp_path.glob("search/**/study.journal"), None)
        if journal and journal.read_text().count('"caption"') >= 4:
            break
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = journal.read_text().count('"caption"')
    assert 4 <= before < 40
    done = subprocess.run([*command, "--workers", "2", "--json"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    trials = json.loads(done.stdout)["trials"]
    assert 40 <= len(trials) <= 41  # two workers may end their last trials at once
    assert len({trial["number"] for trial in trials}) == len(trials)


def test_storages_that_cannot_be_opened_are_one_line(cli, tmp_path):
    line = cli(*SMALL, "--results", tmp_path, "--storage", "postgresql://me:secret@127.0.0.1:9/x").refused()
    assert "cannot be opened" in line and "secret" not in line
    assert "cannot be opened" in cli(*SMALL, "--results", tmp_path, "--storage", "nonsense").refused()
    assert "reads no prompts" in cli(*SMALL, "--model", "dyhead-nano").refused()
    assert "unknown task" in cli("search", "--dataset", "nowhere").refused()


def test_slips_are_found_before_the_first_search(cli, tmp_path):
    place = ("--results", tmp_path / "r")
    assert "unknown task 'aquarum'" in cli("search", "--dataset", "packages,aquarum", *place).refused()
    assert "--mode is for --space tuning" in cli(*SMALL, "--mode", "full", *place).refused()
    assert "--protocol is for --space tuning" in cli(*SMALL, "--protocol", "mini-2", *place).refused()
    assert not (tmp_path / "r").exists()


def test_json_of_several_data_sets_is_one_list(cli, monkeypatch):
    done = []

    def search(settings, arguments):
        done.append(settings.dataset)
        return {"dataset": settings.dataset}

    monkeypatch.setattr("odinw_bench.cli.search._search", search)
    command = ("search", "--json", "--dataset")
    assert json.loads(cli(*command, "packages").out) == {"dataset": "packages"}
    several = json.loads(cli(*command, "packages,aquarium").out)
    assert several == [{"dataset": "packages"}, {"dataset": "aquarium"}]
    assert done == ["packages", "packages", "aquarium"]


def test_the_test_split_is_not_touched_while_searching(tmp_path, monkeypatch):
    """Only its annotations are opened, by what checks the spec; no picture of it is."""
    settings = SearchSettings("packages", shots=1, trials=2, results=tmp_path)
    search = set_up(settings)

    def refuse(*_):
        raise AssertionError("a test picture was opened")

    monkeypatch.setattr(search.prepared.test, "load_image", refuse)
    begin(search)
    work(search)
    assert search.study().best_trial.number in (0, 1)


@pytest.mark.parametrize(("without", "scored"), [("valid", 6), (None, 8)])
def test_each_labelled_image_counts_once(tmp_path, without, scored):
    """Without a validation split the k-shot subset is of the images that are selected on: six of training are all."""
    folder = write_dataset(tmp_path / "pets", images=6)
    if without:
        shutil.rmtree(folder / without)
    search = set_up(SearchSettings(str(folder), shots=1, trials=1, results=tmp_path))
    assert len(search.prepared.train) == 2
    assert [len(search.prepared.validation), search.prepared.task.selection_split] == [6, "train" if without else "val"]
    assert len(search.scorer.annotations["images"]) == sum(map(len, labelled_images(search.prepared))) == scored
    assert len(search.scorer.annotations["annotations"]) == scored


def test_the_same_seed_tries_the_same_prompts(tmp_path):
    tried = []
    for place in ("a", "b"):
        search = set_up(SearchSettings("shellfish", shots=1, trials=5, results=tmp_path / place))
        begin(search, hints=False)
        work(search)
        tried.append([trial.params for trial in search.study().get_trials()])
    assert tried[0] == tried[1]
    assert len({json.dumps(params) for params in tried[0]}) > 3


def test_the_space_holds_the_hand_written_prompt():
    task = load_task("aquarium", "mini")
    space = PromptSpace(task, pools_of(task))
    written = space.candidate(written_params(space)).prompt()
    assert written.caption == task_prompt(task, "manual").caption
    assert space.candidate(space.plain()).prompt() == task_prompt(task, "zero-shot")
    reverse = space.candidate(space.plain() | {"prompt/order": "reversed", "prompt/separator": ", "}).prompt()
    assert reverse.caption == ", ".join(reversed(task.class_names))
    assert [reverse.caption[a:b] for a, b in reverse.spans] == task.class_names


def test_plain_names_are_tested_where_the_tasks_own_prompt_is_written(tmp_path):
    search = set_up(SearchSettings("pothole", shots=1, results=tmp_path))
    spec = plain_names(search)
    assert "prompt_style" not in spec.to_json()  # as in every record so far
    written = replace(search.prepared, task=replace(search.prepared.task, prompt_style="written"))
    spec = plain_names(replace(search, prepared=written))
    assert prepare(spec).prompt.caption == "pothole"
    assert spec.prompt_style == "names"


def test_the_control_tries_as_many_prompts_as_the_search_did(tmp_path):
    """It had the time limit once more for itself, and one worker: its gain was that of a smaller search."""

    class Flat:
        def score(self, prompt, give_up):
            return {"AP": 1.0, "per_class": {"1": 1.0}}

        def shuffled(self, seed):
            return self

    search = set_up(SearchSettings("packages", shots=1, trials=3, results=tmp_path))
    late = replace(search, settings=replace(search.settings, trials=50, timeout=0.0))
    search.__dict__["scorer"] = late.__dict__["scorer"] = Flat()
    begin(search)
    work(search)
    assert shuffled_control(late)["gain"] == 0
    storage = open_storage(None, search.folder / "shuffled_control")
    assert len(open_study(storage, f"{search.name} shuffled_control").get_trials()) == 3


def test_a_search_that_had_no_time_is_one_line(cli, tmp_path):
    search = ("search", "--dataset", "packages", "--shots", "1", "--timeout", "0", "--results", tmp_path, "--quiet")
    assert "no trial is finished yet" in cli(*search).refused()


def test_a_prompt_near_the_hand_written_one_is_not_called_so(tmp_path):
    """The paper's has words that no pool holds: what the rest comes to is another prompt with another AP."""
    search = set_up(SearchSettings("packages", shots=1, trials=2, results=tmp_path))
    (box,) = search.prepared.task.classes
    manual = {"prefix": "there is a ", "name": "box", "suffix": " which is brown"}
    task = replace(search.prepared.task, classes=(replace(box, manual=manual),))
    near = replace(search, prepared=replace(search.prepared, task=task), space=PromptSpace(task, search.space.pools))
    begin(near)
    work(near)
    assert [trial.user_attrs["given"] for trial in near.study().get_trials()] == [
        "plain names",
        "nearest to hand-written",
    ]
    assert hand_written_ap(near) == near.scorer.score(task_prompt(task, "manual"))["AP"]
    assert hand_written_ap(near) != near.study().get_trials()[1].value


def test_shuffled_labels_keep_what_is_not_the_label():
    from tests.report import made

    for name, kept in (("aquarium", "image_id"), ("packages", "category_id")):
        truth = made.drawn(name).annotations
        dealt = shuffled(truth, 3)
        before, after = truth["annotations"], dealt["annotations"]
        assert [box["bbox"] for box in before] == [box["bbox"] for box in after]
        assert [box[kept] for box in before] == [box[kept] for box in after]
        other = {"image_id": "category_id", "category_id": "image_id"}[kept]
        assert sorted(box[other] for box in before) == sorted(box[other] for box in after) or name == "packages"
        assert [box[other] for box in before] != [box[other] for box in after]
        assert shuffled(truth, 3) == dealt


def test_words_of_the_users_own(tmp_path):
    from odinw_bench.search.words import GENERAL
    from tests.cli.conftest import write_dataset

    folder = write_dataset(tmp_path / "pets")
    splits = {
        name: {"annotations": f"{place}/_annotations.coco.json", "images": place}
        for name, place in (("train", "train"), ("val", "valid"), ("test", "test"))
    }
    classes = [{"id": 1, "name": "cat", "synonyms": ["kitten"]}, {"id": 2, "name": "dog"}]
    task = {"name": "pets", "title": "Pets", "classes": classes, "splits": splits, "eval_split": "val"}
    task["attributes"] = {"place": ["on a sofa"], "mood": ["sleepy"]}
    (folder / "task.yaml").write_text(yaml.safe_dump(task))
    loaded = load_task(folder)
    pools = pools_of(loaded)
    assert pools["mood"] == ("sleepy",)
    assert set(pools["place"]) == {*GENERAL["place"], "on a sofa"}
    space = PromptSpace(loaded, pools)
    assert space.distributions["0 cat/name"].choices == ("cat", "kitten")
    params = space.plain() | {"0 cat/name": "kitten", "0 cat/mood": "sleepy", "1 dog/colour": "brown"}
    params |= {"1 dog/form": "before"}
    assert space.candidate(params).prompt().caption == "kitten, which is sleepy. brown dog"
