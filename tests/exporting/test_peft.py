"""``odinw-bench export peft``: what the library ``peft`` makes of a run's low-rank updates."""

from __future__ import annotations

import json
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file

import glip_core
import glip_core.hf
from glip_core import InputError
from odinw_bench import load_run
from odinw_bench.exporting import LowRankUpdates
from odinw_bench.models.hub.decode import best_pairs
from odinw_bench.runs.peft import _card
from odinw_bench.runs.record import find_records
from tests.models.hub_models import save_grounding

peft = pytest.importorskip("peft")
LORA = "epochs=1,repeats_per_epoch=1,min_steps_per_epoch=1,batch=2,lr=0.02"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """glip-nano as a folder of transformers."""
    folder = tmp_path_factory.mktemp("base") / "glip"
    glip_core.hf.convert(glip_core.load("glip-nano"), folder)
    return folder


def tuned_run(cli, pets, results, *arguments):
    answer = cli("run", "--dataset", pets, "--results", results, "--shots", "1", "--device", "cpu", *arguments)
    assert answer.code == 0, answer.err
    ((_, record),) = find_records(results)
    return record


def found_by(model, processor, photo, prompt):
    """Detections of a model in transformers, as its processor makes them."""
    inputs = processor(images=photo, text=prompt, return_tensors="pt")
    with torch.no_grad():
        outputs = model(**inputs)
    (found,) = processor.post_process_grounded_object_detection(
        outputs, threshold=0.0, target_sizes=[(photo.height, photo.width)]
    )
    return found


@pytest.mark.parametrize("mode", [pytest.param("lora", marks=pytest.mark.integration), "dora"])
def test_peft_gives_the_detections_of_the_run(cli, pets, base, tmp_path, mode):
    where = "vision+language+fusion+tower+heads" if mode == "lora" else "fusion+tower+heads"
    settings = f"{LORA},adapter_rank=20,adapter_where={where}"  # some layers are smaller than 20
    record = tuned_run(cli, pets, tmp_path / "results", "--model", "glip-nano", "--mode", mode, "--set", settings)
    answer = cli("export", "peft", record.folder, "--out", tmp_path / "out", "--json")
    assert answer.code == 0, answer.err
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"adapter_config.json", "adapter_model.safetensors", "README.md"}
    config = json.loads((tmp_path / "out/adapter_config.json").read_text())
    assert config["peft_type"] == "LORA" and config["use_dora"] == (mode == "dora") and config["r"] == 20
    assert config["rank_pattern"] and config["base_model_name_or_path"] == "glip-nano"
    assert sum(x.numel() for x in load_file(tmp_path / "out/adapter_model.safetensors").values()) == sum(
        x.numel() for x in load_file(record.folder / "tuned.safetensors").values()
    )

    tuned = load_run(record, "cpu")
    photo = made_photo()
    expected = tuned.predict(photo)
    processor = glip_core.hf.GlipProcessor.from_pretrained(base)
    whole = glip_core.hf.GlipForObjectDetection.from_pretrained(base)
    untuned = found_by(whole, processor, photo, tuned.prompt)
    model = peft.PeftModel.from_pretrained(whole, str(tmp_path / "out")).eval()
    assert_alike(found_by(model, processor, photo, tuned.prompt), expected)
    with model.disable_adapter():
        torch.testing.assert_close(
            found_by(model, processor, photo, tuned.prompt)["scores"], untuned["scores"], atol=1e-4, rtol=0
        )
    assert not torch.allclose(untuned["scores"][:5], expected.scores[:5], atol=1e-3)
    assert_alike(found_by(model.merge_and_unload(), processor, photo, tuned.prompt), expected)


def made_photo():
    from PIL import Image

    torch.manual_seed(1)
    return Image.fromarray(torch.randint(0, 256, (100, 140, 3), dtype=torch.uint8).numpy())


def assert_alike(found, expected):
    assert len(found["scores"]) == len(expected) > 0
    torch.testing.assert_close(found["scores"], expected.scores, atol=1e-4, rtol=0)
    for score, label, box in zip(expected.scores, expected.labels, expected.boxes, strict=True):
        near = ((found["scores"] - score).abs() < 1e-4) & (found["labels"] == label)
        assert (near & ((found["boxes"] - box).abs().amax(1) < 0.01)).any()


