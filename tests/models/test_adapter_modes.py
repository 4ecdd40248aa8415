"""Modes that train few values: what they train, that the rest stays, and that a run keeps and finds it again."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

import glip_core
from glip_core import InputError, Prompt, Targets
from glip_core.modeling import low_rank
from glip_core.modes import get_mode
from odinw_bench import RunSpec, load_run, load_task, run
from odinw_bench.datasets.sources import open_split
from odinw_bench.engine.recipes import hyperparameters
from odinw_bench.models import find_model

BERT = "language_backbone.body.model.encoder"
PROMPT = Prompt.from_classes(["raccoon"])


def trained(model: str, mode: str, **overrides) -> set[str]:
    settings = hyperparameters("mini-1", mode, 5, overrides)
    return set(find_model(model).load(None, "cpu", classes=1).trainable(get_mode(mode).configured(settings), PROMPT))


def test_bias_and_norm_train_what_they_say():
    biases = trained("glip-nano", "bias")
    assert "rpn.head.bias0" in biases
    assert not any(name.endswith("weight") or "relative_position" in name for name in biases)
    norms = trained("glip-nano", "norm")
    assert norms
    assert all("norm" in name.lower() or ".bn." in name for name in norms)
    assert not any(name.startswith("backbone.body.layers.0.") for name in biases | norms)


@pytest.mark.parametrize("mode", ["bias", "norm", "lora", "dora"])
def test_a_class_layer_that_starts_from_random_values_is_always_trained(mode):
    assert {"rpn.head.cls_logits.weight", "rpn.head.cls_logits.bias"} <= trained("dyhead-nano", mode)


@pytest.mark.parametrize(
    ("where", "inside", "outside"),
    [
        ("vision", "backbone.body.layers.1.blocks.0.attn.qkv.lora_A", "rpn.head.bbox_pred.lora_A"),
        ("fusion", "rpn.head.dyhead_tower.0.b_attn.attn.v_proj.lora_B", "backbone.fpn.fpn_inner2.lora_A"),
        ("language", f"{BERT}.layer.0.attention.self.query.lora_A", "rpn.head.bbox_pred.lora_A"),
        ("tower+heads", "rpn.head.dyhead_tower.2.DyConv.1.conv.lora_B", "rpn.head.dyhead_tower.1.output.dense.lora_A"),
    ],
)
def test_where_low_rank_updates_go(where, inside, outside):
    found = trained("glip-nano", "lora", adapter_where=where)
    assert inside in found
    assert outside not in found
    assert all(name.endswith((".lora_A", ".lora_B")) for name in found)


@pytest.mark.parametrize("mode", ["lora", "dora"])
def test_a_step_computes_each_adapted_weight_once_unless_it_computes_parts_again(mode, monkeypatch):
    """With the same losses and gradients; with checkpointing it reads them as often as the layers do."""
    model = find_model("glip-nano").load(None, "cpu", classes=1)
    configured = get_mode(mode).configured(hyperparameters("mini-2", mode, 5))
    parameters = model.trainable(configured, PROMPT)
    with torch.no_grad():
        for number, (name, value) in enumerate(parameters.items()):
            if name.endswith(low_rank.UP):
                value.normal_(0, 0.02, generator=torch.Generator().manual_seed(number))
    model.train()
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    inputs = model.prepare(photo)
    targets = Targets(torch.tensor([[10.0, 10.0, 100.0, 90.0]]), torch.tensor([0]))
    computed, forward = Counter(), low_rank.LowRank.forward

    def counted(self, weight):
        computed[self] += 1
        return forward(self, weight)

    monkeypatch.setattr(low_rank.LowRank, "forward", counted)
    found = []
    for again in (False, True):
        model.use_checkpointing(again)
        computed.clear()
        losses = torch.stack(
            list(model.losses([inputs], [targets], PROMPT, model.normalisers(inputs, targets)).values())
        )
        assert (set(computed.values()) == {1}) is not again
        found.append((losses, torch.autograd.grad(losses.sum(), list(parameters.values()))))
    (losses, once), (same, often) = found
    assert torch.equal(losses, same)
    for mine, other in zip(once, often, strict=True):  # float32: sums over levels in another order
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-5)


def test_what_is_frozen_may_be_cached():
    for where, vision, text in (("fusion", True, True), ("vision+tower", False, True), ("language", True, False)):
        mode = get_mode("lora").configured(hyperparameters("mini-1", "lora", 5, {"adapter_where": where}))
        assert (mode.frozen_vision, mode.frozen_text) == (vision, text)
    assert get_mode("lora").frozen_vision  # the listed mode itself is as it was


@pytest.mark.parametrize(
    ("overrides", "words"),
    [({"adapter_where": "fusoin"}, "did you mean 'fusion'"), ({"adapter_rank": 0}, "adapter_rank must be at least 1")],
)
def test_settings_that_make_no_sense(tmp_path, overrides, words):
    with pytest.raises(InputError, match=words):
        run(RunSpec(dataset="raccoon", mode="lora", shots=1, overrides=overrides), tmp_path)


def test_a_part_that_the_model_does_not_have(tmp_path):
    spec = RunSpec(dataset="raccoon", model="dyhead-nano", mode="lora", shots=1, overrides={"adapter_where": "fusion"})
    with pytest.raises(InputError, match="none of the parts fusion"):
        run(spec, tmp_path)


@pytest.mark.parametrize("mode", ["bias", "norm", "lora", "dora", "prompt+lora"])
def test_a_run_trains_only_that_and_is_found_again(tmp_path, mode):
    record = run(
        RunSpec(
            dataset="raccoon",
            mode=mode,
            shots=1,
            overrides={"epochs": 2, "repeats_per_epoch": 8, "min_steps_per_epoch": 1},
        ),
        tmp_path,
    )
    tuned = glip_core.checkpoint.read_state_dict(record.folder / "tuned.safetensors")
    assert sum(value.numel() for value in tuned.values()) == record["cost"]["tuned_parameters"]
    detector = load_run(record, "cpu")
    split = open_split(load_task("raccoon", "mini"), "test")
    stored = [row for row in detector_rows(record) if row["image_id"] == split.image_ids[0]]
    found = detector.predict(split.image(split.image_ids[0]))
    assert [round(row["score"], 4) for row in stored] == pytest.approx(found.scores.tolist(), abs=1e-3)
    base = load_run(run(RunSpec(dataset="raccoon", mode="zero-shot"), tmp_path), "cpu")
    assert not torch.equal(base.predict(split.image(split.image_ids[0])).scores, found.scores)


def detector_rows(record):
    import json

    return json.loads((record.folder / "predictions.json").read_text())


def test_other_ranks_are_other_runs(tmp_path):
    from odinw_bench.runs.prepare import prepare

    digests = {
        prepare(RunSpec(dataset="raccoon", mode="lora", shots=1, overrides={"adapter_rank": rank}), tmp_path).digest
        for rank in (2, 8)
    }
    assert len(digests) == 2
    settings = hyperparameters("mini-1", "prompt", 5).to_json()
    assert "adapter_rank" not in settings  # the digests of runs before these modes stay
