"""Detections behave as a sequence and hand themselves on to the tools that people use."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from glip_core import Detections

FOUND = Detections(
    torch.tensor([[0.0, 0.0, 9.0, 19.0], [5.0, 5.0, 5.0, 5.0], [1.0, 2.0, 3.0, 4.0]]),
    torch.tensor([0.9, 0.5, 0.25]),
    torch.tensor([1, 0, 1]),
    classes=("fish", "stingray"),
)


def test_a_sequence_of_detections():
    assert len(FOUND) == 3
    assert FOUND.names == ["stingray", "fish", "stingray"]
    assert [one.name for one in FOUND] == FOUND.names
    assert FOUND[0].box == (0, 0, 9, 19)
    assert FOUND[-1].score == 0.25
    assert FOUND[0].label == 1
    with pytest.raises(IndexError):
        FOUND[3]


def test_parts_of_them():
    assert FOUND[:2].names == ["stingray", "fish"]
    assert FOUND[[2, 0]].scores.tolist() == [0.25, pytest.approx(0.9)]
    assert FOUND[FOUND.labels == 1].names == ["stingray", "stingray"]
    assert len(FOUND.above(0.5)) == 2  # at least
    assert len(FOUND.above(1.0)) == 0
    assert FOUND.above(1.0).classes == FOUND.classes


@pytest.mark.parametrize("kind", [int, np.int64, np.array, torch.tensor])
def test_positions_of_any_kind(kind):
    assert FOUND[kind(2)] == FOUND[2]
    assert FOUND[kind(-1)] == FOUND[2]
    with pytest.raises(IndexError):
        FOUND[kind(3)]


def test_the_best_of_them():
    assert FOUND[FOUND.scores.argmax()] == FOUND[0]
    assert FOUND[torch.tensor([1])].names == ["fish"]
    assert FOUND[np.array([2, 0])].names == ["stingray", "stingray"]


@pytest.mark.parametrize("nothing", [[], (), np.array([]), torch.tensor([]), torch.zeros(3, dtype=torch.bool)])
def test_none_of_them(nothing):
    assert len(FOUND[nothing]) == 0
    assert FOUND[nothing].boxes.shape == (0, 4)
    assert len(FOUND[:0][[]]) == 0


def test_in_words():
    assert repr(FOUND) == "Detections(3: 2 stingray, 1 fish, best 0.90)"
    assert repr(FOUND.above(1.0)) == "Detections(0)"
    assert Detections(FOUND.boxes, FOUND.scores, FOUND.labels).names == ["1", "0", "1"]


def test_as_coco_results():
    rows = FOUND.to_coco(7, category_ids=[3, 8])
    assert rows[0] == {"image_id": 7, "category_id": 8, "bbox": [0, 0, 10, 20], "score": pytest.approx(0.9)}
    assert [row["category_id"] for row in FOUND.to_coco()] == [2, 1, 2]
    line = Detections(torch.tensor([[10, 20, 19.5, 20]]), torch.tensor([0.5]), torch.tensor([1]))
    (row,) = line.to_coco(4, [3, 8])
    assert row == {"image_id": 4, "category_id": 8, "bbox": [10.0, 20.0, 10.5, 1.0], "score": 0.5}
    assert {type(value) for value in row["bbox"]} == {float}
    json.dumps(rows)


def test_as_a_table():
    table = FOUND.to_pandas()
    assert list(table["name"]) == FOUND.names
    assert table.loc[0, ["x1", "y1", "x2", "y2"]].tolist() == [0, 0, 9, 19]
    assert FOUND.above(1.0).to_pandas().shape == (0, 7)


def test_for_supervision():
    pytest.importorskip("supervision", reason="supervision is not installed")
    theirs = FOUND.to_supervision()
    assert len(theirs) == 3
    assert theirs.xyxy[1].tolist() == [5, 5, 6, 6]  # a box of one pixel
    assert theirs.data["class_name"].tolist() == FOUND.names


def test_as_a_picture():
    assert FOUND._repr_png_() is None
    with pytest.raises(ValueError, match="photo"):
        FOUND.draw()
    photo = Image.new("RGB", (40, 30))
    shown = Detections(FOUND.boxes, FOUND.scores, FOUND.labels, FOUND.classes, photo)
    picture = Image.open(io.BytesIO(shown._repr_png_() or b""))
    assert picture.width / picture.height == pytest.approx(40 / 30, rel=0.01)
    assert FOUND.draw(photo).tobytes() == shown.draw().tobytes()
