"""RT-DETRv2, D-FINE, DEIMv2 and RF-DETR, on tiny randomly initialised models of those classes."""

from __future__ import annotations

import json
import math

import pytest
import torch
from PIL import Image
from torch import nn

from glip_core import InputError, Prompt, Targets
from odinw_bench import load_run
from odinw_bench.models import find_model, model_facts
from odinw_bench.models.hub.features import VisionFeatures
from odinw_bench.runs.record import find_records
from tests.models.hub_models import CLOSED, save_closed
from tests.models.steps import check_checkpointing, mode_of, shake, total

pytest.importorskip("transformers")
TUNED = ("linear", "full", "bias", "norm", "lora", "dora")
PROMPT = Prompt.from_classes(["fish", "penguin"])
TARGETS = [
    Targets(torch.tensor([[3.0, 4, 30, 40], [20, 20, 80, 55]]), torch.tensor([0, 1])),
    Targets(torch.tensor([[10.0, 5, 60, 50]]), torch.tensor([1])),
    Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)),
]
SUMS = {"boxes": 3.0}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {kind: save_closed(tmp_path_factory.mktemp(kind), kind) for kind in CLOSED}


@pytest.fixture(params=CLOSED)
def folder(request, folders):
    return folders[request.param]


def load(folder, classes=2, seed=0):
    return find_model(f"hf:{folder}").load(None, "cpu", classes=classes, seed=seed)


def test_detections_are_those_of_the_models_own_processing(folder, photos):
    model = shake(load(folder, classes=0))
    prompt = Prompt.from_classes(list("abcde"))
    for photo in photos:
        found = model.predict(photo, prompt)
        with torch.no_grad():
            outputs = model.network(**model.processor(images=photo, return_tensors="pt"))
        (own,) = model.processor.post_process_object_detection(
            outputs, threshold=0.0, target_sizes=[(photo.height, photo.width)]
        )
        limit = torch.tensor([photo.width, photo.height] * 2) - 1
        corners = (own["boxes"] - torch.tensor([0, 0, 1, 1])).clamp(min=0).minimum(limit)
        best = len(own["scores"])  # as many as there are queries; we keep 300 pairs of query and class
        assert best == 20 and len(found) == 100
        torch.testing.assert_close(found.scores[:best], own["scores"], rtol=0, atol=1e-5)
        for score, label, box in zip(own["scores"], own["labels"], corners, strict=True):
            near = ((found.boxes - box).abs().amax(1) < 1e-3) & ((found.scores - score).abs() < 1e-5)
            assert (near & (found.labels == label)).any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_boxes_and_scores_are_float32_in_half_precision(folder, photos, dtype):
    """In half precision of the network itself, places of the right half would lie 7.5 of 1,920 pixels apart in bf16."""
    model = shake(load(folder, classes=0))
    found = []
    model.network.register_forward_hook(lambda *call: found.append(call[2]))
    image = model.prepare(photos[0])
    model.detect_batch([image], PROMPT)
    with torch.autocast("cpu", dtype):
        model.detect_batch([image], PROMPT)
    exact, half = found
    for name in ("pred_boxes", "logits"):
        values = half[name]
        assert values.dtype == torch.float32
        assert (values.to(dtype).float() != values).float().mean() > 0.8, "they are rounded"
    apart = torch.cdist(half.pred_boxes[0], exact.pred_boxes[0], p=torch.inf).amin(1)
    assert apart.median() < 0.02 and not torch.equal(half.pred_boxes, exact.pred_boxes)


@pytest.mark.parametrize("name", ["full", "linear"])
def test_it_is_tuned_on_float32_boxes_in_half_precision(folder, photos, name):
    """From images and, where the mode keeps them, from features; the losses are those of float32 within 3 %."""
    model = shake(load(folder))
    mode, _ = mode_of(name)
    trainable = model.trainable(mode, PROMPT)
    model.train()
    images = [model.prepare(photo) for photo in photos]
    torch.manual_seed(3)  # of the denoising queries
    exact = total(model.losses(images, TARGETS, PROMPT, SUMS))
    boxes = []
    model.network.register_forward_hook(lambda *call: boxes.append(call[2].pred_boxes))
    with torch.autocast("cpu", torch.bfloat16):
        kept = [model.features(mode, one, PROMPT) for one in images] if model.can_cache(mode) else images
        torch.manual_seed(3)
        half = total(model.losses(kept, TARGETS, PROMPT, SUMS))
    half.backward()
    assert boxes[0].dtype == torch.float32 and (boxes[0].bfloat16().float() != boxes[0]).float().mean() > 0.8
    torch.testing.assert_close(half, exact, rtol=0.03, atol=0)
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in trainable.values())
    assert any(p.grad is not None and bool(p.grad.any()) for p in trainable.values())


