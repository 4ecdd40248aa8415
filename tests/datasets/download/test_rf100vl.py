"""Roboflow100-VL from Roboflow: found by its projects' names, with the ids and folders of the benchmark's package."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image

from glip_core.errors import InputError
from odinw_bench import load_task
from odinw_bench.datasets.download import rf100vl, roboflow_export
from odinw_bench.datasets.sources import open_split
from odinw_bench.datasets.suites.rf100vl import GIVEN
from tests.datasets.download import standin
from tests.datasets.download.test_download import download, server  # noqa: F401  fixtures


def export() -> dict[str, bytes]:
    """The files of an export in small: a background category, ids from 0."""
    files = {}
    for number, split in enumerate(("train", "valid", "test")):
        stream = io.BytesIO()
        Image.effect_noise((64, 48), 40 + number).convert("RGB").save(stream, "JPEG")
        files[f"{split}/{number}.jpg"] = stream.getvalue()
        content = {
            "info": {},
            "images": [{"id": 0, "file_name": f"{number}.jpg", "width": 64, "height": 48}],
            "annotations": [{"id": 0, "image_id": 0, "category_id": 1, "bbox": [4, 5, 30, 20], "area": 600}],
            "categories": [
                {"id": 0, "name": "actions", "supercategory": "none"},
                {"id": 1, "name": "defense", "supercategory": "actions"},
                {"id": 2, "name": "set", "supercategory": "actions"},
            ],
        }
        files[f"{split}/_annotations.coco.json"] = json.dumps(content).encode()
    return files


@pytest.fixture
def fetched(monkeypatch):
    """What is asked of Roboflow, which gives the export."""
    asked = []

    def fetch_newest(workspace, names, folder):
        asked.append((workspace, names))
        for name, content in export().items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return {"kind": "roboflow", "workspace": workspace, "project": "x", "version": 4}

    monkeypatch.setattr(roboflow_export, "fetch_newest", fetch_newest)
    return asked


def test_both_tracks_in_the_layout_of_the_package(cli, fetched, tmp_path):
    command = ("data", "download", "--suite", "rf20vl", "--dataset", "actions", "--data-root", tmp_path)
    answer = cli(*command)
    assert answer.code == 0, answer.err
    assert [workspace for workspace, _ in fetched] == ["rf20-vl", "rf20-vl-fsod"]
    assert {"actions", "actions-zzid2-zb1hq-amih", "actions-zzid2-zb1hq-fsod-amih"} == fetched[0][1]
    content = json.loads((tmp_path / "rf20-vl/actions/test/_annotations.coco.json").read_text())
    assert [(one["id"], one["name"]) for one in content["categories"]] == [(0, "defense"), (1, "set")]
    assert [(box["id"], box["category_id"]) for box in content["annotations"]] == [(1, 0)]
    task = load_task("actions", "rf20vl")
    assert open_split(task, "test", tmp_path).class_names == ["defense", "set"]
    assert len(open_split(task, GIVEN, tmp_path)) == 1
    manifest = json.loads((tmp_path / ".odinw-bench/rf20-vl-fsod--actions.json").read_text())
    assert manifest["source"]["version"] == 4
    assert len(manifest["files"]) == 6
    again = cli(*command)
    assert again.out.count("already here") == 2
    assert len(fetched) == 2


def test_one_part_and_what_is_damaged(cli, fetched, tmp_path):
    command = ("data", "download", "--suite", "rf100vl", "--dataset", "actions", "--data-root", tmp_path)
    assert cli(*command, "--part", "10-shot").code == 0
    assert [workspace for workspace, _ in fetched] == ["rf100-vl-fsod"]
    (tmp_path / "rf100-vl-fsod/actions/train/0.jpg").unlink()
    assert "is there but not whole" in cli(*command, "--part", "10-shot").refused()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--part", "half"), "--part must be of test, train, 10-shot"), (("--source", "hub"), "at Roboflow alone")],
)
def test_bad_input(cli, fetched, tmp_path, arguments, words):
    assert words in cli("data", "download", "--suite", "rf100vl", "--data-root", tmp_path, *arguments).refused()


def test_an_export_that_is_not_coco(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train/_annotations.coco.json").write_text("{}")
    with pytest.raises(InputError, match="is not COCO"):
        rf100vl.without_background(tmp_path)


@pytest.mark.integration
def test_through_the_roboflow_package(download, server, tmp_path):  # noqa: F811
    """The project is found by its name in the workspace, and its newest version is taken."""
    name = "actions-zzid2-zb1hq-amih"
    standin.serve_roboflow(server, "rf20-vl", name, 3, standin.packed(export()))
    done = download("--suite", "rf20vl", "--part", "test", dataset="actions", ROBOFLOW_API_KEY=standin.KEY)
    assert done.returncode == 0, done.stderr
    assert standin.KEY not in done.stdout + done.stderr
    manifest = json.loads((tmp_path / "data/.odinw-bench/rf20-vl--actions.json").read_text())
    assert (manifest["source"]["project"], manifest["source"]["version"]) == (name, 3)
    lost = download("--suite", "rf20vl", "--part", "test", dataset="dentalai", ROBOFLOW_API_KEY=standin.KEY)
    assert lost.returncode == 2
    assert "has no project called dentalai" in lost.stderr
