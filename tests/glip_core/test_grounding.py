"""Phrases of a sentence in a photo, with an embedded model."""

from __future__ import annotations

import pytest
import torch

import glip_core
from glip_core import InputError
from glip_core.detector.grounding import phrase_spans
from odinw_bench import load_task
from odinw_bench.datasets.sources import open_split

SENTENCE = "a person near two dogs"


@pytest.fixture(scope="module")
def detector():
    return glip_core.load("glip-nano")


def test_phrases_come_back_in_order_with_boxes_in_the_photo(detector):
    split = open_split(load_task("pascalvoc", "mini"), "test")
    photo = split.image(split.image_ids[0])
    found = glip_core.ground(detector, photo, SENTENCE, ["person", (14, 22), [(0, 8), (14, 22)]])
    assert [phrase.text for phrase in found] == ["person", "two dogs", "a person ... two dogs"]
    for phrase in found:
        assert len(phrase) == len(phrase.boxes)
        assert (phrase.scores.diff() <= 0).all()
        assert (phrase.boxes >= 0).all()
        assert (phrase.boxes[:, 2] < photo.width).all()
    again = glip_core.ground(detector, photo, SENTENCE, [(2, 8)])
    assert torch.equal(again[0].boxes, glip_core.ground(detector, photo, SENTENCE, ["person"])[0].boxes)


def test_no_phrases_no_work(detector):
    assert glip_core.ground(detector, "nowhere.jpg", SENTENCE, []) == []


@pytest.mark.parametrize("phrase", ["cat", "", " ", (5, 5), (0, 99), [(0, 3), (9, 4)], []])
def test_what_is_no_phrase_of_the_sentence(phrase):
    with pytest.raises(InputError):
        phrase_spans(SENTENCE, phrase)