@pytest.mark.parametrize("name", ["full", "linear"])
def test_the_loss_is_the_models_own(folder, photos, name):
    model = shake(load(folder))
    model.trainable(mode_of(name)[0], PROMPT)
    model.train()
    images = [model.prepare(photo) for photo in photos]
    torch.manual_seed(3)  # of the denoising queries
    ours = total(model.losses(images, TARGETS, PROMPT, SUMS))
    network = model.network
    del network._loss_function
    labels = []
    for found, photo in zip(TARGETS, photos, strict=True):
        x1, y1, x2, y2 = (found.boxes + torch.tensor([0, 0, 1, 1])).unbind(1)
        boxes = torch.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], 1)
        labels.append({"class_labels": found.labels, "boxes": boxes / torch.tensor([photo.width, photo.height] * 2)})
    inputs = model.processor(images=photos, return_tensors="pt")
    assert torch.equal(inputs["pixel_values"], torch.cat([one.pixels for one in images]))
    torch.manual_seed(3)
    torch.testing.assert_close(ours, network(**inputs, labels=labels).loss, rtol=1e-5, atol=1e-5)


def test_the_losses_of_single_images_add_up(folder, photos):
    """The distillation term of D-FINE and DEIMv2 is a mean over a pass: it adds up only roughly, and is small here."""
    model = shake(load(folder))
    model.trainable(mode_of("linear")[0], PROMPT)
    model.train()
    images = [model.prepare(photo) for photo in photos]
    together = model.losses(images, TARGETS, PROMPT, SUMS)
    apart = [model.losses([x], [t], PROMPT, SUMS) for x, t in zip(images, TARGETS, strict=True)]
    assert list(together) == list(model.loss_names)
    for name in set(together) - {"distillation"}:
        torch.testing.assert_close(sum(one[name] for one in apart), together[name], rtol=1e-4, atol=1e-5)


def expected(name, key, module):
    """Whether a mode trains a parameter."""
    fresh = ("class_embed" in key and "denoising" not in key) or "enc_score_head" in key
    if name in ("lora", "dora"):
        return fresh
    if name == "linear":
        return fresh or "bbox" in key
    if name == "bias":
        return fresh or key.endswith(".bias")
    if name == "norm":
        kinds = nn.LayerNorm | nn.GroupNorm | nn.BatchNorm2d
        return fresh or isinstance(module, kinds) or "norm" in key.split(".")[-2].lower()
    return not key.endswith((".up", ".reg_scale", ".mask_token"))


@pytest.mark.parametrize("name", TUNED)
def test_a_step_changes_exactly_what_the_mode_says(folder, photos, name):
    model = shake(load(folder))
    mode, settings = mode_of(name)
    trainable = model.trainable(mode, PROMPT)
    if name in ("lora", "dora"):  # B begins at 0, so that A had no gradient in the first step
        with torch.no_grad():
            for key, parameter in trainable.items():
                parameter.add_(0.02 if key.endswith("lora_B") else 0.0)
    own = dict(model.network.named_parameters())
    before = {key: value.detach().clone() for key, value in (own | trainable).items()}
    buffers = {key: value.clone() for key, value in model.network.named_buffers()}
    optimiser = torch.optim.AdamW(model.parameter_groups(settings), eps=1e-30)  # some gradients are tiny here
    model.train()
    one = model.prepare(photos[0])
    one = model.features(mode, one, PROMPT) if model.can_cache(mode) else one
    total(model.losses([one], TARGETS[:1], PROMPT, {"boxes": 2.0})).backward()
    optimiser.step()
    changed = {key for key, value in (own | trainable).items() if not torch.equal(value, before[key])}
    assert all(torch.equal(value, buffers[key]) for key, value in model.network.named_buffers())
    assert len([p for group in optimiser.param_groups for p in group["params"]]) == len(trainable)
    modules = dict(model.network.named_modules())
    originals = {key for key in own if ".parametrizations." not in key}
    chosen = {key for key in originals if expected(name, key, modules[key.rpartition(".")[0]])}
    assert chosen == {key for key in trainable if ".parametrizations." not in key and key in originals}
    # transformers' loss of D-FINE counts layer 0 twice and leaves the scores of the last layer but one out.
    silent = () if name == "full" else ("model.decoder.class_embed.1.", "model.decoder.lqe_layers.1.")
    assert {key for key in set(trainable) - changed if not key.startswith(silent)} == set()
    assert {key for key in changed if ".parametrizations." not in key} <= set(trainable)
    if name in ("lora", "dora"):
        assert any(".decoder.layers.0." in key for key in trainable)
        assert not any("backbone" in key or "conv_encoder" in key for key in trainable)


