"""Folders for the hub: what was tuned, on top of its base, and results in the hub's format."""

from __future__ import annotations

import json
import re

import pytest
import torch
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries

import glip_core.hf as hf
from glip_core import InputError
from glip_core.hf.model import fingerprint
from odinw_bench import RunSpec, load_run, load_task, run
from odinw_bench.datasets.sources import open_split
from odinw_bench.report import hub
from odinw_bench.runs.record import RunRecord
from odinw_bench.utils.io import sha256_bytes
from tests.report import made

MODES = ["prompt", "lora", "prompt+lora", "linear"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def records(results):
    quick = {"epochs": 1, "repeats_per_epoch": 8, "min_steps_per_epoch": 1}
    specs = {mode: RunSpec(dataset="raccoon", mode=mode, shots=1, overrides=quick) for mode in MODES}
    specs["dyhead"] = RunSpec(dataset="raccoon", model="dyhead-nano", mode="linear", shots=1, overrides=quick)
    specs["zero-shot"] = RunSpec(dataset="raccoon", mode="zero-shot")
    return {name: run(spec, results) for name, spec in specs.items()}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    from glip_core import load

    folder = tmp_path_factory.mktemp("hub") / "base"
    hf.convert(load("glip-nano"), folder)
    return folder


@pytest.fixture(scope="module")
def photo():
    split = open_split(load_task("raccoon", "mini"), "test")
    return split.image(split.image_ids[0])


def detect(model, processor, photo, text):
    with torch.no_grad():
        outputs = model(**processor(images=photo, text=text))
    return processor.post_process_grounded_object_detection(outputs, text, target_sizes=[(photo.height, photo.width)])[
        0
    ]


@pytest.mark.parametrize("mode", MODES)
def test_what_was_tuned_is_shared_and_read_again(records, base, photo, cli, tmp_path, mode):
    folder = tmp_path / "tuned"
    answer = cli("export", "hub", records[mode].folder, "--out", folder)
    assert answer.code == 0
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert size < 2e6 if mode != "prompt" else size < 1e4
    expected = load_run(records[mode], "cpu").predict(photo)
    again = load_run(folder, "cpu").predict(photo)
    assert torch.equal(again.scores, expected.scores)

    model, processor = hf.GlipForObjectDetection.from_pretrained(base), hf.GlipProcessor.from_pretrained(base)
    plain = detect(model, processor, photo, "dog. cat")
    prompt = model.load_tuned(folder)
    found = detect(model, processor, photo, prompt)
    torch.testing.assert_close(found["scores"], expected.scores, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found["boxes"], expected.boxes, rtol=1e-6, atol=1e-4)
    assert found["text_labels"] == expected.names
    if mode == "prompt":  # an offset belongs to its prompt
        assert torch.equal(detect(model, processor, photo, "dog. cat")["scores"], plain["scores"])
    if mode != "linear":
        for call in (lambda: model.save_pretrained(tmp_path / "all"), lambda: model.load_tuned(folder)):
            with pytest.raises(InputError, match="a folder of its own"):
                call()


def test_its_card_and_its_results_are_the_hubs(records, tmp_path, cli):
    folder = tmp_path / "tuned"
    assert cli("export", "hub", records["prompt"].folder, "--out", folder, "--benchmark", "me/odinw").code == 0
    card = ModelCard.load(folder / "README.md")
    (result,) = card.data.eval_results
    assert result.metric_value == pytest.approx(records["prompt"].ap, abs=1e-4)
    (entry,) = parse_eval_result_entries(yaml.safe_load((folder / ".eval_results" / "odinw.yaml").read_text()))
    assert (entry.dataset_id, entry.task_id) == ("me/odinw", "raccoon")
    assert entry.value == records["prompt"].ap
    assert "prompt, 1 shot, seed 3" in entry.notes


def test_the_record_is_the_runs_own_with_its_seal(records, tmp_path):
    from odinw_bench.report.hub import write_tuned

    write_tuned(records["prompt"], tmp_path / "out")
    assert (tmp_path / "out" / "run.json").read_bytes() == (records["prompt"].folder / "run.json").read_bytes()


def test_a_class_layer_is_shared_for_python_alone(records, photo, cli, tmp_path):
    assert cli("export", "hub", records["dyhead"].folder, "--out", tmp_path / "tuned").code == 0
    expected = load_run(records["dyhead"], "cpu").predict(photo)
    assert torch.equal(load_run(tmp_path / "tuned", "cpu").predict(photo).scores, expected.scores)


def test_a_converted_model_carries_the_results_of_its_weights(records, results, cli, tmp_path):
    out = tmp_path / "nano"
    answer = cli("models", "convert", "glip-nano", "--out", out, "--results", results, "--benchmark", "me/odinw")
    assert answer.code == 0
    assert "1 results" in answer.out
    card = ModelCard.load(out / "README.md")
    assert [result.dataset_type for result in card.data.eval_results] == ["raccoon"]
    assert f"{records['zero-shot'].ap:.1f}" in card.text
    assert (out / ".eval_results" / "odinw.yaml").is_file()
    other = tmp_path / "other"
    assert "0 results" in cli("models", "convert", "glip-nano-a", "--out", other, "--results", results).out


def made_record(ap=50.0, changes=None, **said):
    said = made.spec(**{"mode": "zero-shot", **said})
    return RunRecord.from_json(made.record(said, made.metrics(ap)) | (changes or {}))


def own_results(*records, model="glip-nano"):
    return hub.base_results(records, model, sha256_bytes(model.encode()))


def test_a_models_own_results_are_its_usual_runs():
    usual = made_record(weights="a-copy.safetensors")
    others = [made_record(**one) for one in ({"precision": "bf16"}, {"mode": "prompt"})]
    searched = made_record(mode="manual", attributes="best.yaml")
    assert own_results(*others, searched, usual) == [usual]
    on_val = made_record(eval_split="val")
    assert own_results(on_val, usual) == [usual, on_val]
    newer = made_record(60.0, {"finished": "2025-02-01T00:00:00+00:00"}, seed=30)
    assert own_results(newer, usual) == [newer]
    styles = [
        made_record(model="glip-t", suite="odinw13", dataset="pothole", changes={"protocol": {"prompt_style": style}})
        for style in ("names", "written")
    ]
    assert len(own_results(*styles, model="glip-t")) == 1


def test_other_evaluations_are_called_by_their_names(tmp_path):
    lvis = made_record(suite="lvis", eval_split="val", changes={"evaluation": {"name": "lvis", "headline": "AP"}})
    recall = {"metrics": {"R@1": 71.5}, "evaluation": {"name": "flickr", "headline": "R@1"}}
    phrases = [made_record(suite="flickr30k", eval_split=split, changes=recall) for split in ("test", "val")]
    found = own_results(lvis, *phrases)
    assert len(found) == 3
    names = [(one.metric_type, one.metric_name, one.dataset_split) for one in hub.metadata(found)]
    assert names == [
        ("R@1", "flickr R@1, zero-shot", "test"),
        ("R@1", "flickr R@1, zero-shot", "val"),
        ("AP", "lvis AP, zero-shot", "val"),
    ]
    assert "| flickr30k | packages | test | zero-shot | flickr R@1 | 71.5 | - |" in hub.results_table(found)
    path = hub.write_results(found, tmp_path, "me/all")
    assert [one["value"] for one in yaml.safe_load(path.read_text())] == [71.5, 71.5, 50.0]
    assert "COCO" not in path.read_text() + hub.results_table(found)


NASTY = "a|b`c](d)\n# e <img src=x>\n---\n"


def test_names_in_a_card_are_no_markup():
    """Of a record by others: whatever it calls its model, mode, data and device."""
    record = made_record(
        changes={
            "weights_sha256": NASTY,
            "environment": {"device_name": NASTY},
            "cost": {"tuned_parameters": 3, "tune_seconds": 3.0},
        },
        **dict.fromkeys(("suite", "dataset", "model", "mode"), NASTY),
        eval_split=NASTY,
    )
    card = hub._tuned_card(record)
    parsed = ModelCard(card)
    assert NASTY in parsed.data.tags
    (result,) = parsed.data.eval_results
    assert (result.dataset_type, result.dataset_split) == (NASTY, NASTY)
    text = parsed.text
    assert "<img" not in text and "c](d)" not in text and "b`" not in text
    assert [line for line in text.splitlines() if line.startswith("#")][1:] == ["## Results"]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 3
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {8}


def test_a_run_without_a_result_is_none_of_the_hubs(tmp_path):
    nothing = made_record(changes={"metrics": made.metrics(50.0) | {"AP": None}})
    assert hub.write_results([nothing], tmp_path, "me/all") is None
    assert not list(tmp_path.iterdir())
    path = hub.write_results([nothing, made_record()], tmp_path, "me/all")
    assert [one["value"] for one in yaml.safe_load(path.read_text())] == [50.0]


def test_a_checkpoint_is_converted(cli, tmp_path):
    from glip_core import load
    from glip_core.checkpoint import named_tensors

    detector = load("glip-nano-a", "random")
    state = {f"module.{name}": tensor for name, tensor in named_tensors(detector, detector.config).items()}
    torch.save({"model": state}, tmp_path / "model.pth")
    assert (
        cli("models", "convert", "glip-nano-a", "--weights", tmp_path / "model.pth", "--out", tmp_path / "a").code == 0
    )
    model = hf.GlipForObjectDetection.from_pretrained(tmp_path / "a")
    assert all(torch.equal(one, model.detector.state_dict()[name]) for name, one in detector.state_dict().items())


# -- what cannot be used ------------------------------------------------------------------------------------------


def test_what_cannot_be_shared_is_named(records, cli, tmp_path):
    out = tmp_path / "out"
    assert "tuned nothing (zero-shot)" in cli("export", "hub", records["zero-shot"].folder, "--out", out).refused()
    assert "no run at" in cli("export", "hub", tmp_path / "nowhere", "--out", out).refused()
    several = records["prompt"].folder.parent / "*"
    assert "are 5 runs" in cli("export", "hub", several, "--out", out).refused()
    wrong = cli("export", "hub", records["prompt"].folder, "--out", tmp_path / "one", "--benchmark", "odinw")
    assert "OWNER/NAME" in wrong.refused()
    assert not (tmp_path / "one").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("")
    for command in (("export", "hub", records["prompt"].folder), ("models", "convert", "glip-nano")):
        assert "not an empty folder" in cli(*command, "--out", tmp_path / "full").refused()
    assert "class layer" in cli("models", "convert", "dyhead-nano", "--out", out).refused()
    assert "unknown model" in cli("models", "convert", "glip-nanp", "--out", out).refused()


def test_tuned_parts_know_their_base(records, base, tmp_path):
    from odinw_bench.report.hub import write_tuned

    write_tuned(records["prompt"], tmp_path / "tuned")
    other = tmp_path / "other"
    from glip_core import load

    hf.convert(load("glip-nano-c"), other)
    with pytest.raises(InputError, match="was tuned from the weights of 'glip-nano'"):
        hf.GlipForObjectDetection.from_pretrained(other).load_tuned(tmp_path / "tuned")
    model = hf.GlipForObjectDetection.from_pretrained(base)
    with pytest.raises(InputError, match=r"holds no tuned_config\.json"):
        model.load_tuned(other)
    (tmp_path / "tuned" / "tuned_config.json").write_text('{"mode": 3}')
    with pytest.raises(InputError, match="is damaged"):
        model.load_tuned(tmp_path / "tuned")


def state_of(model):
    """What a model is, to compare with later: weights, what is trained of them, and its identity."""
    detector, config = model.detector, model.config
    trained = [parameter.requires_grad for parameter in model.parameters()]
    return fingerprint(model.state_dict()), trained, detector.prompt_offset, config.weights_sha256, model._tuned_ids


DAMAGE = {
    "lora": [
        {"adapter": {"adapter_rank": "many"}},
        {"adapter": {"adapter_rank": None}},
        {"adapter": {"adapter_rank": float("inf")}},
        {"adapter": {"adapter_rank": 8, "adapter_alpha": float("nan"), "adapter_where": "heads"}},
        {"adapter": {"adapter_rank": 8, "adapter_alpha": 16, "adapter_where": 5}},
        {"adapter": {"adapter_rank": 8, "adapter_alpha": 16, "adapter_where": "heads"}},
        {"adapter": [1]},
        {"mode": "prompt+lora"},
        {"mode": "linear"},
    ],
    "prompt": [
        {"mode": "prompt+linear"},
        {"mode": {}},
        {"prompt": {"caption": "x" + " y" * 300, "spans": [[0, 1]], "names": ["x"]}},
        {"prompt": {"caption": "x", "spans": [[0, float("inf")]], "names": ["x"]}},
        {"prompt": [[[]]]},
    ],
}


@pytest.mark.parametrize("mode", DAMAGE)
def test_a_damaged_folder_leaves_the_model_as_it_was(records, base, tmp_path, mode):
    folder = tmp_path / "tuned"
    hub.write_tuned(records[mode], folder)
    place = folder / "tuned_config.json"
    good = place.read_text()
    model = hf.GlipForObjectDetection.from_pretrained(base)
    before = state_of(model)
    for text in ["[" * 100_000, "[]", *(json.dumps(json.loads(good) | changes) for changes in DAMAGE[mode])]:
        place.write_text(text)
        with pytest.raises(InputError) as refused:
            model.load_tuned(folder)
        assert "\n" not in str(refused.value)
        assert state_of(model) == before, text[-200:]
    place.write_text(good)
    model.load_tuned(folder)


def test_weights_that_were_trained_further_are_another_base(records, base, tmp_path):
    hub.write_tuned(records["prompt"], tmp_path / "tuned")
    model = hf.GlipForObjectDetection.from_pretrained(base)
    with torch.no_grad():
        model.detector.head.bias0 += 1
    with pytest.raises(InputError, match="trained further"):
        model.load_tuned(tmp_path / "tuned")
    with torch.no_grad():
        model.detector.head.bias0 -= 1
    model.load_tuned(tmp_path / "tuned")


@pytest.mark.parametrize("mode", ["prompt", "lora"])
def test_tuned_parts_in_half_precision(records, base, photo, tmp_path, mode):
    hub.write_tuned(records[mode], tmp_path / "tuned")
    scores = []
    for dtype in (torch.float32, torch.bfloat16):
        model = hf.GlipForObjectDetection.from_pretrained(base, dtype=dtype)
        made = hf.GlipProcessor.from_pretrained(base)(images=photo, text=model.load_tuned(tmp_path / "tuned"))
        made["pixel_values"] = made["pixel_values"].to(dtype)
        with torch.no_grad():
            scores.append(model(**made).logits.float().sigmoid())
    assert torch.allclose(scores[0], scores[1], atol=0.1)


def test_the_hub_may_be_out_of_reach(base, monkeypatch):
    import huggingface_hub

    def refuse(*arguments, **options):
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    with pytest.raises(InputError, match="could not be fetched from the hub"):
        hf.GlipForObjectDetection.from_pretrained(base).load_tuned("me/tuned")


def test_the_base_may_lie_elsewhere(records, photo, tmp_path):
    from glip_core.checkpoint import EMBEDDED

    copy = tmp_path / "base.safetensors"
    copy.write_bytes((EMBEDDED / "glip-nano.safetensors").read_bytes())
    expected = load_run(records["prompt"], "cpu").predict(photo)
    assert torch.equal(load_run(records["prompt"], "cpu", weights=str(copy)).predict(photo).scores, expected.scores)
