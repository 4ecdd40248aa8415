"""Grounding DINO and MM-Grounding-DINO, on tiny randomly initialised models of those classes."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import torch
from PIL import Image

from glip_core import InputError, Prompt, Targets
from glip_core.modes import MODES, PROMPT_OFFSET
from odinw_bench import RunSpec, load_run
from odinw_bench.models import find_model
from odinw_bench.models.hub.decode import best_pairs
from odinw_bench.models.hub.features import VisionFeatures
from odinw_bench.models.hub.matching import grounding_loss
from odinw_bench.runs.record import find_records
from tests.models.hub_models import save_grounding
from tests.models.steps import check_checkpointing, mode_of, shake, total

pytest.importorskip("transformers")
KINDS = ("GroundingDino", "MMGroundingDino")
PROMPT = Prompt.from_classes(["fish", "penguin"])
TARGETS = [
    Targets(torch.tensor([[3.0, 4, 30, 40], [20, 20, 80, 55]]), torch.tensor([0, 1])),
    Targets(torch.tensor([[10.0, 5, 60, 50]]), torch.tensor([1])),
    Targets(torch.tensor([[1.0, 2, 20, 30], [5, 20, 50, 58], [40, 3, 85, 33]]), torch.tensor([1, 0, 0])),
]


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory):
    return save_grounding(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_grounding(tmp_path_factory.mktemp("tiny"))


def load(folder):
    return find_model(f"hf:{folder}").load(None, "cpu")


def test_detections_are_those_of_the_models_own_processing(folder, photos):
    """The best class of a query; what lies between the classes is no class, and its scores are put aside."""
    model = load(folder)
    for photo in photos:
        found = model.predict(photo, PROMPT)
        inputs = model.processor(images=photo, text=PROMPT.caption + ".", return_tensors="pt")
        with torch.no_grad():
            outputs = model.network(**inputs)
        names = torch.isin(
            inputs["input_ids"][0], torch.tensor(model.processor.tokenizer.convert_tokens_to_ids(["fish", "penguin"]))
        )
        outputs.logits[..., : len(names)].masked_fill_(~names, -torch.inf)
        (own,) = model.processor.post_process_grounded_object_detection(
            outputs, threshold=0.0, target_sizes=[(photo.height, photo.width)]
        )
        limit = torch.tensor([photo.width, photo.height] * 2) - 1
        corners = (own["boxes"] - torch.tensor([0, 0, 1, 1])).clamp(min=0).minimum(limit)
        for score, box in zip(own["scores"], corners, strict=True):
            near = ((found.boxes - box).abs().amax(1) < 1e-4) & ((found.scores - score).abs() < 1e-5)
            assert near.any()
        assert len(found) == 2 * len(own["scores"])


def test_scores_are_the_mean_probability_of_a_classes_tokens(tiny, photos):
    model = find_model("grounding-dino-t").load(str(tiny), "cpu")
    prompt = Prompt.from_parts([{"name": "jellyfish"}, {"name": "penguin", "suffix": ", which is black and white"}])
    photo = photos[0]
    found = model.predict(photo, prompt)
    assert len(found) == 40  # every query for every class
    assert (found.scores.diff() <= 0).all()
    assert set(found.labels.tolist()) == {0, 1}
    assert found.boxes.min() >= 0 and (found.boxes.max(0).values <= torch.tensor([89.0, 59, 89, 59])).all()
    inputs = model.processor(images=photo, text=prompt.caption + ".", return_tensors="pt")
    words = model.processor.tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    tokens = [words.index("jelly"), words.index("##fish")]
    with torch.no_grad():
        logits = model.network(**inputs).logits[0]
    expected = logits.sigmoid()[:, tokens].mean(1).max()
    assert found.scores[found.labels == 0].max() == pytest.approx(float(expected), abs=1e-6)
    assert model.parameters > 1_000_000


def test_scores_are_float32_in_half_precision(folder, photos):
    """Rounded, many queries would have one score, and their order would be chance."""
    model = shake(load(folder))
    image = model.prepare(photos[0])
    with torch.autocast("cpu", torch.bfloat16):
        found = model.detect_batch([image], PROMPT)[0]
    assert len(found.scores.unique()) == len(found)
    assert (found.scores.bfloat16().float() != found.scores).float().mean() > 0.8


def test_boxes_and_labels_of_known_outputs():
    logits = torch.full((2, 5), -torch.inf)
    logits[0, 1], logits[1, 2], logits[1, 3] = 2.0, 3.0, 1.0
    boxes = torch.tensor([[0.5, 0.5, 0.2, 0.4], [0.25, 0.5, 0.5, 1.0]])
    found = best_pairs(logits, boxes, [[1], [2, 3], []], (50, 100))
    assert found.labels[:2].tolist() == [0, 1]
    two = (torch.tensor([3.0, 1.0]).sigmoid().mean()).item()
    assert found.scores[:2].tolist() == pytest.approx([torch.tensor(2.0).sigmoid().item(), two])
    assert found.boxes[:2].tolist() == [[40, 15, 59, 34], [0, 0, 49, 49]]
    assert found.scores[found.labels == 2].tolist() == [0, 0]  # a class without tokens is never found


def test_long_class_lists_go_in_parts_and_the_image_once(tiny, photos):
    model = load(tiny)
    prompt = Prompt.from_classes([f"thing number {number}" for number in range(30)])
    passes = []
    model.network.model.backbone.conv_encoder.register_forward_hook(lambda *_: passes.append(1))
    found = model.predict(photos[0], model.encode(prompt))
    assert len(passes) == 1
    assert len(found) == 300
    assert found.labels.max() >= 15
    part = model.encode(prompt).parts[0].prompt
    alone = model.predict(photos[0], part)
    mine = found.scores[found.labels < len(part)]
    torch.testing.assert_close(mine, alone.scores[: len(mine)], atol=1e-6, rtol=0)
    with pytest.raises(InputError, match="alone is longer"):
        model.predict(photos[0], Prompt.from_classes(["very " * 80 + "long"]))
    with pytest.raises(InputError, match="is tuned with 64 at most"):
        model.trainable(mode_of("prompt")[0], prompt)


def test_the_loss_is_the_models_own(folder, photos):
    """Of a batch, and of its images one at a time under the batch's number of boxes."""
    model = shake(load(folder))
    mode, _ = mode_of("full")
    model.trainable(mode, PROMPT)
    images = [model.prepare(photo) for photo in photos]
    sums = {"boxes": sum(model.normalisers(one, t)["boxes"] for one, t in zip(images, TARGETS, strict=True))}
    ours = total(model.losses(images, TARGETS, PROMPT, sums))
    network = model.network
    del network._loss_function
    assert network.loss_function is not grounding_loss
    labels = []
    for found, photo in zip(TARGETS, photos, strict=True):
        x1, y1, x2, y2 = (found.boxes + torch.tensor([0, 0, 1, 1])).unbind(1)
        boxes = torch.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], 1)
        labels.append({"class_labels": found.labels, "boxes": boxes / torch.tensor([photo.width, photo.height] * 2)})
    inputs = model.processor(images=photos, text=[PROMPT.caption + "."] * 3, return_tensors="pt")
    assert torch.equal(inputs["pixel_values"], torch.cat([one.pixels for one in images]))
    theirs = network(**inputs, labels=labels)
    torch.testing.assert_close(ours, theirs.loss, rtol=1e-5, atol=1e-5)
    network.loss_function = grounding_loss
    apart = sum(total(model.losses([x], [t], PROMPT, sums)) for x, t in zip(images, TARGETS, strict=True))
    torch.testing.assert_close(apart, ours, rtol=1e-5, atol=1e-5)