@pytest.mark.parametrize("name", ["linear", "lora"])
def test_frozen_features_change_nothing(folder, photos, name):
    """Losses and detections of features, also of packed ones, are those of the images."""
    model = shake(load(folder))
    mode, _ = mode_of(name)
    with torch.no_grad():
        for parameter in model.trainable(mode, PROMPT).values():
            parameter.add_(0.01)
    images = [model.prepare(photo) for photo in photos]
    model.train()
    kept = [model.features(mode, one, PROMPT) for one in images]
    again = [VisionFeatures.unpack(one.pack()) for one in kept]
    losses = [total(model.losses(some, TARGETS, PROMPT, SUMS)) for some in (images, kept, again)]
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-5, atol=1e-5)
    assert torch.equal(losses[2], losses[1])
    model.eval()
    for one, other in zip(model.detect_batch(images, PROMPT), model.detect_batch(kept, PROMPT), strict=True):
        torch.testing.assert_close(one.scores, other.scores, rtol=1e-4, atol=1e-5)
    identity = model.features_identity(mode, images[0], PROMPT)
    assert identity is not None and identity != model.features_identity(mode, images[1], PROMPT)
    json.dumps(identity)


def test_frozen_features_of_another_version_of_a_library_are_others(folders, photos, monkeypatch):
    import timm

    model, (mode, _) = load(folders["RTDetrV2"]), mode_of("linear")
    model.trainable(mode, PROMPT)
    one = model.prepare(photos[0])
    seen = [model.features_identity(mode, one, PROMPT)]
    monkeypatch.setattr("timm.__version__", "1.0.0")
    assert model.features_identity(mode, one, PROMPT) == seen[0]  # none of its layers are timm's
    monkeypatch.setattr("transformers.__version__", "6.0.0")
    seen.append(model.features_identity(mode, one, PROMPT))
    model.network.model.backbone.extra = timm.layers.Mlp(4)
    seen.append(model.features_identity(mode, one, PROMPT))
    monkeypatch.setattr("timm.__version__", "1.0.1")
    seen.append(model.features_identity(mode, one, PROMPT))
    assert len({json.dumps(identity) for identity in seen}) == 4


