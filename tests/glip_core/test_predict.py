"""predict takes what people have: paths, addresses, arrays, tensors, lists; a prompt as a line or as names."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from PIL import Image

import glip_core
from glip_core import InputError, Prompt
from glip_core.images import load_image
from odinw_bench import load_task
from odinw_bench.datasets.sources import open_split

LINE = "raccoon, which is grey. dog"


@pytest.fixture(scope="module")
def detector():
    return glip_core.load("glip-nano")


@pytest.fixture(scope="module")
def photo():
    split = open_split(load_task("pascalvoc", "mini"), "test")
    return split.image(split.image_ids[0])


@pytest.fixture(scope="module")
def right(detector, photo):
    return detector.predict(photo, Prompt.parse(LINE))


def same(one, other):
    return torch.equal(one.boxes, other.boxes) and torch.equal(one.scores, other.scores) and one.names == other.names


def test_a_line_is_a_prompt(detector, photo, right):
    assert same(detector.predict(photo, LINE), right)
    assert set(right.names) <= {"raccoon", "dog"}
    assert right.photo.size == photo.size


def test_names_are_a_prompt(detector, photo):
    assert same(detector.predict(photo, ["dog", "a.b"]), detector.predict(photo, Prompt.from_classes(["dog", "a.b"])))


def test_a_threshold(detector, photo, right):
    middle = float(right.scores.median())
    assert same(detector.predict(photo, LINE, threshold=middle), right.above(middle))


def test_every_form_of_a_photo(detector, photo, right, tmp_path):
    photo.save(tmp_path / "photo.png")
    array = np.asarray(photo)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    forms = [tmp_path / "photo.png", str(tmp_path / "photo.png"), array, tensor, tensor / 255]
    found = detector.predict(forms, LINE)
    assert len(found) == len(forms)
    assert all(same(one, right) for one in found)


def test_an_address(photo, tmp_path):
    photo.save(tmp_path / "photo.png")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        assert load_image(f"{base}/photo.png").tobytes() == photo.tobytes()
        with pytest.raises(InputError, match="cannot be fetched") as caught:
            load_image(f"{base}/other.png?token=secret")
        assert "secret" not in str(caught.value)
        server.shutdown()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_tensors_of_any_precision(dtype):
    values = torch.tensor([0, 0.25, 0.5, 1], dtype=dtype).expand(3, 2, 4)
    assert np.asarray(load_image(values))[0, :, 0].tolist() == [0, 64, 128, 255]


@pytest.mark.parametrize("shape", [(3, 0, 4), (3, 4, 0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8])
def test_an_empty_tensor_is_no_image(shape, dtype):
    with pytest.raises(InputError, match=r"must be \[3, H, W\]"):
        load_image(torch.zeros(shape, dtype=dtype))


@pytest.mark.parametrize("image", [3, None, torch.zeros(1, 3, 4, 4), torch.full((3, 4, 4), 2.0), np.zeros((4, 4))])
def test_what_is_no_image(image):
    with pytest.raises(InputError):
        load_image(image)


def test_a_folder_and_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        load_image(tmp_path)
    with pytest.raises(InputError, match="not found"):
        load_image(tmp_path / "no.jpg")


def test_postscript_is_never_interpreted(tmp_path):
    (tmp_path / "0.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(x) show\n")
    with pytest.raises(InputError, match="is not an image"):
        load_image(tmp_path / "0.jpg")


def test_formats_people_have(tmp_path):
    for ending in ("jpg", "png", "webp", "bmp", "tiff", "gif"):
        Image.new("RGB", (8, 6), "red").save(tmp_path / f"a.{ending}")
        assert load_image(tmp_path / f"a.{ending}").size == (8, 6)