def test_the_loss_sees_the_proposals_that_become_queries(folder, photos):
    """transformers gives it boxes without gradient, and scores of the queries' embeddings in place of the encoder's."""
    model = shake(load(folder))
    inputs = model.processor(images=photos, text=[PROMPT.caption + "."] * 3, return_tensors="pt")
    outputs = model.network.model(**inputs)
    torch.testing.assert_close(outputs.encoder_pred_boxes, outputs.init_reference_points)
    every = outputs.enc_outputs_class
    for image, boxes in enumerate(outputs.enc_outputs_coord_logits.sigmoid()):
        best = every[image].amax(1).argsort(descending=True)[: model.network.config.num_queries]
        torch.testing.assert_close(outputs.encoder_pred_boxes[image], boxes[best])
        torch.testing.assert_close(outputs.encoder_logits[image], every[image][best])
    outputs.encoder_pred_boxes.sum().backward(retain_graph=True)
    body = model.network.model
    assert body.encoder_output_bbox_embed.layers[0].weight.grad.any() and body.enc_output.weight.grad.any()
    body.enc_output.weight.grad = None
    outputs.encoder_logits.sigmoid().sum().backward()
    assert body.enc_output.weight.grad.any()


EXPECTED = {
    "prompt": lambda name: False,
    "linear": lambda name: bool(re.match(r"(model\.decoder\.)?(bbox_embed|class_embed|layer_norm)\.", name)),
    "language": lambda name: name.startswith(("model.text_backbone.", "model.text_projection.")),
    "full": lambda name: True,
    "bias": lambda name: name.endswith(".bias"),
    "norm": lambda name: "norm" in name.lower() or bool(re.search(r"input_proj_vision\.\d\.1\.", name)),
    "lora": lambda name: False,
    "dora": lambda name: False,
}
EXPECTED["prompt+linear"] = EXPECTED["linear"]
EXPECTED["language+linear"] = lambda name: EXPECTED["linear"](name) or EXPECTED["language"](name)
EXPECTED["prompt+lora"] = EXPECTED["lora"]
UNREACHED = ("swin.layernorm.",)


