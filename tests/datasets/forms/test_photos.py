"""The same pictures in all forms: the same splits, and the same zero-shot AP."""

from __future__ import annotations

import hashlib
import json

import pytest

from odinw_bench import RunSpec, run
from odinw_bench.datasets.registry import load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.mini import write_suite
from tests.datasets.forms.writers import UNDIVIDED_ONLY, WRITERS

pytestmark = pytest.mark.integration  # a run for each form

EVERY = 6
"""Only every so many photo is taken."""


def read_pictures(root, names) -> dict:
    """The pictures of a folder in the official layout, by split, for the writers."""
    data = {}
    for split, place in (("train", "train"), ("val", "valid"), ("test", "test")):
        content = json.loads((root / place / "annotations_without_background.json").read_text())
        label = {category["id"]: names.index(category["name"]) for category in content["categories"]}
        data[split] = [
            (
                image["file_name"],
                root / place / image["file_name"],
                image["width"],
                image["height"],
                [
                    (label[box["category_id"]], *box["bbox"])
                    for box in content["annotations"]
                    if box["image_id"] == image["id"]
                ],
            )
            for image in content["images"]
        ]
    return data


def measured(folder, results):
    """Sizes of the splits, zero-shot AP, and every detection by the picture it is in."""
    task = load_task(folder)
    splits = {split: open_split(task, split) for split in task.splits}
    record = run(RunSpec(dataset=str(folder), model="glip-nano", mode="zero-shot"), results, device="cpu")
    test = splits["test"]
    picture = {
        image_id: hashlib.sha256((test.folder / test.file_name(image_id)).read_bytes()).hexdigest()
        for image_id in test.image_ids
    }
    found = json.loads((record.folder / "predictions.json").read_text())
    detections = sorted((picture[one["image_id"]], one["category_id"], one["score"], one["bbox"]) for one in found)
    return {split: len(opened) for split, opened in splits.items()}, record["metrics"]["AP"], detections


@pytest.fixture(scope="module", params=["photos", "drawn"])
def source(request, shared, tmp_path_factory):
    """Real photos, on which the small model finds next to nothing, and drawn pictures, on which it finds much."""
    if request.param == "photos":
        names, root = ["raccoon"], shared / "odinw/data/Raccoon/Raccoon.v2-raw.coco"
        data = {split: pictures[::EVERY] for split, pictures in read_pictures(root, names).items()}
    else:
        names, root = ["dog", "person"], tmp_path_factory.mktemp("drawn")
        write_suite(root, ["thermal"])
        data = {split: pictures[:20] for split, pictures in read_pictures(root / "thermal", names).items()}
    both = {"divided": data, "undivided": {"all": [one for pictures in data.values() for one in pictures]}}
    wanted = {}
    for kind, pictures in both.items():
        folder = tmp_path_factory.mktemp("coco") / kind
        WRITERS["roboflow"](folder, pictures, names)
        wanted[kind] = measured(folder, folder.parent / "results")
    if request.param == "drawn":
        assert wanted["divided"][1] > 20
        assert wanted["undivided"][1] > 20
    return names, both, wanted


@pytest.mark.parametrize("kind", ["divided", "undivided"])
@pytest.mark.parametrize("name", [name for name in WRITERS if name != "roboflow"])
def test_the_same_pictures_give_the_same_ap(source, tmp_path, name, kind) -> None:
    if kind == "divided" and name in UNDIVIDED_ONLY:
        pytest.skip("this form has no splits")
    names, both, wanted = source
    WRITERS[name](tmp_path / "own", both[kind], names)
    sizes, ap, detections = measured(tmp_path / "own", tmp_path / "results")
    assert sizes == wanted[kind][0]
    assert len(sizes) == 3
    assert ap == pytest.approx(wanted[kind][1], abs=1e-9)
    assert detections == wanted[kind][2]
