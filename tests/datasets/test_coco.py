from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from glip_core.errors import InputError
from glip_core.files import file_sha256
from odinw_bench.datasets.annotations import check_annotations, read_annotations, trainable_ids
from odinw_bench.datasets.coco import Split, open_folder
from odinw_bench.metrics.coco import evaluate


def sample() -> dict[str, Any]:
    return {
        "images": [
            {"id": 7, "file_name": "b.png", "width": 40, "height": 30},
            {"id": 2, "file_name": "a.png", "width": 20, "height": 10},
        ],
        "categories": [{"id": 3, "name": "dog"}, {"id": 0, "name": "animals"}, {"id": 1, "name": "cat"}],
        "annotations": [
            {"id": 0, "image_id": 2, "category_id": 3, "bbox": [1, 2, 5, 4], "segmentation": [[1, 2]]},
            {"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 30], "area": 12.5, "iscrowd": 1},
        ],
    }


def split_of(data: dict[str, Any]) -> Split:
    return Split(check_annotations(data), lambda name: Image.new("RGB", (8, 8)), sha256="0" * 64)


def test_annotations_are_brought_to_one_form() -> None:
    data = sample()
    before = copy.deepcopy(data)
    checked = check_annotations(data)
    assert data == before
    assert [box["id"] for box in checked["annotations"]] == [1, 2]
    assert [box["area"] for box in checked["annotations"]] == [20.0, 12.5]
    assert [box["iscrowd"] for box in checked["annotations"]] == [0, 1]
    assert [category["name"] for category in checked["categories"]] == ["cat", "dog"]
    assert check_annotations(checked) == checked


def test_category_0_stays_when_it_is_annotated_or_alone() -> None:
    data = sample()
    data["annotations"][0]["category_id"] = 0
    assert [category["id"] for category in check_annotations(data)["categories"]] == [0, 1, 3]
    alone = {**sample(), "categories": [{"id": 0, "name": "thing"}], "annotations": []}
    assert [category["id"] for category in check_annotations(alone)["categories"]] == [0]
    assert len(check_annotations(sample(), keep_background=True)["categories"]) == 3


def change(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(data: dict[str, Any]) -> None:
        target: Any = data
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value

    return apply


def remove(*path: Any) -> Callable[[dict[str, Any]], None]:
    def apply(data: dict[str, Any]) -> None:
        target: Any = data
        for key in path[:-1]:
            target = target[key]
        del target[path[-1]]

    return apply


BOX = ("annotations", 0, "bbox")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove("images"), "'images' is missing"),
        (change("categories", value={}), "'categories' is not a list"),
        (change("images", value=[]), "'images' is empty"),
        (change("categories", value=[]), "'categories' is empty"),
        (change("images", 0, value=5), r"images\[0\] must be an object"),
        (remove("images", 1, "width"), r"images\[1\] has no 'width'"),
        (change("images", 1, "height", value=0), r"images\[1\]\.height must be a whole number"),
        (change("images", 1, "height", value=True), r"images\[1\]\.height must be a whole number"),
        (change("images", 1, "height", value=10.5), r"images\[1\]\.height must be a whole number"),
        (change("images", 1, "id", value=7), r"images has the id 7 twice"),
        (change("images", 1, "id", value="2"), "all integers or all strings"),
        (change("images", 1, "id", value=2.0), r"images\[1\]\.id must be an integer"),
        (change("images", 0, "file_name", value="/etc/passwd"), "inside the image folder"),
        (change("images", 0, "file_name", value="a/../../b.png"), "inside the image folder"),
        (change("images", 0, "file_name", value="..\\b.png"), "inside the image folder"),
        (change("images", 0, "file_name", value="C:\\b.png"), "inside the image folder"),
        (change("images", 0, "file_name", value="a\0.png"), "must be a file name"),
        (change("images", 0, "file_name", value=""), "must be a file name"),
        (change("categories", 1, "id", value=3), "categories has the id 3 twice"),
        (change("categories", 1, "id", value="3"), r"categories\[1\]\.id must be an integer"),
        (change("categories", 1, "name", value=None), r"categories\[1\]\.name must be a text"),
        (remove(*BOX), r"annotations\[0\] has no 'bbox'"),
        (change(*BOX, value=[1, 2, 3]), "four finite numbers"),
        (change(*BOX, value=[1, 2, 3, float("nan")]), "four finite numbers"),
        (change(*BOX, value=[1, 2, 3, 10**400]), "four finite numbers"),
        (change(*BOX, value=[1, 2, 3, "4"]), "four finite numbers"),
        (change(*BOX, value=[1, 2, -3, 4]), "negative width or height"),
        (change("annotations", 0, "image_id", value="2"), r"annotations\[0\]\.image_id '2' is not the id of an image"),
        (change("annotations", 0, "image_id", value=[9]), r"annotations\[0\]\.image_id \[9\] is not"),
        (change("annotations", 0, "category_id", value=4), r"category_id 4 is not a category.*\[0, 1, 3\]"),
        (change("annotations", 0, "area", value=-1), r"annotations\[0\]\.area must be"),
        (change("annotations", 0, "iscrowd", value=2), r"annotations\[0\]\.iscrowd must be 0 or 1"),
        (change("annotations", 0, "iscrowd", value=[]), r"annotations\[0\]\.iscrowd must be 0 or 1"),
    ],
)
def test_unusable_annotations_are_named(damage: Callable[[dict[str, Any]], None], message: str) -> None:
    data = sample()
    damage(data)
    with pytest.raises(InputError, match=message) as caught:
        check_annotations(data, where="file.json")
    assert str(caught.value).startswith("file.json: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"[]", "the top level is a list"),
        (b"[" * 200_000, "nested too deeply"),
        (b"null", "the top level is a NoneType"),
    ],
)
def test_files_that_are_not_coco(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "annotations.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_annotations(path)
    assert str(path) in str(caught.value)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_any_damage_is_an_input_error_or_harmless(data: st.DataObject) -> None:
    damaged: Any = sample()
    target, key = damaged, data.draw(st.sampled_from(sorted(damaged)))
    while isinstance(target[key], dict | list) and target[key] and data.draw(st.booleans()):
        target = target[key]
        key = data.draw(st.sampled_from(sorted(target) if isinstance(target, dict) else range(len(target))))
    target[key] = data.draw(JUNK)
    try:
        checked = check_annotations(damaged)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        split = split_of(checked)
        for image_id in split.image_ids:
            boxes, labels = split.targets(image_id)
            assert len(boxes) == len(labels)
            assert np.isfinite(boxes).all()
        assert evaluate(checked, [])["AP"] in (0.0, None)


def test_missing_annotation_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not found"):
        read_annotations(tmp_path / "no.json")
    with pytest.raises(InputError, match="is a folder"):
        read_annotations(tmp_path)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "annotations.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(sample()).encode())
    data, sha256 = read_annotations(path)
    assert len(data["images"]) == 2
    assert sha256 == file_sha256(path)


def test_split_keeps_ids_ascending_and_subsets_in_the_order_given() -> None:
    split = split_of(sample())
    assert (len(split), split.image_ids, split.category_ids) == (2, [2, 7], [1, 3])
    assert split.size(7) == (40, 30)
    subset = split.subset([7, 2])
    assert subset.image_ids == [7, 2]
    assert subset.annotations["categories"] == split.annotations["categories"]
    assert len({split.sha256, subset.sha256, split.subset([2, 7]).sha256, split.subset([7]).sha256}) == 4
    assert subset.subset([7]).annotations["annotations"][0]["image_id"] == 7
    assert len(split.subset([])) == 0
    with pytest.raises(InputError, match="image id 5 is not in this split"):
        split.subset([5])
    with pytest.raises(InputError, match="twice"):
        split.subset([2, 2])
    with pytest.raises(InputError, match="image id 5"):
        split.image(5)


def test_targets_and_trainable_images_equal_the_official_loader(shared: Path) -> None:
    official = json.loads((shared / "parity" / "training_sample.json").read_text())
    split = open_split_of_parity(shared, official["annotations"])
    assert split.trainable_ids() == official["training_image_ids_kept"]
    assert split.image_ids == official["evaluation_image_ids_kept"]
    assert [category + 1 for category in range(3)] == list(official["json_category_id_to_contiguous_id"].values())
    for case in official["no_flip"]:
        boxes, labels = split.targets(case["image_id"])
        width, height = split.size(case["image_id"])
        assert split.image(case["image_id"]).size == (width, height)
        scale = np.array([case["resized_hw"][1] / width, case["resized_hw"][0] / height] * 2, dtype=np.float32)
        np.testing.assert_array_equal(boxes * scale, np.array(case["boxes_xyxy"], np.float32).reshape(-1, 4))
        assert (labels + 1).tolist() == case["labels"]


def open_split_of_parity(shared: Path, annotations: dict[str, Any]) -> Split:
    from glip_core.images import load_image

    return Split(check_annotations(annotations), lambda name: load_image(shared / "parity" / name), sha256="0" * 64)


def test_trainable_needs_both_sides_of_one_box() -> None:
    data = sample()
    assert trainable_ids(data) == [2]
    data["annotations"].append({"image_id": 7, "category_id": 1, "bbox": [0, 0, 1.01, 1.01], "iscrowd": 1})
    assert trainable_ids(data) == [2, 7]
    assert split_of(data).subset([7, 2]).trainable_ids() == [7, 2]


def test_an_image_without_boxes_has_empty_targets() -> None:
    boxes, labels = split_of({**sample(), "annotations": []}).targets(2)
    assert boxes.shape == (0, 4)
    assert boxes.dtype == np.float32
    assert labels.shape == (0,)
    assert labels.dtype == np.int64


def test_with_classes() -> None:
    split = split_of(sample())
    renamed = split.with_classes([(3, "hound"), (1, "cat"), (2, "emu")], where="x.json")
    assert renamed.category_ids == [1, 2, 3]
    assert renamed.class_names == ["cat", "emu", "hound"]
    assert renamed.targets(2)[1].tolist() == [2]
    with pytest.raises(InputError, match=r"x\.json: category 3 \('dog'\) has boxes but is no class"):
        split.with_classes([(1, "cat")], where="x.json")
    with pytest.raises(InputError, match="'cat' has the id 1, in the task it is 3"):
        split.with_classes([(3, "cat"), (1, "dog")], where="x.json")


def write_folder(folder: Path, *, picture: bytes | None = None) -> Split:
    (folder / "annotations.json").write_text(json.dumps(sample()))
    if picture is None:
        Image.new("RGB", (20, 10), "red").save(folder / "a.png")
    else:
        (folder / "a.png").write_bytes(picture)
    return open_folder(folder / "annotations.json", folder)


def test_open_folder_reads_pictures_when_asked(tmp_path: Path) -> None:
    split = write_folder(tmp_path)
    assert split.image(2).size == (20, 10)
    with pytest.raises(InputError, match=r"b\.png' not found"):
        split.image(7)
    with pytest.raises(InputError, match=r"image folder '.*/pictures' not found"):
        open_folder(tmp_path / "annotations.json", tmp_path / "pictures")


def test_a_split_can_be_sent_to_another_process(tmp_path: Path) -> None:
    split = pickle.loads(pickle.dumps(write_folder(tmp_path)))
    assert split.image(2).size == (20, 10)


def test_a_picture_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.png' is not an image"):
        write_folder(tmp_path, picture=b"hello").image(2)


def test_exif_orientation_is_not_applied(tmp_path: Path) -> None:
    split = write_folder(tmp_path)
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held upright
    Image.new("RGB", (20, 10)).save(tmp_path / "a.png", exif=turned)
    assert split.image(2).size == (20, 10)


def test_annotations_of_images_that_are_not_listed_are_left_out_with_a_note() -> None:
    """Subsets cut out of a file may keep them; pycocotools passes them over."""
    data = sample()
    data["annotations"].append({"id": 5, "image_id": 99, "category_id": 1, "bbox": [0, 0, 5, 5]})
    checked = check_annotations(data)
    assert [box["image_id"] for box in checked["annotations"]] == [2, 7]
    assert "1 annotations of images that the file does not list" in checked["info"]["notes"][0]
    for box in data["annotations"]:
        box["image_id"] = 99
    with pytest.raises(InputError, match="all 3 annotations are of images that the file does not list, such as 99"):
        check_annotations(data)


def test_what_is_odd_and_accepted_is_noted() -> None:
    data = sample()
    data["annotations"].append({"id": 1, "image_id": 2, "category_id": 1, "bbox": [0, 0, 0, 5]})
    checked = check_annotations(data)
    notes = " | ".join(checked["info"]["notes"])
    assert "1 annotations have the id 0" in notes
    assert "1 annotations repeat the id of another" in notes
    assert "1 boxes have no width or no height" in notes
    assert [box["id"] for box in checked["annotations"]] == [1, 2, 3]
    assert [box["official_id"] for box in checked["annotations"]] == [0, 1, 1]
    again = check_annotations(checked)  # the evaluator checks what was checked
    assert [box["official_id"] for box in again["annotations"]] == [0, 1, 1]
    assert split_of(data).subset([2]).notes == checked["info"]["notes"]
    plain = sample()
    for number, box in enumerate(plain["annotations"], start=1):
        box["id"] = number
    assert check_annotations(plain)["info"] == {}
    assert all("official_id" not in box for box in check_annotations(plain)["annotations"])