@pytest.mark.parametrize("name", [name for name, mode in MODES.items() if mode.tunes])
def test_a_step_changes_exactly_what_the_mode_says(folder, photos, name):
    model = shake(load(folder))
    mode, settings = mode_of(name)
    trainable = model.trainable(mode, PROMPT)
    if "lora" in name or name == "dora":  # B begins at 0, so that A had no gradient in the first step
        with torch.no_grad():
            for key, parameter in trainable.items():
                parameter.add_(0.02 if key.endswith("lora_B") else 0.0)
    own = dict(model.network.named_parameters())
    before = {key: value.detach().clone() for key, value in own.items()} | {
        key: value.detach().clone() for key, value in trainable.items()
    }
    optimiser = torch.optim.AdamW(model.parameter_groups(settings))
    model.train()
    prompt = model.encode_frozen(mode, PROMPT)
    one = model.prepare(photos[0])
    one = model.features(mode, one, prompt) if model.can_cache(mode) else one
    total(model.losses([one], TARGETS[:1], prompt, {"boxes": 2.0})).backward()
    optimiser.step()
    changed = {key for key, value in (own | trainable).items() if not torch.equal(value, before[key])}
    groups = [p for group in optimiser.param_groups for p in group["params"]]
    assert len(groups) == len(trainable)
    if "lora" in name or name == "dora":
        assert {key for key in changed if ".parametrizations." not in key} == set(trainable)
        assert any(".encoder.layers.0.fusion_layer." in key for key in trainable)
        assert not any(key.startswith("model.backbone.") for key in trainable)
        return
    expected = {key for key in own if EXPECTED[name](key) and not any(part in key for part in UNREACHED)}
    assert changed == expected | ({PROMPT_OFFSET} if mode.tunes_offset else set()) == set(trainable)


@pytest.mark.parametrize("name", ["prompt", "linear", "language", "lora", "prompt+lora"])
def test_frozen_features_change_nothing(folder, photos, name, tmp_path):
    """Losses and detections of features, also of packed ones, are those of the images."""
    model = shake(load(folder))
    mode, _ = mode_of(name)
    trainable = model.trainable(mode, PROMPT)
    with torch.no_grad():
        for parameter in trainable.values():
            parameter.add_(0.01)
    prompt = model.encode_frozen(mode, PROMPT)
    images = [model.prepare(photo) for photo in photos]
    kept = [model.features(mode, one, prompt) for one in images]
    assert all(one.nbytes > 0 and (one.fused is not None) == mode.frozen_tower for one in kept)
    again = [VisionFeatures.unpack(one.pack()) for one in kept]
    sums = {"boxes": 6.0}
    losses = [total(model.losses(some, TARGETS, prompt, sums)) for some in (images, kept, again)]
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-5, atol=1e-5)
    assert torch.equal(losses[2], losses[1])
    expected, found = model.detect_batch(images, PROMPT), model.detect_batch(kept, prompt)
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(one.scores, other.scores, rtol=1e-4, atol=1e-5)
    identity = model.features_identity(mode, images[0], prompt)
    assert identity is not None and identity != model.features_identity(mode, images[1], prompt)
    json.dumps(identity)


