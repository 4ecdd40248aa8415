"""Annotation files: every field with every kind of wrong value, and the oddities that real exports have."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import check_annotations
from odinw_bench.datasets.coco import Split
from odinw_bench.metrics.coco import evaluate
from tests.inputs.answers import sound

FILE = "test/_annotations.coco.json"
WRONG = [None, "x", "", [], {}, [1], {"a": 1}, True, False, -1, 0, 1.5, 10**30, -(10**30), 1e308]
WRONG += [float("nan"), float("inf"), "\0", "../../x", "é" * 300, [[[]]]]
FIELDS = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox", "area", "iscrowd"),
    "categories": ("id", "name"),
}


def sane() -> dict[str, Any]:
    """Three pictures, two classes, four boxes."""
    boxes = [(1, 1, [5, 5, 40, 30]), (1, 2, [50, 20, 30, 30]), (2, 1, [10, 10, 60, 40]), (3, 2, [0, 0, 120, 80])]
    return {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 120, "height": 80} for i in (1, 2, 3)],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": n, "image_id": i, "category_id": c, "bbox": b, "area": b[2] * b[3], "iscrowd": 0}
            for n, (i, c, b) in enumerate(boxes, start=1)
        ],
    }


def perfect(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Predictions that find every box; an evaluator that reads the file rightly gives them 100."""
    return [
        {"image_id": a["image_id"], "category_id": a["category_id"], "bbox": a["bbox"], "score": 0.9}
        for a in data["annotations"]
        if not a.get("iscrowd")
    ]


@pytest.fixture
def ask(cli, tmp_path):
    """Score predictions against an annotation file, and have the file checked; the AP, or the refusal."""
    folder = tmp_path / "pets"
    (folder / "test").mkdir(parents=True)
    for number in (1, 2, 3):
        Image.new("RGB", (120, 80), (9 * number, 9, 9)).save(folder / f"test/{number}.jpg")

    def call(content: Any, predictions: list[dict[str, Any]] = [], *, raw: bool = False) -> float | str | None:  # noqa: B006
        (folder / FILE).write_bytes(content if raw else json.dumps(content).encode())
        (tmp_path / "p.json").write_text(json.dumps(predictions))
        base = ("--dataset", folder, "--predictions", tmp_path / "p.json", "--model-name", "m", "--json", "--force")
        answer = cli("score", *base, "--results", tmp_path / "results")
        refusal = sound(answer)
        checked = cli("data", "check", "--dataset", folder)
        assert checked.code in (0, 1, 2), checked.err
        assert "Traceback" not in checked.err + checked.out
        if refusal is not None:
            assert FILE in refusal or "p.json" in refusal, refusal
            return refusal
        ap = json.loads(answer.out)["records"][0]["metrics"]["AP"]
        assert ap is None or 0 <= ap <= 100
        return ap

    return call


@pytest.mark.parametrize(("part", "field"), [(part, field) for part, fields in FIELDS.items() for field in fields])
def test_every_field_with_every_wrong_value(ask, tried, part, field):
    """Either a refusal that names the place, or a number from 0 to 100."""
    for value in WRONG:
        data = sane()
        data[part][1][field] = value
        ask(data, perfect(sane()))
        tried("input: annotation file")
    data = sane()
    del data[part][1][field]
    answer = ask(data, perfect(sane()))
    if field in ("area", "iscrowd") or (part, field) == ("annotations", "id"):
        assert answer == 100.0  # filled in
    else:
        assert f"has no '{field}'" in answer
    tried("input: annotation file")


@pytest.mark.parametrize("part", FIELDS)
def test_every_list_with_every_wrong_value(ask, tried, part):
    for value in WRONG:
        whole, entry = sane(), sane()
        whole[part] = value
        entry[part][1] = value
        for data in (whole, entry):
            answer = ask(data, [])
            assert (part in answer) if isinstance(answer, str) else data[part] == []
            tried("input: annotation file")
    for value in WRONG:
        assert "not a COCO annotation file" in ask(value) or "not JSON" in ask(value)
        tried("input: annotation file")


def _strings(data):
    for image in data["images"]:
        image["id"] = f"picture {image['id']}"
    for box in data["annotations"]:
        box["image_id"] = f"picture {box['image_id']}"


def _background(data):
    data["categories"].insert(0, {"id": 0, "name": "things"})


def _category_zero(data):
    for entry in data["categories"]:
        entry["id"] -= 1
    for box in data["annotations"]:
        box["category_id"] -= 1


def _crowd(data):
    data["annotations"].append(copy.deepcopy(data["annotations"][0]) | {"iscrowd": 1, "bbox": [60, 0, 60, 80]})


def _ids(value):
    def damage(data):
        for box in data["annotations"]:
            box["id"] = value

    return damage


def _far_ids(data):
    for image in data["images"]:
        image["id"] += 2**62
    for box in data["annotations"]:
        box["image_id"] += 2**62


def _names(*names):
    def damage(data):
        for entry, name in zip(data["categories"], names, strict=True):
            entry["name"] = name

    return damage


def _extra(data):
    data["licenses"] = [{"id": 1}]
    for box in data["annotations"]:
        box |= {"segmentation": [[1, 2, 3]], "attributes": {"occluded": True}, "keypoints": None}


def _many(data):
    box = data["annotations"][0]
    data["annotations"] = [box | {"id": n, "bbox": [n % 100, n % 60, 10, 10]} for n in range(100_000)]


