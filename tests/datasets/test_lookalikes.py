"""Pictures of two splits that are one picture in another file, reported by kind; what only looks alike is not."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from PIL import Image

from odinw_bench.datasets.checks import check_task
from odinw_bench.datasets.checks.lookalikes import ENCODED, METADATA, RESIZED, Lookalikes
from odinw_bench.datasets.registry import load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.mini import task_names
from tests.cli.conftest import write_dataset


@pytest.fixture
def leaky(tmp_path):
    """Four training pictures, drawn scenes; each is in the test split too, in another way."""
    folder = write_dataset(tmp_path / "pets", images=4)
    split = open_split(load_task("aquarium", "mini"), "train")
    sizes = {}
    for i, image_id in enumerate(split.image_ids[:4]):
        picture = split.image(image_id)
        picture.save(folder / f"train/{i}.jpg", quality=92)
        read = Image.open(folder / f"train/{i}.jpg")
        test = folder / f"test/{i}.jpg"
        if i == 0:
            exif = Image.Exif()
            exif[0x0131] = "another program"
            segment = exif.tobytes()
            jpeg = (folder / "train/0.jpg").read_bytes()
            test.write_bytes(jpeg[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + jpeg[2:])
        elif i == 1:
            read.convert("RGB").save(test, quality=50)
        elif i == 2:
            read.resize((read.width // 2, read.height // 2), Image.Resampling.BICUBIC).save(test, quality=80)
        else:
            Image.new("RGB", read.size, (20, 20, 20)).save(test, quality=50)
            Image.new("RGB", read.size, (20, 20, 20)).save(folder / f"train/{i}.jpg")  # blank frames
        sizes[i] = Image.open(test).size, read.size
    for name, position in (("test", 0), ("train", 1)):
        path = folder / name / "_annotations.coco.json"
        data = json.loads(path.read_text())
        for i, image in enumerate(data["images"]):
            image["width"], image["height"] = sizes[i][position]
        path.write_text(json.dumps(data))
    return folder


def test_leaks_are_reported_by_kind(leaky):
    checked = check_task(load_task(leaky))
    found = {one.kind: (one.split, one.count, one.examples) for one in checked.findings if "two splits" in one.kind}
    assert found == {
        METADATA: ("test", 1, ("0.jpg is 0.jpg of train",)),
        ENCODED: ("test", 1, ("1.jpg is 1.jpg of train",)),
        RESIZED: ("test", 1, ("2.jpg is 2.jpg of train",)),
    }
    assert not checked.sound


def test_distinct_drawn_scenes_are_not_alike():
    for task in task_names():
        alike = Lookalikes()
        for name in ("train", "test"):
            split = open_split(load_task(task, "mini"), name)
            for image_id in split.image_ids[:8]:
                alike.add(name, split.file_name(image_id), split.image(image_id))
        assert not list(alike.found()), task


def test_many_pictures_are_quick():
    alike, rng = Lookalikes(), np.random.default_rng(0)
    for name in ("train", "test"):
        for i in range(300):
            coarse = Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))
            alike.add(name, f"{i}.jpg", coarse.resize((64, 64)))
    alike._prints = {name: prints * 20 for name, prints in alike._prints.items()}  # 6,000 in each
    started = time.process_time()
    assert not list(alike.found())
    assert time.process_time() - started < 5
