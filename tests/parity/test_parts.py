"""Single parts against the oracle: checkpoint names, prompts, preprocessing, boxes, NMS, one DyConv block."""

from __future__ import annotations

import json
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

import glip_core
from glip_core import InputError, Prompt
from glip_core.checkpoint import named_tensors
from glip_core.checkpoint.names import is_ignored, official_name
from glip_core.detection import boxes
from glip_core.detection.anchors import cell_anchor, pyramid_anchors
from glip_core.images import load_image
from glip_core.modeling.bert import BERT_VOCABULARY, load_tokenizer
from glip_core.modeling.dyhead import DyConv
from glip_core.postprocess import class_aware_nms
from glip_core.preprocess import flip_boxes, pad_batch, resized_hw, scale_boxes, to_tensor


def tensors(arrays, *keys):
    return [torch.from_numpy(arrays[key]) for key in keys]


@pytest.mark.parametrize(
    ("stored", "preset"), [("glip_t", "glip-t"), ("glip_t_a", "glip-t-a"), ("dyhead_t", "dyhead-t")]
)
def test_key_lists_are_consumed_completely(parity, stored, preset):
    entries = json.loads((parity / f"{stored}.keys.json").read_text())["tensors"]
    official = {entry["key"]: entry["shape"] for entry in entries}
    with torch.device("meta"):
        detector = glip_core.build(preset, **({"num_classes": 7} if stored == "dyhead_t" else {}))
    ours = {name: list(t.shape) for name, t in named_tensors(detector, detector.config).items()}
    assert {k: v for k, v in official.items() if not is_ignored(k, detector.config)} == ours
    unused = [k for k in official if k not in ours]
    assert all("cls_logits" in k or "cell_anchors" in k or "relative_position_index" in k for k in unused)


def test_strict_loading_names_what_is_wrong(parity):
    detector = glip_core.build("dyhead-t", num_classes=7)
    state = {f"module.{k}": v.clone() for k, v in named_tensors(detector, detector.config).items()}
    state["module.language_backbone.body.model.embeddings.position_ids"] = torch.zeros(1, 512)
    glip_core.load_official_state_dict(detector, state)
    del state["module.rpn.head.centerness.bias"]
    with pytest.raises(InputError, match=r"1 missing \(rpn.head.centerness.bias\)"):
        glip_core.load_official_state_dict(detector, state)
    state["module.rpn.head.centerness.bias"] = torch.zeros(2)
    state["module.surprise"] = torch.zeros(1)
    with pytest.raises(InputError, match=r"1 unused \(surprise\).*of another shape.*centerness.bias \[2\] for \[1\]"):
        glip_core.load_official_state_dict(detector, state)


def prompt_cases(parity):
    stored = json.loads((parity / "prompts.json").read_text())
    return stored["tasks"] + stored["edge_cases"]


def test_prompts(parity):
    tokenizer = load_tokenizer(BERT_VOCABULARY)
    for case in prompt_cases(parity):
        if case.get("caption_prompt"):
            prompt = Prompt.from_parts(case["caption_prompt"])
        else:
            prompt = Prompt.from_classes(
                case["class_names"] if "class_names" in case else case["class_names_in_label_order"]
            )
        assert prompt.caption == case["caption"]
        encoding = tokenizer.encode(prompt.caption)
        assert encoding.ids == case["token_ids"]
        tokens = {str(i + 1): t for i, t in enumerate(prompt.token_map(encoding))}
        assert tokens == case["positive_map_label_to_tokens"]


def test_vocabulary_is_the_official_one(parity):
    assert BERT_VOCABULARY.read_bytes() == (parity / "bert-base-uncased-vocab.txt").read_bytes()


