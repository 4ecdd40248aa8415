"""Small detectors with random weights: batching, prompts per image, tuning, predicting, saving."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from PIL import Image

import glip_core
from glip_core import InputError, Prompt, Targets, tuning
from glip_core.config import PRESETS, FusionConfig, SwinConfig, TextConfig
from glip_core.detection.losses import Normalisers
from glip_core.modeling.bert import BERT_VOCABULARY

SMALL = dataclasses.replace(
    PRESETS["glip-t"],
    swin=SwinConfig(width=16, depths=(1, 1, 1, 1), heads=(1, 2, 4, 8), window=4, drop_path=0.1),
    text=TextConfig(width=32, layers=1, heads=2, feedforward=64),
    fusion=FusionConfig(width=32, heads=2),
    channels=32,
    blocks=2,
    image_short=96,
    image_long=160,
)
PROMPT = Prompt.from_classes(["red fish", "boat", "stingray"])


def small(fusion: bool = True) -> glip_core.GLIP:
    torch.manual_seed(0)
    config = SMALL if fusion else dataclasses.replace(SMALL, fusion=None)
    detector = glip_core.assemble(config, BERT_VOCABULARY)
    with torch.no_grad():  # lively outputs: the prior would keep every score near 0.01
        detector.head.bias0.fill_(0.0)
        detector.head.bias_lang.normal_()
    return detector


def targets() -> list[Targets]:
    return [
        Targets(torch.tensor([[8.0, 8, 60, 70], [50, 20, 90, 60]]), torch.tensor([0, 2])),
        Targets(torch.tensor([[30.0, 30, 80, 80]]), torch.tensor([1])),
    ]


@pytest.mark.parametrize("fusion", [True, False])
def test_a_batch_equals_its_images(fusion):
    """Equal sizes in one batch give each image's own result, to float32 rounding."""
    detector = small(fusion)
    pixels = torch.randn(2, 3, 96, 128)
    with torch.no_grad():
        both = detector.forward_raw(pixels, PROMPT)
        alone = [detector.forward_raw(pixels[i : i + 1], PROMPT) for i in range(2)]
    for level in range(5):
        for i in range(2):
            torch.testing.assert_close(both.logits[level][i], alone[i].logits[level][0], atol=1e-4, rtol=1e-4)


def test_prompts_of_different_length_in_one_batch():
    """Padding a shorter prompt changes nothing for it."""
    detector = small()
    pixels = torch.randn(2, 3, 96, 96)
    prompts = [Prompt.from_classes(["fish"]), PROMPT]
    with torch.no_grad():
        both = detector.forward_raw(pixels, prompts)
        alone = detector.forward_raw(pixels[:1], prompts[0])
    tokens = alone.logits[0].shape[-1]
    assert both.logits[0].shape[-1] > tokens
    for level in range(5):
        torch.testing.assert_close(both.logits[level][:1, :, :tokens], alone.logits[level], atol=1e-4, rtol=1e-4)
    few = [Targets(torch.tensor([[8.0, 8, 60, 70]]), torch.tensor([0]))]
    separate = detector.losses_from_raw(alone, few, prompts[0])
    norm = Normalisers.of(detector.assign(alone, few))
    first = glip_core.RawOutputs(*([x[:1] for x in part] for part in (both.logits, both.box_deltas, both.centerness)))
    mask = glip_core.RawOutputs([x[..., :tokens] for x in first.logits], first.box_deltas, first.centerness)
    together = detector.losses_from_raw(mask, few, prompts[0], normalisers=norm)
    for name, value in separate.items():
        torch.testing.assert_close(together[name], value, atol=1e-4, rtol=1e-4)


