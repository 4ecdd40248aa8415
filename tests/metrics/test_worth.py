"""Parts that earn nothing are left out, parts that find things stay."""

from __future__ import annotations

from odinw_bench.metrics.worth import drop_least

IMAGES = 12
TRUTH = {
    "images": [{"id": i, "width": 100, "height": 100, "file_name": f"{i}"} for i in range(IMAGES)],
    "annotations": [
        {"id": i + 1, "image_id": i, "category_id": 1, "bbox": [10, 10, 40, 40], "area": 1600, "iscrowd": 0}
        for i in range(IMAGES)
    ],
    "categories": [{"id": 1, "name": "a"}],
}


def found(on: int) -> list[dict]:
    """Right detections on the first so many images."""
    return [{"image_id": i, "category_id": 1, "bbox": [10, 10, 40, 40], "score": 0.9} for i in range(on)]


def test_only_what_earns_its_place_stays():
    asked = []

    def without(dropped):
        asked.append(dropped)
        return found(IMAGES if "colour" not in dropped else 3)

    worth = drop_least(["colour", "shape", "size"], without, TRUTH, seed=0)
    assert worth.dropped == {"shape", "size"}
    assert worth.alone["colour"].low > 0
    assert worth.alone["shape"].difference == 0
    assert worth.dropped in asked  # what is left was tried as it is


def test_of_two_that_say_the_same_one_stays():
    worth = drop_least(["red", "crimson"], lambda dropped: found(IMAGES if len(dropped) < 2 else 3), TRUTH, seed=0)
    assert len(worth.dropped) == 1


def test_what_does_harm_goes_and_nothing_is_nothing():
    worth = drop_least(["wrong"], lambda dropped: found(IMAGES if dropped else 3), TRUTH, seed=0)
    assert worth.dropped == {"wrong"}
    assert worth.alone["wrong"].high < 0
    assert drop_least([], lambda _: found(3), TRUTH, seed=0).dropped == frozenset()