ODD = {
    "string ids": _strings,
    "background category": _background,
    "category 0 in use": _category_zero,
    "a crowd": _crowd,
    "ids of boxes all 0": _ids(0),
    "ids of boxes all null": _ids(None),
    "ids beyond 32 bits": _far_ids,
    "names in UTF-8": _names("猫 🐈", "كلب"),
    "one name twice": _names("cat", "cat"),
    "names within names": _names("fish", "fish bone"),
    "what detection does not need": _extra,
    "images in another order": lambda data: data["images"].reverse(),
    "boxes in another order": lambda data: data["annotations"].reverse(),
    "categories in another order": lambda data: data["categories"].reverse(),
    "floats for pixels": lambda data: data["images"][0].update(width=120.0, height=80.0),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_but_right(ask, tried, name):
    """What real exports have: perfect predictions score exactly 100."""
    data = sane()
    ODD[name](data)
    assert ask(data, perfect(data)) == 100.0
    tried("input: annotation file")


@pytest.mark.integration  # most of a minute
def test_a_hundred_thousand_boxes_in_an_image(ask, tried):
    """COCO scores the best hundred predictions of an image: few of so many are found."""
    data = sane()
    _many(data)
    ap = ask(data, perfect(data)[:100])
    assert ap is not None and ap < 5
    tried("input: annotation file")


def _set(part, number, **values):
    def damage(data):
        data[part][number].update(values)

    return damage


BAD = {
    "an unknown category": (_set("annotations", 0, category_id=7), "annotations[0].category_id"),
    "an image of another kind": (_set("annotations", 0, image_id="1"), "annotations[0].image_id"),
    "a negative box": (_set("annotations", 0, bbox=[5, 5, -4, 3]), "negative width or height"),
    "a box of three": (_set("annotations", 0, bbox=[5, 5, 4]), "annotations[0].bbox"),
    "a box of texts": (_set("annotations", 0, bbox=["5", "5", "4", "3"]), "annotations[0].bbox"),
    "image ids twice": (_set("images", 1, id=1), "twice"),
    "category ids twice": (_set("categories", 1, id=1), "twice"),
    "ids mixed": (_set("images", 1, id="2"), "mixture"),
    "an absolute name": (_set("images", 0, file_name="/etc/passwd"), "inside the image folder"),
    "a drive": (_set("images", 0, file_name="C:\\x.jpg"), "inside the image folder"),
    "a name that climbs": (_set("images", 0, file_name="a/../../x.jpg"), "inside the image folder"),
    "a name that climbs in Windows' way": (_set("images", 0, file_name="..\\x.jpg"), "inside the image folder"),
    "no images": (lambda data: data.update(images=[], annotations=[]), "'images' is empty"),
    "no categories": (lambda data: data.update(categories=[], annotations=[]), "'categories' is empty"),
    "a category's empty name": (_set("categories", 0, name=""), "categories[0].name"),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_and_said_so(ask, tried, name):
    damage, message = BAD[name]
    data = sane()
    damage(data)
    assert message in ask(data)
    tried("input: annotation file")


def test_boxes_outside_and_without_extent_are_no_targets(ask, tried):
    data = sane()
    for box in ([500, 500, 10, 10], [-50, -50, 20, 20], [10, 10, 0, 0], [10, 10, 1, 1]):
        data["annotations"].append({"id": 9, "image_id": 1, "category_id": 1, "bbox": box})
    assert not isinstance(ask(data), str)
    split = Split(check_annotations(data), lambda _: None, sha256="")
    assert len(split.targets(1)[0]) == 2
    tried("input: annotation file", 4)


def test_an_empty_split_has_no_ap(ask, tried):
    data = sane() | {"annotations": []}
    assert ask(data) is None
    assert ask(data, perfect(sane())) is None  # nothing to find: no number, not 0
    tried("input: annotation file", 2)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "utf-8-sig"])
def test_encodings(ask, tried, encoding):
    data = sane()
    _names("Fischgräte", "Hund")(data)
    answer = ask(json.dumps(data, ensure_ascii=False).encode(encoding), perfect(data), raw=True)
    assert answer == 100.0 if encoding == "utf-8-sig" else "not UTF-8" in answer
    tried("input: annotation file")


def test_files_cut_off_anywhere(ask, tried):
    whole = json.dumps(sane()).encode()
    draw = random.Random(3)
    for cut in [0, 1, *sorted(draw.sample(range(2, len(whole) - 1), 38))]:
        assert "not JSON" in ask(whole[:cut], raw=True)
        tried("input: annotation file")


def test_depth_and_numbers_beyond_reason(ask, tried):
    for content in (b"[" * 100_000, b'{"a":' * 100_000, b'{"images": ' + b"9" * 10_000 + b"}"):
        assert "_annotations.coco.json" in ask(content, raw=True)
        tried("input: annotation file")


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)


@pytest.mark.parametrize("rounds", [1, 3])
def test_any_damage(tried, rounds):
    """Hypothesis puts anything anywhere: an InputError, or annotations on which perfect predictions score 100."""

    @settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def damage(data):
        content = sane()
        for _ in range(rounds):
            part = data.draw(st.sampled_from(list(FIELDS)))
            target = data.draw(st.sampled_from(content[part])) if content[part] else {}
            target[data.draw(st.sampled_from([*FIELDS[part], "other"]))] = data.draw(_values)
        try:
            checked = check_annotations(content)
        except InputError as error:
            assert "\n" not in str(error) and len(str(error)) < 1000
            return
        ap = evaluate(checked, perfect(checked))["AP"]
        assert ap is None or 0 <= ap <= 100

    damage()
    tried("input: annotation file", 250)