def test_losses_of_parts_add_up_with_the_batch_normalisers():
    detector = small()
    pixels = torch.randn(2, 3, 96, 128)
    whole = detector.loss(pixels, targets(), PROMPT)
    norm = sum((detector.normalisers((96, 128), t) for t in targets()), Normalisers(0, 0))
    parts = [
        detector.losses_from_raw(detector.forward_raw(pixels[i : i + 1], PROMPT), [t], PROMPT, normalisers=norm)
        for i, t in enumerate(targets())
    ]
    for name, value in whole.items():
        torch.testing.assert_close(sum(part[name] for part in parts), value, atol=1e-4, rtol=1e-4)


def test_images_without_boxes_are_background():
    detector = small()
    empty = [Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))]
    losses = detector.loss(torch.randn(1, 3, 96, 96), empty, PROMPT)
    assert float(losses["box"]) == float(losses["centerness"]) == 0
    assert torch.isfinite(losses["alignment"])
    sum(losses.values()).backward()


def test_detect_sorts_clips_and_labels():
    detector = small()
    detector.postprocessing = dataclasses.replace(detector.postprocessing, per_image=20)
    (found,) = detector.detect(torch.randn(1, 3, 96, 128), [(90, 120)], PROMPT)
    assert len(found) == 20
    assert found.scores.diff().max() <= 0
    assert found.boxes.min() >= 0
    assert found.boxes[:, [0, 2]].max() <= 119
    assert found.boxes[:, [1, 3]].max() <= 89
    assert set(found.labels.tolist()) <= {0, 1, 2}


def test_predict_speaks_in_the_photos_pixels(tmp_path):
    detector = small()
    photo = Image.effect_noise((300, 200), 80).convert("RGB")
    photo.save(tmp_path / "photo.png")
    by_path, by_image = detector.predict(tmp_path / "photo.png", PROMPT), detector.predict(photo, PROMPT)
    assert by_path.boxes.equal(by_image.boxes)
    assert 96 * 1.5 < by_path.boxes.max() <= 300
    with pytest.raises(InputError, match=r"nothing.png' not found"):
        detector.predict(tmp_path / "nothing.png", PROMPT)
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(InputError, match=r"text.png' is not an image"):
        detector.predict(tmp_path / "text.png", PROMPT)


@pytest.mark.parametrize("mode", list(tuning.MODES))
def test_modes_move_what_they_say_and_nothing_else(mode):
    chosen = tuning.get_mode(mode)
    detector = small()
    trainable = chosen.prepare(detector, PROMPT)
    assert sorted(trainable) == sorted(chosen.trainable_names(detector))
    trainable |= chosen.add_modules(detector, PROMPT)
    before = {k: v.detach().clone() for k, v in glip_core.checkpoint.named_tensors(detector, detector.config).items()}
    if not chosen.tunes:
        assert not trainable
        return
    optimiser = torch.optim.SGD(list(trainable.values()), lr=0.1)
    chosen.train(detector)
    sum(detector.loss(torch.randn(2, 3, 96, 128), targets(), PROMPT).values()).backward()
    optimiser.step()
    after = glip_core.checkpoint.named_tensors(detector, detector.config)
    changed = {name for name in before if not before[name].equal(after[name])}
    assert changed <= set(trainable)
    # The factor behind one that begins at 0 has no gradient yet; rows of words that are not in the prompt cannot move.
    can_move = [name for name in trainable if not name.endswith("lora_A")]
    assert len(changed) >= 0.8 * len(can_move)


@pytest.mark.parametrize("mode", ["prompt", "linear", "prompt+linear", "full"])
def test_tuned_state_can_be_applied_to_the_base_model(mode):
    chosen = tuning.get_mode(mode)
    detector = small()
    for parameter in chosen.prepare(detector, PROMPT).values():
        torch.nn.init.normal_(parameter, std=0.02)
    state = tuning.tuned_state(detector, chosen)
    assert set(state) == set(chosen.trainable_names(detector))
    again = small()
    tuning.apply_tuned(again, state)
    pixels = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        a, b = detector.forward_raw(pixels, PROMPT), again.forward_raw(pixels, PROMPT)
    assert all(x.equal(y) for x, y in zip(a.logits, b.logits, strict=True))


