"""From head outputs to ranked boxes per phrase, against the official evaluation's stored results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glip_core.config import get_config
from glip_core.detection.anchors import pyramid_anchors
from glip_core.detector.grounding import phrase_tokens, rank_phrases
from glip_core.modeling.bert import BERT_VOCABULARY, load_tokenizer
from glip_core.postprocess import PostprocessConfig
from glip_core.preprocess import scale_boxes
from glip_core.prompt import Prompt
from glip_core.types import RawOutputs

# Suggested by the oracle: the official results are float32, stored with 7 and 4 decimals.
SCORE, PIXELS = 1e-5, 0.01


@pytest.fixture(scope="module")
def stored(shared: Path) -> dict[str, Any]:
    return json.loads((shared / "evaluators" / "phrase_scores.json").read_text())


def outputs(case: dict[str, Any]) -> RawOutputs:
    """The stored head outputs; per level logits ``[H*W, T]`` / 1000, boxes ``[4, H, W]`` / 100, centerness / 1000."""
    logits, boxes, centerness = [], [], []
    for (height, width), a, b, c in zip(case["shapes"], *levels(case), strict=True):
        logits.append(torch.from_numpy(a.reshape(1, height * width, -1) / 1000).float())
        boxes.append(torch.from_numpy(b.reshape(1, 4, height, width) / 100).float())
        centerness.append(torch.from_numpy(c.reshape(1, 1, height, width) / 1000).float())
    return RawOutputs(logits, boxes, centerness)


def levels(case: dict[str, Any]) -> list[list[np.ndarray]]:
    return [[np.array(level, dtype=np.float64) for level in case[key]] for key in ("logits", "box", "ctr")]


def anchors(case: dict[str, Any]) -> list[torch.Tensor]:
    config = get_config("glip-t")
    return pyramid_anchors(case["shapes"], sizes=config.anchor_sizes, strides=config.anchor_strides)


@pytest.mark.parametrize(
    "name", ["general", "more_than_100_and_ties", "more_than_1000_in_a_level", "nothing_above_threshold"]
)
def test_phrases_get_the_official_boxes(stored, name):
    case = next(one for one in stored["flickr"]["cases"] if one["name"] == name)
    characters = load_tokenizer(BERT_VOCABULARY).encode(case["caption"])
    assert characters.ids == case["token_ids"]
    tokens = [
        phrase_tokens(characters, case["caption"], [tuple(s) for s in spans]) for spans in case["tokens_positive_eval"]
    ]
    assert tokens == case["positive_tokens_per_phrase"]
    found = rank_phrases(outputs(case), anchors(case), (case["h"], case["w"]), tokens, PostprocessConfig())
    boxes = scale_boxes(found.boxes, (case["h"], case["w"]), (case["orig_h"], case["orig_w"]))
    for number, official in enumerate(case["ranked"]):
        mine = boxes[found.labels == number]
        stored_boxes = [box for box in official["boxes"] if any(box)]  # the evaluator's own zero box at the end
        assert len(mine) == len(stored_boxes), number
        if len(mine):
            assert (mine - torch.tensor(stored_boxes)).abs().max() < PIXELS


def test_chunks_of_a_large_vocabulary(stored):
    part = stored["detection_in_chunks"]
    images = {image["id"]: image for image in part["images"]}
    names = {entry["id"]: entry["name"] for entry in part["categories_in_file_order"]}
    ids = sorted(names)
    chunks = [ids[start : start + 2] for start in range(0, len(ids), 2)]
    official = {(row["image_id"], row["chunk"]): row for row in part["official_detections_per_call"]}
    for head in part["heads"]:
        chunk, image = chunks[head["chunk"]], images[head["image_id"]]
        prompt = Prompt.from_classes([names[category] for category in chunk])
        assert prompt.caption == part["captions"][head["chunk"]]
        tokens = prompt.token_map(load_tokenizer(BERT_VOCABULARY).encode(prompt.caption))
        assert {str(c): t for c, t in zip(chunk, tokens, strict=True)} == part["positive_maps"][head["chunk"]]
        found = rank_phrases(
            outputs(head), anchors(head), (head["h"], head["w"]), tokens, PostprocessConfig(per_image=20)
        )
        row = official[head["image_id"], head["chunk"]]
        assert [chunk[label] for label in found.labels] == row["labels"]
        assert (found.scores - torch.tensor(row["scores"])).abs().max() < SCORE
        boxes = scale_boxes(found.boxes, (head["h"], head["w"]), (image["orig_h"], image["orig_w"]))
        assert (boxes - torch.tensor(row["boxes"])).abs().max() < PIXELS