def test_preprocessing(parity):
    facts = json.loads((parity / "preprocess.json").read_text())
    arrays = np.load(parity / "preprocess.npz")
    for wh, hw in facts["resize_rule_wh_to_hw"]:
        assert list(resized_hw(tuple(wh), 800, 1333)) == hw
    for stored in facts["images"]:
        photo = load_image(parity / stored["file"])
        hw = resized_hw(photo.size, 800, 1333)
        assert list(hw) == stored["resized_hw"]
        resized = photo.resize((hw[1], hw[0]), Image.Resampling.BILINEAR)
        assert zlib.crc32(np.asarray(resized).tobytes()) == stored["resized_uint8_rgb_crc32"]
        pixels, sizes = pad_batch([to_tensor(photo, hw)])
        assert list(pixels.shape[-2:]) == stored["padded_hw"]
        assert sizes == [hw]
        stem = stored["file"].removesuffix(".png")
        sample = pixels.flatten()[::997].numpy()
        # Two float32 operations on bytes: a last-bit difference at most.
        np.testing.assert_allclose(sample, arrays[f"{stem}_sub"], atol=1e-6)
        np.testing.assert_allclose(pixels[0, :, :8, :8].numpy(), arrays[f"{stem}_corner"], atol=1e-6)
        box = scale_boxes(torch.tensor([stored["box_xyxy_in"]]), (photo.height, photo.width), hw)
        torch.testing.assert_close(box, torch.tensor([stored["box_xyxy_resized"]]), atol=1e-3, rtol=0)


def test_flip_matches_the_training_sample(parity):
    stored = json.loads((parity / "training_sample.json").read_text())
    for plain, flipped in zip(stored["no_flip"], stored["flip"], strict=True):
        if plain["boxes_xyxy"]:
            width = plain["resized_hw"][1]
            ours = flip_boxes(torch.tensor(plain["boxes_xyxy"]), width)
            torch.testing.assert_close(ours, torch.tensor(flipped["boxes_xyxy"]), atol=1e-3, rtol=0)


def test_anchors_coder_iou_and_clip(parity):
    facts, arrays = json.loads((parity / "boxes.json").read_text()), np.load(parity / "boxes.npz")
    sizes, strides = facts["anchor_sizes"], facts["anchor_strides"]
    assert [[list(cell_anchor(size, stride))] for size, stride in zip(sizes, strides, strict=True)] == facts[
        "cell_anchors"
    ]
    levels = pyramid_anchors([tuple(hw) for hw in facts["feature_hw_per_level"]], sizes=sizes, strides=strides)
    assert torch.cat(levels).equal(torch.from_numpy(arrays["anchors_all"]))
    anchors, deltas, decoded = tensors(arrays, "decode_anchors", "decode_deltas", "decode_boxes")
    torch.testing.assert_close(boxes.decode(deltas, anchors), decoded, atol=1e-3, rtol=1e-6)
    truth, anchors, deltas = tensors(arrays, "encode_gt", "encode_anchors", "encode_deltas")
    torch.testing.assert_close(boxes.encode(truth, anchors), deltas, atol=1e-5, rtol=1e-5)
    a, b, iou = tensors(arrays, "iou_a", "iou_b", "iou")
    torch.testing.assert_close(boxes.pairwise_iou(a, b), iou, atol=1e-6, rtol=0)
    before, after = tensors(arrays, "clip_in", "clip_out")
    width, height = facts["image_wh_for_clip"]
    assert boxes.clip(before, (height, width)).equal(after)


@pytest.mark.parametrize("case", ["nms", "nms_int"])
def test_nms_counts_inclusive_pixels(parity, case):
    arrays = np.load(parity / "boxes.npz")
    rows, scores, labels, keep = tensors(arrays, f"{case}_boxes", f"{case}_scores", f"{case}_labels", f"{case}_keep")
    ours = class_aware_nms(rows, scores, labels, 0.6)
    assert sorted(ours.tolist()) == sorted(keep.tolist())
    without = arrays[f"{case}_keep_without_plus_one"]
    assert sorted(ours.tolist()) != sorted(without.tolist())  # the case tells the two apart


def test_one_dyconv_block_on_odd_sizes(parity):
    """A batch of two and odd sizes: the coarser level's offsets are re-read from memory per image."""
    arrays = np.load(parity / "dyconv_unit.npz")
    block = DyConv(32)
    config = glip_core.PRESETS["dyhead-t"]
    start = "rpn.head.dyhead_tower.0."
    state = {
        name: torch.from_numpy(arrays["param/" + official_name(f"tower.0.dyconv.{name}", config).removeprefix(start)])
        for name in block.state_dict()
    }
    block.load_state_dict(state)
    out = block([torch.from_numpy(arrays[f"x{i}"]) for i in range(5)])
    for i, level in enumerate(out):
        # GroupNorm over a map of few values magnifies the order of sums: 2e-5 was seen.
        torch.testing.assert_close(level, torch.from_numpy(arrays[f"y{i}"]), atol=5e-5, rtol=0)