def test_each_adapted_layer_counts_and_merges(folder, photos):
    from glip_core.modeling import low_rank

    model = shake(load(folder))
    mode, _ = mode_of("lora", adapter_where="vision+language+fusion+tower+heads")
    trainable = model.trainable(mode, PROMPT)
    before = model.predict(photos[0], PROMPT)
    model.network.requires_grad_(False)
    with torch.no_grad():
        for key, parameter in trainable.items():
            parameter.requires_grad_(True)
            parameter.add_(0.02 if key.endswith("lora_B") else 0.0)
    total(model.losses([model.prepare(photos[0])], TARGETS[:1], PROMPT, {"boxes": 2.0})).backward()
    assert not [key for key, parameter in trainable.items() if parameter.grad is None or not parameter.grad.any()]
    tuned = model.predict(photos[0], PROMPT)
    assert not torch.allclose(tuned.scores, before.scores, atol=1e-4)
    low_rank.merge(model.network)
    merged = model.predict(photos[0], PROMPT)
    torch.testing.assert_close(merged.scores, tuned.scores, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(merged.boxes, tuned.boxes, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", ["full", "prompt"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_checkpointing_changes_no_gradient_and_holds_less(folder, photos, name, precision):
    model = shake(load(folder))
    inputs = [model.prepare(photo) for photo in photos]
    check_checkpointing(model, name, PROMPT, inputs, TARGETS, {"boxes": 6.0}, precision)


@pytest.mark.parametrize("name", ["prompt", "linear", "lora", "full"])
def test_what_was_tuned_is_put_back(tiny, photos, name):
    mode, _ = mode_of(name)
    model, other = shake(load(tiny)), shake(load(tiny))
    with torch.no_grad():
        for parameter in model.trainable(mode, PROMPT).values():
            parameter.add_(0.03)
    state = model.tuned_state()
    other.apply_tuned(mode, PROMPT, state, source="file")
    torch.testing.assert_close(other.predict(photos[0], PROMPT).scores, model.predict(photos[0], PROMPT).scores)
    with pytest.raises(InputError, match="file do not fit"):
        other.apply_tuned(mode, PROMPT, {"nothing": torch.zeros(1)}, source="file")
    if name == "prompt":
        with model.without_tuned_prompt():
            base = model.predict(photos[0], PROMPT)
        torch.testing.assert_close(base.scores, shake(load(tiny)).predict(photos[0], PROMPT).scores)


def test_augmentation_is_the_processors_at_another_size(tiny, photos):
    model = load(tiny)
    small = model.prepare(photos[0], scale=0.5)
    assert small.pixels.shape[-2:] == (32, 48)
    assert small.hw == (60, 90)
    plain, mirrored = model.prepare(photos[0]), model.prepare(photos[0], flip=True)
    torch.testing.assert_close(mirrored.pixels, plain.pixels.flip(-1), atol=2e-2, rtol=0)


def test_a_loss_that_is_not_finite_is_no_traceback(tiny, photos):
    model = load(tiny)
    model.trainable(mode_of("linear")[0], PROMPT)
    with torch.no_grad():
        model.network.bbox_embed[0].layers[0].weight.fill_(torch.nan)
    assert total(model.losses([model.prepare(photos[0])], TARGETS[:1], PROMPT, {"boxes": 2.0})).isnan()


def test_another_vocabulary_is_refused(tiny, tmp_path):
    import transformers

    folder = save_grounding(tmp_path / "other")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", "fish"]
    tokenizer = transformers.BertTokenizerFast(vocab={word: number for number, word in enumerate(words)})
    tokenizer.save_pretrained(folder)
    with pytest.raises(InputError, match="use the vocabulary of bert-base-uncased"):
        load(folder)


def test_weights_that_are_not_there_are_refused(tiny, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = save_grounding(tmp_path / "cut")
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("model.text_projection.weight")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lacks 1 of the weights .* model\.text_projection\.weight"):
        load(folder)


def test_through_the_program(cli, tiny, pets, tmp_path):
    results = tmp_path / "results"
    arguments = ["run", "--model", "grounding-dino-t", "--weights", tiny, "--dataset", pets, "--mode", "zero-shot"]
    answer = cli(*arguments, "--results", results, "--json")
    assert answer.code == 0, answer.err
    ((place, record),) = find_records(results)
    assert record["spec"]["model"] == "grounding-dino-t"
    assert record["cost"]["total_parameters"] > 1_000_000
    assert len(json.loads((place / "predictions.json").read_text())) == 80


def test_a_folder_is_tuned_through_the_program_and_found_again(cli, tiny, pets, tmp_path):
    results = tmp_path / "results"
    model = ["--model", f"hf:{tiny}", "--dataset", pets, "--results", results]
    settings = ["--set", "epochs=1,repeats_per_epoch=1,min_steps_per_epoch=1,batch=2"]
    answer = cli("run", *model, "--mode", "zero-shot,prompt,lora", "--shots", "1", *settings, "--json")
    assert answer.code == 0, answer.err
    records = [record for _, record in find_records(results)]
    assert {record["spec"]["mode"] for record in records} == {"zero-shot", "prompt", "lora"}
    for record in records:
        assert record["spec"]["model_source"] == f"hf:{tiny}"
        assert record.spec.model.startswith("hf-tiny")
        again = load_run(record)
        assert len(again.predict(Image.new("RGB", (80, 60)))) == 40
    assert (
        "3 of 3 were done before"
        in cli("run", *model, "--mode", "zero-shot,prompt,lora", "--shots", "1", *settings).out
    )


def test_absent_weights_are_one_line(cli, pets, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    common = ["run", "--model", "grounding-dino-t", "--dataset", pets, "--mode", "zero-shot", "--results", tmp_path]
    assert "not found" in cli(*common, "--weights", tmp_path / "none").refused()
    (tmp_path / "empty").mkdir()
    assert "holds no model.safetensors" in cli(*common, "--weights", tmp_path / "empty").refused()
    common[2] = f"hf:{tmp_path / 'none'}"
    assert "not found" in cli(*common).refused()
    common[2] = f"hf:{tmp_path / 'empty'}"
    assert "no readable config.json" in cli(*common).refused()
    (tmp_path / "empty/config.json").write_text('{"model_type": "grounding-dono"}')
    assert "did you mean 'grounding-dino'" in cli(*common).refused()


def test_a_repository_is_named_by_its_owner_and_name(monkeypatch, tiny):
    asked = []
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **_: asked.append(name) or str(tiny))
    model = find_model("hf:Some-Owner/My_Model.v2")
    assert model.name == "hf-some-owner-my-model-v2"
    assert model.load(None, "cpu").weights_sha256 == model.identify(None)
    assert set(asked) == {"Some-Owner/My_Model.v2"}


def test_a_record_names_a_folder_by_its_whole_path(tiny, monkeypatch):
    monkeypatch.chdir(tiny.parent)
    fields = RunSpec(dataset="x", model=f"hf:{tiny.name}", mode="zero-shot").to_json()
    assert fields["model_source"] == f"hf:{tiny}"
    assert "model_source" not in RunSpec(dataset="x", model="grounding-dino-t", mode="zero-shot").to_json()


def test_a_folder_that_became_another_familys_is_seen_as_that(tiny, tmp_path):
    folder = tmp_path / "changing"
    shutil.copytree(tiny, folder)
    assert find_model(f"hf:{folder}").network_class == "GroundingDinoForObjectDetection"
    (folder / "config.json").write_text('{"model_type": "owlvit"}')
    assert find_model(f"hf:{folder}").network_class == "OwlViTForObjectDetection"


def test_the_list_states_licences(cli):
    rows = {row["name"]: row for row in json.loads(cli("models", "list", "--json").out)}
    assert rows["llmdet-t"]["licence"] == "Apache-2.0"
    assert all(row["licence"] for row in rows.values())