def tuned(mode: str) -> tuple[glip_core.GLIP, tuning.TuningMode, dict[str, torch.Tensor]]:
    """A small detector whose trained values a mode moved, and what is saved of it."""
    chosen, detector = tuning.get_mode(mode), small()
    trained = chosen.prepare(detector, PROMPT) | chosen.add_modules(detector, PROMPT)
    with torch.no_grad():
        for value in trained.values():
            value.add_(torch.randn_like(value), alpha=0.02)
    state = tuning.tuned_state(detector, chosen)
    assert set(state) == set(trained)
    return detector, chosen, state


@pytest.mark.parametrize("mode", ["prompt", "linear", "lora", "dora", "prompt+lora"])
def test_tuned_state_is_all_that_is_needed_to_restore(mode):
    detector, chosen, state = tuned(mode)
    again = small()
    trained = tuning.restore(again, chosen, PROMPT, state, source="file")
    assert all(trained[name].equal(value) for name, value in state.items())
    pixels = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        a, b = detector.forward_raw(pixels, PROMPT), again.forward_raw(pixels, PROMPT)
    assert all(x.equal(y) for x, y in zip(a.logits, b.logits, strict=True))


def without_one(name):
    return lambda state: {key: value for key, value in state.items() if not key.endswith(name)}


def with_value(name, change):
    return lambda state: {key: change(value) if key.endswith(name) else value for key, value in state.items()}


OFFSET, HEAD = "tunable_linear.weight", "rpn.head.bias0"


@pytest.mark.parametrize(
    ("mode", "damage", "words"),
    [
        ("prompt+linear", without_one(HEAD), rf"and mode 'prompt\+linear': {HEAD}"),
        ("prompt", without_one(OFFSET), "rpn.tunable_linear.weight"),
        ("prompt", with_value(OFFSET, lambda x: x[0, 0]), "rpn.tunable_linear.weight"),
        ("prompt", with_value(OFFSET, lambda x: x[:2]), "rpn.tunable_linear.weight"),
        ("prompt", with_value(OFFSET, lambda x: x[:, :2]), "rpn.tunable_linear.weight"),
        ("prompt", with_value(OFFSET, lambda x: x * torch.nan), "not finite"),
        ("linear", with_value(HEAD, lambda x: x.long()), "no floating-point numbers"),
        ("dora", without_one("bbox_pred.magnitude"), "rpn.head.bbox_pred.magnitude"),
        ("prompt+lora", with_value("bbox_pred.lora_A", lambda x: x[:, :2]), "rpn.head.bbox_pred.lora_A"),
        ("lora", lambda state: state | {"colour": torch.zeros(1)}, "colour"),
    ],
)
def test_what_cannot_be_restored_changes_nothing(mode, damage, words):
    _, chosen, state = tuned(mode)
    again, pixels = small(), torch.randn(1, 3, 64, 64)
    again.head.bias0.requires_grad_(False)
    before = {name: value.clone() for name, value in again.state_dict().items()}
    trained = {name: value.requires_grad for name, value in again.named_parameters()}
    expected = again.forward_raw(pixels, PROMPT).logits
    with pytest.raises(InputError, match=words):
        tuning.restore(again, chosen, PROMPT, damage(state), source="file")
    assert again.prompt_offset is None
    assert {name: value.requires_grad for name, value in again.named_parameters()} == trained
    after = again.state_dict()
    assert after.keys() == before.keys() and all(after[name].equal(before[name]) for name in before)
    assert all(x.equal(y) for x, y in zip(expected, again.forward_raw(pixels, PROMPT).logits, strict=True))
    tuning.restore(again, chosen, PROMPT, state, source="file")


