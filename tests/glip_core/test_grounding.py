"""Phrases of a sentence in a photo, with an embedded model."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

import glip_core
from glip_core import Detections, InputError
from glip_core.detection.drawing import class_colour, draw_phrases
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


def test_phrases_are_found_or_marked(detector):
    split = open_split(load_task("pascalvoc", "mini"), "test")
    photo = split.image(split.image_ids[0])
    given = glip_core.ground(detector, photo, SENTENCE, ["a person", "two dogs"])
    for found in (
        glip_core.ground(detector, photo, SENTENCE),
        glip_core.ground(detector, photo, "[a person] near [two dogs]"),
    ):
        assert [one.text for one in found] == ["a person", "two dogs"]
        assert all(torch.equal(one.boxes, other.boxes) for one, other in zip(found, given, strict=True))


def test_the_words_below_a_picture_have_the_colours_of_their_boxes():
    photo = Image.new("RGB", (640, 480), "gray")
    found = Detections(torch.tensor([[10.0, 10, 100, 100]]), torch.tensor([0.9]), torch.tensor([1]))
    picture = draw_phrases(photo, found, SENTENCE, [((0, 8),), ((14, 22),)])
    assert picture.width == 640
    assert picture.height > 480
    colours = {label: class_colour(label) for label in (0, 1)}
    above, below = (
        {colour for _, colour in picture.crop(box).getcolors(1 << 19)}
        for box in ((0, 0, 640, 480), (0, 480, *picture.size))
    )
    assert colours[1] in above
    assert colours[0] not in above
    assert set(colours.values()) <= below