def test_each_adapted_layer_counts_and_merges(folder, photos):
    from glip_core.modeling import low_rank

    model = shake(load(folder))
    trainable = model.trainable(mode_of("lora", adapter_where="vision+tower+heads")[0], PROMPT)
    before = model.predict(photos[0], PROMPT)
    with torch.no_grad():
        for key, parameter in trainable.items():
            parameter.add_(0.02 if key.endswith("lora_B") else 0.0)
    model.train()
    total(model.losses([model.prepare(photos[0])], TARGETS[:1], PROMPT, {"boxes": 2.0})).backward()
    silent = ("model.decoder.class_embed.1.", "model.decoder.lqe_layers.1.")
    dead = [key for key, p in trainable.items() if p.grad is None or not p.grad.any()]
    assert not [key for key in dead if not key.startswith(silent)], dead
    tuned = model.predict(photos[0], PROMPT)
    assert not torch.allclose(tuned.boxes, before.boxes, atol=1e-3)
    low_rank.merge(model.network)
    merged = model.predict(photos[0], PROMPT)
    torch.testing.assert_close(merged.scores, tuned.scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["full", "lora"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_checkpointing_changes_no_gradient_and_holds_less(folder, photos, name, precision):
    model = shake(load(folder))
    inputs = [model.prepare(photo) for photo in photos]
    check_checkpointing(model, name, PROMPT, inputs, TARGETS, SUMS, precision)


@pytest.mark.parametrize("name", ["linear", "full", "lora"])
def test_what_was_tuned_is_put_back(folder, photos, name):
    mode, _ = mode_of(name)
    model, other = load(folder, seed=1), load(folder, seed=1)
    with torch.no_grad():
        for parameter in model.trainable(mode, PROMPT).values():
            parameter.add_(0.03)
    other.apply_tuned(mode, PROMPT, model.tuned_state(), source="file")
    torch.testing.assert_close(other.predict(photos[0], PROMPT).scores, model.predict(photos[0], PROMPT).scores)
    with pytest.raises(InputError, match="file do not fit"):
        other.apply_tuned(mode, PROMPT, {"nothing": torch.zeros(1)}, source="file")


def test_class_layers_are_new_for_every_task(folder):
    """Also where the task has as many classes as the checkpoint; their values are those of the seed."""
    model, same, other = load(folder, 5), load(folder, 5), load(folder, 5, seed=1)
    own = dict(load(folder, 0).network.named_parameters())
    for key, value in model.network.named_parameters():
        new = dict(same.network.named_parameters())[key], dict(other.network.named_parameters())[key]
        assert torch.equal(value, new[0])
        if "class_embed" in key or "enc_score_head" in key:
            assert key.endswith(".bias") or not torch.equal(value, own[key])
            assert torch.equal(value, new[1]) == key.endswith(".bias")
        else:
            assert torch.equal(value, own[key])
    assert float(model.network.class_embed.state_dict()[_first_bias(model)].max()) == pytest.approx(-math.log(99))


def _first_bias(model):
    return next(key for key in model.network.class_embed.state_dict() if key.endswith("bias"))


def test_other_sizes_are_multiples_of_what_the_network_needs(folder, photos):
    model = load(folder)
    for scale in (0.3, 0.7, 1.4):
        small = model.prepare(photos[0], scale=scale)
        assert small.pixels.shape[-1] % model.side == 0 and small.hw == (60, 90)
        assert len(model.detect_batch([small], PROMPT)[0]) == 40


def test_a_loss_that_is_not_finite_is_no_traceback(folder, photos):
    model = load(folder)
    model.trainable(mode_of("linear")[0], PROMPT)
    with torch.no_grad():
        for key, parameter in model.network.named_parameters():
            if "bbox_embed" in key:
                parameter.fill_(torch.nan)
    model.train()
    assert total(model.losses([model.prepare(photos[0])], TARGETS[:1], PROMPT, {"boxes": 2.0})).isnan()


def test_versions_whose_loss_is_wrong_are_refused(folders, monkeypatch):
    monkeypatch.setattr("transformers.__version__", "5.17.0")
    for kind in ("RTDetrV2", "DFine"):
        with pytest.raises(InputError, match=r"needs transformers 5\.18 or newer, this is 5\.17\.0"):
            load(folders[kind]).trainable(mode_of("full")[0], PROMPT)
    assert load(folders["RfDetr"]).trainable(mode_of("full")[0], PROMPT)


def test_a_version_without_the_family_is_one_line(folders, monkeypatch):
    model = find_model(f"hf:{folders['Deimv2']}")
    monkeypatch.setattr(model, "network_class", "NoSuchForObjectDetection")
    with pytest.raises(InputError, match="has no NoSuchForObjectDetection: pip install --upgrade transformers"):
        model.load(None, "cpu")


def test_a_task_of_another_number_of_classes_is_refused(folder):
    with pytest.raises(InputError, match="has a layer for 5 classes, the task has 2"):
        load(folder, 5).trainable(mode_of("full")[0], PROMPT)


@pytest.mark.parametrize("kind", ["DFine", "RfDetr"])
def test_through_the_program(cli, folders, kind, pets, tmp_path):
    folder = folders[kind]
    results = tmp_path / "results"
    model = ["--model", f"hf:{folder}", "--dataset", pets, "--results", results]
    settings = ["--set", "epochs=1,repeats_per_epoch=1,min_steps_per_epoch=1,batch=2"]
    answer = cli("run", *model, "--mode", "linear,full,lora", "--shots", "1", *settings, "--json")
    assert answer.code == 0, answer.err
    records = [record for _, record in find_records(results)]
    assert {record["spec"]["mode"] for record in records} == {"linear", "full", "lora"}
    for record in records:
        found = load_run(record).predict(Image.new("RGB", (80, 60)))
        assert len(found) == 40 and set(found.labels.tolist()) <= {0, 1}
    refused = cli("run", *model, "--mode", "zero-shot").refused()
    assert "has a class head and no prompt" in refused
    Image.new("RGB", (80, 60)).save(tmp_path / "one.png")
    asked = cli("predict", "--model", f"hf:{folder}", "--prompt", "cat", tmp_path / "one.png", "--out", tmp_path)
    assert "reads no prompts" in asked.refused()


def test_the_list_says_that_classes_are_an_index(cli):
    rows = {row["name"]: row for row in json.loads(cli("models", "list", "--json").out)}
    assert rows["dfine-s"]["classes"] == rows["rf-detr-b"]["classes"] == "index"
    assert rows["grounding-dino-t"]["classes"] == "prompt"
    assert not model_facts("rtdetrv2-r18").has_text
    assert tuple(model_facts("rtdetrv2-r18").modes) == TUNED