def test_peft_does_not_train_glip(base):
    """It would pass over the layers whose weights are read, without an error."""
    config = peft.LoraConfig(target_modules=["vision_query"])
    model = peft.get_peft_model(glip_core.hf.GlipForObjectDetection.from_pretrained(base), config)
    inputs = glip_core.hf.GlipProcessor.from_pretrained(base)(images=made_photo(), text=["fish"], return_tensors="pt")
    with pytest.raises(InputError, match="peft cannot train this model"):
        model(**inputs)


@pytest.fixture(scope="module")
def adapters(base, tmp_path_factory):
    """Two folders of adapters, LoRA and DoRA, and what merging each into the base gives."""
    made = {}
    for seed, name in enumerate("ab", 1):
        torch.manual_seed(seed)
        names = ["vision_query", "text_value", "scale_attention"]
        config = peft.LoraConfig(target_modules=names, use_dora=name == "b", init_lora_weights=False)
        model = peft.get_peft_model(glip_core.hf.GlipForObjectDetection.from_pretrained(base), config)
        folder = tmp_path_factory.mktemp("adapter") / name
        model.save_pretrained(folder)
        made[name] = folder, logits(model.merge_and_unload(), base)
    return made


def logits(model, base):
    inputs = glip_core.hf.GlipProcessor.from_pretrained(base)(images=made_photo(), text=["fish"], return_tensors="pt")
    with torch.no_grad():
        return model(**inputs).logits


def same(found, expected):
    return torch.allclose(found, expected, atol=1e-4, rtol=0)


def test_an_adapter_that_is_loaded_over_another_takes_its_place(base, adapters):
    (first, of_first), (second, of_second) = adapters["a"], adapters["b"]
    whole = glip_core.hf.GlipForObjectDetection.from_pretrained(base)
    weights = {name: value.clone() for name, value in whole.state_dict().items()}
    untuned = logits(whole, base)
    assert not same(untuned, of_first) and not same(untuned, of_second) and not same(of_first, of_second)
    model = peft.PeftModel.from_pretrained(whole, str(first)).eval()
    assert same(logits(model, base), of_first)
    model.load_adapter(str(second), "other")
    model.set_adapter("other")
    assert same(logits(model, base), of_second)
    model.set_adapter("default")
    assert same(logits(model, base), of_first)
    with torch.no_grad():  # values changed in place
        for name, value in model.named_parameters():
            if "lora_B.default" in name:
                value.zero_()
    assert same(logits(model, base), untuned)
    model.load_adapter(str(first), "default")
    assert same(logits(model, base), of_first)
    with model.disable_adapter():
        assert logits(model, base).equal(untuned)
    model.delete_adapter("other")
    held = model.unload().state_dict()
    assert held.keys() == weights.keys() and all(held[name].equal(weights[name]) for name in weights)


def test_a_pass_that_fails_leaves_the_weights(base, adapters, monkeypatch):
    whole = glip_core.hf.GlipForObjectDetection.from_pretrained(base)
    model = peft.PeftModel.from_pretrained(whole, str(adapters["a"][0])).eval()
    with monkeypatch.context() as patched, pytest.raises(MemoryError):
        patched.setattr(whole.detector, "run_tower", mock.Mock(side_effect=MemoryError))
        logits(model, base)
    assert same(logits(model, base), adapters["a"][1])


def test_adapters_that_their_owner_merged_stay_merged(base, adapters):
    model = peft.PeftModel.from_pretrained(
        glip_core.hf.GlipForObjectDetection.from_pretrained(base), str(adapters["a"][0])
    ).eval()
    untuned = logits(model.get_base_model(), base)
    model.merge_adapter()
    for _ in range(2):
        assert same(logits(model, base), adapters["a"][1])
    model.unmerge_adapter()
    assert same(logits(model, base), untuned)


