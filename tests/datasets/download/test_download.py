"""The data of a task over the network, through the installed program; servers on loopback stand for the real ones."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from odinw_bench import load_task
from odinw_bench.datasets.sources import open_split
from tests.datasets.download import standin

pytestmark = pytest.mark.integration

RACCOON = "Raccoon/Raccoon.v2-raw.coco"
ZIP = "odinw_35/Raccoon.zip"


@pytest.fixture
def server():
    with standin.serving() as running:
        yield running


@pytest.fixture
def download(server, tmp_path):
    """``odinw-bench data download``, with no network but the stand-in."""

    def call(*arguments, dataset="raccoon", **variables):
        environment = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
        environment |= {"HF_ENDPOINT": server.url, "API_URL": server.url, "HF_HOME": str(tmp_path / "hf")}
        environment |= {"HOME": str(tmp_path / "home"), "ROBOFLOW_CONFIG_DIR": str(tmp_path / "none.json")}
        environment.pop("ROBOFLOW_API_KEY", None)
        command = [sys.executable, "-m", "odinw_bench", "data", "download", "--dataset", dataset]
        return subprocess.run(
            [*command, "--data-root", str(tmp_path / "data"), *arguments],
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return call


def picture(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((64, 48), 40 + shade).convert("RGB").save(stream, "JPEG")
    return stream.getvalue()


def coco(number: int, *, background: bool = False, category: str = "raccoon") -> bytes:
    categories = [{"id": 1, "name": category, "supercategory": "things"}]
    if background:
        categories.insert(0, {"id": 0, "name": "things", "supercategory": "none"})
    image = {"id": 0, "file_name": f"{number}.jpg", "width": 64, "height": 48}
    box = {"id": 0, "image_id": 0, "category_id": 1, "bbox": [4, 5, 30, 20], "area": 600, "iscrowd": 0}
    return json.dumps({"images": [image], "annotations": [box], "categories": categories}).encode()


def official(prefix: str = "Raccoon/Raccoon.v2-raw.coco/") -> dict[str, bytes]:
    """The files of the official zip, in small."""
    files = {}
    for number, split in enumerate(("train", "valid", "test")):
        files[f"{prefix}{split}/{number}.jpg"] = picture(number)
        files[f"{prefix}{split}/annotations_without_background.json"] = coco(number)
    return files


def refused(done, *words) -> str:
    """One line, no traceback."""
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: ")
    for word in words:
        assert word in line, line
    return line


@pytest.mark.parametrize("prefix", ["Raccoon/Raccoon.v2-raw.coco/", "Raccoon.v2-raw.coco/"])
def test_the_official_zip(download, server, tmp_path, prefix):
    """With and without the folder that its name promises."""
    server.files[ZIP] = standin.packed(official(prefix) | {"__MACOSX/x": b"", f"{prefix}.DS_Store": b""})
    done = download()
    assert done.returncode == 0, done.stderr
    assert "raccoon: downloaded" in done.stdout
    root = tmp_path / "data"
    assert len(open_split(load_task("raccoon"), "train", root)) == 1
    manifest = json.loads((root / ".odinw-bench/Raccoon.json").read_text())
    assert manifest["source"]["revision"] == standin.REVISION
    assert set(manifest["files"]) == set(official())
    assert sorted(path.name for path in root.iterdir()) == [".odinw-bench", "Raccoon"]
    assert not list(root.glob(".odinw-bench/**/*.zip"))
    asked = len(server.asked)
    assert "already here" in download().stdout
    assert len(server.asked) == asked  # nothing is asked of the network


def test_a_broken_download_goes_on_where_it_stopped(download, server, tmp_path):
    chunk = 10 << 20  # what huggingface_hub writes at once
    server.files[ZIP] = standin.packed(official() | {"Raccoon/noise": os.urandom(2 * chunk)})
    server.cut_after = chunk + 1000
    line = refused(download(), "could not download", "resumes where it stopped")
    assert ZIP in line
    assert not (tmp_path / "data/Raccoon").exists()
    server.cut_after, server.out_of_order = None, False
    server.asked.clear()
    assert download().returncode == 0
    assert [asked for method, path, asked in server.asked if method == "GET" and ZIP in path] == [f"bytes={chunk}-"]


def test_a_complete_zip_is_not_fetched_again(download, server, tmp_path):
    server.files[ZIP] = standin.packed(official())
    left = tmp_path / "data/.odinw-bench/downloads/Raccoon.zip"  # its unpacking was killed
    left.parent.mkdir(parents=True)
    left.write_bytes(server.files[ZIP])
    assert download().returncode == 0
    assert {method for method, path, _ in server.asked if ZIP in path} == {"HEAD"}
    assert not left.exists()


def test_what_is_not_what_the_hub_says(download, server, tmp_path):
    server.files[ZIP] = standin.packed(official())
    server.hashes[ZIP] = "0" * 64
    refused(download(), "came broken", "try again")
    assert not (tmp_path / "data/Raccoon").exists()
    server.hashes.clear()
    assert download().returncode == 0


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "Raccoon\\..\\..\\evil.txt", "C:\\evil.txt"])
def test_paths_that_lead_out_of_the_folder(download, server, tmp_path, name):
    server.files[ZIP] = standin.packed({**official(), name: b"evil"})
    refused(download(), "would lie outside its folder", "evil.txt")
    assert not list(tmp_path.rglob("*evil*"))
    assert not (tmp_path / "data/Raccoon").exists()


def test_a_zip_of_something_else(download, server, tmp_path):
    server.files[ZIP] = standin.packed({"readme.txt": b"moved"})
    refused(download(), "does not hold 'Raccoon/Raccoon.v2-raw.coco/train/annotations_without_background.json'")
    server.files[ZIP] = b"<html>down for maintenance</html>"
    refused(download(), "is broken")
    assert not (tmp_path / "data/Raccoon").exists()


def test_no_such_file_and_no_server(download, server):
    refused(download(), "is not there")
    refused(download(HF_ENDPOINT="http://127.0.0.1:9"), "could not download")


def test_a_password_in_the_servers_address_is_not_shown(download, server):
    for address in ("http://me:s3cr3tword@127.0.0.1:9", server.url.replace("http://", "http://me:s3cr3tword@") + "/no"):
        done = download(HF_ENDPOINT=address)
        assert done.returncode != 0
        assert "s3cr3tword" not in done.stdout + done.stderr


def test_a_folder_that_is_there_already(download, server, tmp_path):
    root = tmp_path / "data"
    for name, data in official().items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    assert "raccoon: found" in download().stdout  # unpacked by hand: whole, so it counts
    (root / f"{RACCOON}/train/0.jpg").unlink()
    refused(download(), "is there but not whole", "0.jpg' is missing", "move it away")


def test_several_at_once_each_on_its_own(download, server):
    server.files[ZIP] = standin.packed(official())
    done = download(dataset="raccoon,aquarium")
    assert done.returncode == 2
    assert "raccoon: downloaded" in done.stdout
    refused(done, "Aquarium.zip is not there")


def test_tasks_that_need_no_download(download):
    refused(download("--suite", "mini"), "needs no download")
    refused(download("--source", "carrier-pigeon"), "carrier-pigeon")


def export(**changes) -> dict[str, bytes]:
    files = {"README.roboflow.txt": b"hello"}
    for number, split in enumerate(("train", "valid", "test")):
        files[f"{split}/{number}.jpg"] = picture(number)
        files[f"{split}/_annotations.coco.json"] = coco(number, background=True, **changes)
    return files


def test_a_roboflow_export_with_its_background_class(download, server, tmp_path):
    standin.serve_roboflow(server, "roboflow-gw7yv", "raccoon", 2, standin.packed(export()))
    done = download("--source", "roboflow", ROBOFLOW_API_KEY=standin.KEY)
    assert done.returncode == 0, done.stderr
    split = open_split(load_task("raccoon"), "train", tmp_path / "data")
    assert split.class_names == ["raccoon"]
    assert split.annotations["annotations"][0]["category_id"] == 1
    assert split.image(0).size == (64, 48)
    manifest = (tmp_path / f"data/.odinw-bench/{RACCOON.replace('/', '--')}.json").read_text()
    assert json.loads(manifest)["source"]["version"] == 2
    assert standin.KEY not in manifest + done.stdout + done.stderr


def test_roboflow_refuses(download, server):
    refused(download("--source", "roboflow"), "ROBOFLOW_API_KEY", "roboflow login")
    done = download("--source", "roboflow", ROBOFLOW_API_KEY=standin.KEY)
    assert standin.KEY not in refused(done, "Roboflow did not give roboflow-gw7yv/raccoon/2")
    assert standin.KEY not in done.stdout + done.stderr
    line = refused(download("--source", "roboflow", dataset="egohands"), "version")
    assert "task file" in line
    refused(download("--source", "roboflow", dataset="packages"), "names no Roboflow project")
    standin.serve_roboflow(server, "roboflow-gw7yv", "raccoon", 2, standin.packed(export(category="badger")))
    done = download("--source", "roboflow", ROBOFLOW_API_KEY=standin.KEY)
    refused(done, "boxes of 'badger', which is no class of task 'raccoon'")
