"""Boxes on pictures: in the right place and legible at every size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from glip_core import Detections
from glip_core.detection import drawing
from glip_core.detection.drawing import class_colour, draw_detections
from glip_core.detection.labels import place_labels

GREY = (128, 128, 128)


def found(*boxes, labels=None) -> Detections:
    count = len(boxes)
    return Detections(
        torch.tensor(boxes, dtype=torch.float32).reshape(count, 4),
        torch.linspace(0.9, 0.5, count),
        torch.tensor(labels if labels is not None else [0] * count),
    )


def touched(picture: Image.Image) -> np.ndarray:
    """Where something was drawn."""
    return (np.asarray(picture) != np.array(GREY)).any(axis=2)


@pytest.mark.parametrize("size", [(160, 120), (640, 480), (4000, 3000)])
def test_the_box_is_drawn_where_it_is(size):
    width, height = size
    box = (width * 0.25, height * 0.5, width * 0.75, height * 0.9)
    picture = draw_detections(Image.new("RGB", size, GREY), found(box), ["stingray"])
    assert picture.size == size
    scale = 1
    rows, columns = np.nonzero(touched(picture))
    assert columns.min() == pytest.approx(box[0] * scale, abs=3)
    assert rows.max() == pytest.approx(box[3] * scale, abs=3 * scale)
    inside = touched(picture)[int(box[1] * scale) + 10 :, :][: int(0.2 * height * scale), int(width * scale / 2)]
    assert not inside.any()  # the thing itself stays visible


@pytest.mark.parametrize("size", [(160, 120), (4000, 3000)])
def test_labels_are_legible(size):
    """At least a dozen pixels high, and inside the picture even for boxes at the edges."""
    width, height = size
    for box in [(0, 0, width * 0.3, height * 0.3), (width * 0.95, height * 0.5, width - 1, height - 1)]:
        picture = draw_detections(Image.new("RGB", size, GREY), found(box), ["stingray"])
        colour = np.array(class_colour(0))
        rows = np.nonzero((np.asarray(picture) == colour).all(axis=2).sum(axis=1) > 40 * picture.width / 640)[0]
        assert len(rows) >= 12


def test_the_photo_is_not_changed_and_nothing_found_is_nothing_drawn():
    photo = Image.new("RGB", (700, 500), GREY)
    picture = draw_detections(photo, found(), ["fish"])
    assert not touched(picture).any()
    draw_detections(photo, found((10, 10, 90, 90)), ["fish"])
    assert not touched(photo).any()


def test_neighbouring_classes_have_distinct_colours():
    colours = np.array([class_colour(label) for label in range(12)], dtype=float)
    distances = np.abs(colours[:, None] - colours[None]).sum(axis=2)
    assert distances[~np.eye(12, dtype=bool)].min() > 40


def test_boxes_outside_the_picture_and_unusual_names_do_no_harm():
    boxes = found((-50, -50, 900, 900), (5, 5, 5, 5), labels=[0, 1])
    draw_detections(Image.new("L", (60, 2000)), boxes, ["a very long name of a thing " * 8, "Größe 鱼"])


def test_small_pictures_are_enlarged_on_request():
    picture = draw_detections(Image.new("RGB", (160, 120), GREY), found((40, 60, 120, 110)), ["fish"], enlarge=True)
    assert picture.size == (640, 480)
    rows, columns = np.nonzero(touched(picture))
    assert (columns.min(), rows.max()) == (160, 443)


@pytest.mark.parametrize("size", [(160, 120), (640, 480), (4000, 3000)])
@pytest.mark.parametrize("count", [2, 12, 60])
def test_labels_do_not_cover_each_other(size, count, monkeypatch):
    """Boxes upon boxes; the best keeps its label, and few boxes keep all."""
    placed = []

    def place(boxes, sizes, picture):
        placed.extend(place_labels(boxes, sizes, picture))
        return placed

    monkeypatch.setattr(drawing, "place_labels", place)
    width, height = size
    rng = np.random.default_rng(3)
    corners = rng.random((count, 2)) * [0.15 * width, 0.15 * height] + [0.3 * width, 0.3 * height]
    boxes = np.concatenate([corners, corners + np.array([0.3 * width, 0.4 * height])], axis=1)
    draw_detections(Image.new("RGB", size, GREY), found(*boxes.tolist()), ["stingray"])
    assert len(placed) == count
    assert placed[0] is not None
    shown = [one for one in placed if one is not None]
    assert len(shown) == count or count == 60 or size == (160, 120)
    for index, (left, top, right, bottom) in enumerate(shown):
        assert left >= 0
        assert top >= 0
        assert right <= width
        assert bottom <= height
        for other in shown[:index]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top


def test_a_long_name_keeps_its_score():
    font = drawing._font(200)
    text = drawing._fitting("a very long name of a thing 0.93", font, 90)
    assert text.endswith("… 0.93")
    assert font.getlength(text) <= 90
    assert drawing._fitting("cat 0.93", font, 90) == "cat 0.93"