@pytest.mark.integration
def test_a_grounding_dino_in_peft(cli, pets, tmp_path):
    """Its heads share weights: each of them has the adapter."""
    import transformers

    folder = save_grounding(tmp_path / "tiny")
    model = ["--model", f"hf:{folder}", "--mode", "lora", "--set", LORA]
    record = tuned_run(cli, pets, tmp_path / "results", *model)
    answer = cli("export", "peft", record.folder, "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert "Do not merge" in (tmp_path / "out/README.md").read_text()
    tuned, photo = load_run(record, "cpu"), made_photo()
    expected = tuned.predict(photo)
    network = transformers.GroundingDinoForObjectDetection.from_pretrained(folder)
    network.get_input_embeddings = network.model.text_backbone.get_input_embeddings  # as README.md says
    adapted = peft.PeftModel.from_pretrained(network, str(tmp_path / "out")).eval()
    own = tuned.model
    inputs = own.processor(images=photo, text=f"{tuned.prompt.caption}.", return_tensors="pt")
    with torch.no_grad():
        outputs = adapted(**inputs)
    tokens = own.encode(tuned.prompt).tokens
    found = best_pairs(outputs.logits[0], outputs.pred_boxes[0], tokens, (photo.height, photo.width))
    torch.testing.assert_close(found.scores, expected.scores, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.boxes, expected.boxes, atol=1e-2, rtol=0)


@pytest.mark.integration
def test_what_peft_has_no_place_for_is_refused(cli, pets, tmp_path):
    runs = {mode: tmp_path / mode for mode in ("prompt", "prompt+lora")}
    for mode, results in runs.items():
        record = tuned_run(cli, pets, results, "--model", "glip-nano", "--mode", mode, "--set", LORA)
        said = cli("export", "peft", record.folder, "--out", tmp_path / "out").refused()
        assert ("a prompt offset too" if mode == "prompt+lora" else "tuned 'prompt'") in said
    record = tuned_run(cli, pets, tmp_path / "d", "--model", "dyhead-nano", "--mode", "lora", "--set", LORA)
    said = cli("export", "peft", record.folder, "--out", tmp_path / "out").refused()
    assert "class layer" in said and "export hub, or export model, writes" in said
    assert not (tmp_path / "out").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    assert "not an empty folder" in cli("export", "peft", record.folder, "--out", tmp_path / "full").refused()
    assert "no run at" in cli("export", "peft", tmp_path / "none", "--out", tmp_path / "out").refused()


def test_what_is_advised_for_a_class_layer_works(cli, pets, tmp_path):
    """`export model` knows GLIP and DyHead alone."""
    record = tuned_run(cli, pets, tmp_path / "r", "--model", "rtdetr-nano", "--mode", "lora", "--set", LORA)
    said = cli("export", "peft", record.folder, "--out", tmp_path / "out").refused()
    assert "export hub writes all of it" in said and "export model" not in said
    assert cli("export", "hub", record.folder, "--out", tmp_path / "out").code == 0


def test_names_in_a_card_are_no_markup():
    nasty = "a], b: `c](d)\n---\n# e <img src=x>"
    spec = SimpleNamespace(model=nasty, mode=nasty, dataset=nasty)
    record = SimpleNamespace(spec=spec, get=lambda name: nasty)
    tuned = SimpleNamespace(record=record, model=None, prompt=SimpleNamespace(caption=nasty))
    card = _card(tuned, LowRankUpdates(object(), {}, 1, 1.0, nasty))
    parsed = ModelCard(card)
    assert parsed.data.library_name == "peft"
    assert parsed.data.tags == ["object-detection", nasty]
    assert "<img" not in parsed.text and "c](d)" not in parsed.text and " `c" not in parsed.text
    assert len([line for line in parsed.text.splitlines() if line.startswith("#")]) == 1


def test_without_peft_one_line_says_what_to_install(cli, pets, tmp_path, monkeypatch):
    import sys

    record = tuned_run(cli, pets, tmp_path / "r", "--model", "glip-nano", "--mode", "lora", "--set", LORA)
    monkeypatch.setitem(sys.modules, "peft", None)
    said = cli("export", "peft", record.folder, "--out", tmp_path / "out").refused()
    assert "pip install 'odinw-bench[peft]'" in said