@pytest.mark.parametrize("value", [torch.tensor(1.0), torch.zeros(3), torch.full((3, 32), torch.inf)])
def test_an_offset_that_is_none_is_not_applied(value):
    detector = small()
    with pytest.raises(InputError, match="weights"):
        tuning.apply_tuned(detector, {tuning.PROMPT_OFFSET: value})
    assert detector.prompt_offset is None


def test_a_zero_offset_changes_nothing_and_gets_gradients():
    detector = small()
    pixels = torch.randn(1, 3, 96, 96)
    plain = detector.forward_raw(pixels, PROMPT)  # with gradients, as below: other kernels sum in another order
    (offset,) = tuning.get_mode("prompt").prepare(detector, PROMPT).values()
    tuned = detector.forward_raw(pixels, PROMPT)
    assert all(a.equal(b) for a, b in zip(plain.logits, tuned.logits, strict=True))
    sum(x.sum() for x in tuned.logits).backward()
    assert float(offset.grad.abs().sum(1).min()) > 0  # every token's row


@pytest.mark.parametrize("name", ["glip-nano", "dyhead-nano"])
def test_an_encoded_prompt_gives_the_same_as_the_prompt(name):
    torch.manual_seed(0)
    detector = glip_core.build(name, num_classes=None if name == "glip-nano" else len(PROMPT))
    pixels, sizes = torch.randn(2, 3, 96, 128), [(96, 128), (90, 120)]
    encoded = detector.encode(PROMPT)
    assert encoded.prompt == PROMPT and len(encoded) == len(PROMPT) and not encoded.parts
    pairs = zip(detector.detect(pixels, sizes, PROMPT), detector.detect(pixels, sizes, encoded), strict=True)
    assert all(a.boxes.equal(b.boxes) and a.scores.equal(b.scores) for a, b in pairs)
    losses = [detector.loss(pixels, targets(), prompt) for prompt in (PROMPT, encoded)]
    for term, value in losses[0].items():
        torch.testing.assert_close(losses[1][term], value, atol=1e-5, rtol=1e-5)  # attention with gradients or without


def test_encoding_is_without_dropout_and_gradients_and_leaves_the_state_alone():
    detector = small()
    still = detector.encode(PROMPT).text.hidden
    for dropout in detector.language.modules():
        if isinstance(dropout, torch.nn.Dropout):
            dropout.p = 0.5
    detector.language.train()
    with torch.inference_mode():
        text = detector.encode(PROMPT).text
    assert text.hidden.equal(still)
    assert not text.hidden.requires_grad and not text.hidden.is_inference()
    assert detector.language.training


def test_a_tuned_offset_is_added_to_what_is_encoded_at_each_use():
    detector = small()
    encoded = detector.encode(PROMPT)
    (offset,) = tuning.get_mode("prompt").prepare(detector, PROMPT).values()
    with torch.no_grad():
        offset.fill_(1.0)
    assert detector.encode_text(encoded).hidden.equal(encoded.text.hidden + 1)
    detector.encode_text(encoded).hidden.sum().backward()
    assert offset.grad.eq(1).all()


def test_names_and_arguments_are_checked():
    with pytest.raises(InputError, match="did you mean 'glip-t'"):
        glip_core.build("glip-tt")
    with pytest.raises(InputError, match="did you mean 'prompt'"):
        tuning.get_mode("promt")
    with pytest.raises(InputError, match="num_classes is for dyhead"):
        glip_core.build("glip-nano", num_classes=3)
    with pytest.raises(InputError, match="at most 256"):
        small().encode_text(Prompt.from_classes(["aardvark"] * 200))
    dyhead = glip_core.build("dyhead-nano", num_classes=3)
    with pytest.raises(InputError, match="needs a model that reads prompts"):
        tuning.get_mode("prompt").prepare(dyhead, PROMPT)
    with pytest.raises(InputError, match="knows 3 classes, the task has 2"):
        dyhead.detect(torch.randn(1, 3, 64, 64), [(64, 64)], Prompt.from_classes(["a", "b"]))
