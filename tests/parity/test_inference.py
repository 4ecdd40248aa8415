"""Every stored tensor of the three official models, and their final detections.

Tolerances are those the oracle's README suggests (section 5), several times the measured float32 noise: 5e-5 for
backbones (measured 4e-6), 1e-3 for outputs with fusion and 2e-4 without, scores 1e-4, boxes
0.1 px with fusion and 0.05 px without.
"""

from __future__ import annotations

import pytest
import torch

from .conftest import Forward, forward_in_steps

MODELS = ["dyhead_t", "glip_t_a", "glip_t"]


@pytest.fixture(scope="module", params=MODELS)
def run(request, subjects):
    subject = subjects(request.param)
    return subject, forward_in_steps(subject)


def outputs_tolerance(subject) -> float:
    return 1e-3 if subject.detector.config.fusion else 2e-4


def test_backbones(run):
    subject, forward = run
    stages = {f"swin{i}": x for i, x in enumerate(forward.swin)} | {f"fpn{i}": x for i, x in enumerate(forward.pyramid)}
    if forward.text is not None:
        stages |= {"lang_hidden": forward.text.hidden, "lang_embedded": forward.text.embedded}
    for key, value in stages.items():
        assert subject.case.error(key, value) <= 5e-5, key


def test_blocks(run):
    subject, forward = run
    checked = 0
    for place, index in (("first", 0), ("last", -1)):
        for stage, value in forward.blocks[index].items():
            parts = [("", value)] if stage.startswith(("fused_lang", "lang_layer")) else list(enumerate(value))
            for level, tensor in parts:
                key = f"block_{place}_{stage}{level}"
                assert subject.case.error(key, tensor) <= outputs_tolerance(subject), key
                checked += 1
    assert checked == sum(key.startswith("block_") for key in subject.case.facts["arrays"])


def test_outputs(run):
    subject, forward = run
    tolerance = outputs_tolerance(subject)
    for level in range(5):
        logits = forward.raw.logits[level]
        if not subject.detector.config.has_text:  # the oracle keeps class logits as maps
            logits = logits.mT.unflatten(2, forward.raw.centerness[level].shape[-2:])
        assert subject.case.error(f"logits{level}", logits) <= tolerance
        assert subject.case.error(f"box{level}", forward.raw.box_deltas[level]) <= tolerance
        assert subject.case.error(f"ctr{level}", forward.raw.centerness[level]) <= tolerance


def test_detections(run):
    subject, forward = run
    sizes = [tuple(size) for size in subject.case.facts["image_sizes_hw"]]
    found = subject.detector.detections_from_raw(forward.raw, sizes, subject.prompt)[0]
    assert subject.case.error("det0_labels", found.labels + 1) == 0  # same number, same order
    assert subject.case.error("det0_scores", found.scores) <= 1e-4
    assert subject.case.error("det0_boxes", found.boxes) <= (0.1 if subject.detector.config.fusion else 0.05)


def test_every_stored_array_is_covered(run):
    """No array of the oracle is left out by the tests above, but for the input and the padded token ids."""
    subject, _ = run
    known = {"image0", "input_ids", "attention_mask", "lang_hidden", "lang_embedded"}
    known |= {f"{stem}{i}" for stem in ("swin", "fpn", "logits", "box", "ctr") for i in range(5)}
    known |= {"det0_boxes", "det0_scores", "det0_labels"}
    rest = {key for key in subject.case.facts["arrays"] if key not in known and not key.startswith("block_")}
    assert not rest


def test_token_ids(run):
    subject, _ = run
    if not subject.detector.config.has_text:
        pytest.skip("a class head reads no text")
    encoding = subject.detector.language.tokenize(subject.prompt)
    assert subject.prompt.caption == subject.case.facts["prompt"]
    assert subject.case.array("input_ids")[0, : len(encoding.ids)].tolist() == encoding.ids
    assert int(subject.case.array("attention_mask").sum()) == len(encoding.ids)
    tokens = subject.detector.token_map(subject.prompt)
    assert {str(i + 1): t for i, t in enumerate(tokens)} == subject.case.facts["positive_map_label_to_tokens"]


def test_forward_raw_is_the_sum_of_its_parts(run):
    subject, forward = run
    with torch.no_grad():  # as the parts were: with gradients, other kernels do the same sums
        raw: Forward = subject.detector.forward_raw(subject.pixels, subject.prompt)
    assert all(a.equal(b) for a, b in zip(raw.logits, forward.raw.logits, strict=True))
