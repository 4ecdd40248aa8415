"""Pictures of every odd kind: detected in as they are shown, or one line that names the file."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import PIL
import pytest
from PIL import Image

from tests.cli.conftest import write_dataset
from tests.inputs.answers import sound


def _photo(mode="RGB", size=(120, 80)):
    gradient = np.linspace(0, 255, size[0] * size[1], dtype=np.uint8).reshape(size[1], size[0])
    rgb = Image.merge("RGB", [Image.fromarray(np.roll(gradient, shift, axis=1)) for shift in (0, 17, 40)])
    return rgb.convert(mode)


def _saved(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _rotated():
    exif = Image.Exif()
    exif[0x0112] = 6
    return _saved(_photo(), "JPEG", exif=exif)


def _sixteen():
    return _saved(Image.fromarray(np.arange(9600, dtype=np.uint16).reshape(80, 120) * 6), "PNG")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _bomb(width, height, rows=64):
    """A PNG that promises more pixels than anybody has memory for."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = _chunk(b"IDAT", zlib.compress(bytes((3 * width + 1) * rows)))
    return b"\x89PNG\r\n\x1a\n" + head + body + _chunk(b"IEND", b"")


def _animated(kind):
    frames = [_photo(), _photo().rotate(180)]
    return _saved(frames[0], kind, save_all=True, append_images=frames[1:])


def _jpeg():
    return _saved(_photo(), "JPEG")


READ = {
    "jpeg": _jpeg,
    "cmyk jpeg": lambda: _saved(_photo("CMYK"), "JPEG"),
    "gray jpeg": lambda: _saved(_photo("L"), "JPEG"),
    "progressive jpeg": lambda: _saved(_photo(), "JPEG", progressive=True),
    "rotated by exif": _rotated,
    "16 bits": _sixteen,
    "palette": lambda: _saved(_photo("P"), "PNG"),
    "palette with transparency": lambda: _saved(_photo("P"), "PNG", transparency=0),
    "alpha": lambda: _saved(_photo("RGBA"), "PNG"),
    "gray with alpha": lambda: _saved(_photo("LA"), "PNG"),
    "black and white": lambda: _saved(_photo("1"), "PNG"),
    "YCbCr": lambda: _saved(_photo("YCbCr"), "TIFF"),
    "CIELab": lambda: _saved(_photo("LAB"), "TIFF"),
    "webp": lambda: _saved(_photo(), "WEBP"),
    "bmp": lambda: _saved(_photo(), "BMP"),
    "animated gif": lambda: _animated("GIF"),
    "animated png": lambda: _animated("PNG"),
    "one pixel": lambda: _saved(_photo(size=(1, 1)), "PNG"),
    "a line": lambda: _saved(_photo(size=(1500, 1)), "PNG"),
    "a column": lambda: _saved(_photo(size=(1, 1500)), "PNG"),
    "junk after the end": lambda: _jpeg() + b"junk" * 100,
}
REFUSED = {
    "no bytes": lambda: b"",
    "text": lambda: b"this is no picture",
    "html": lambda: b"<html><body>404 not found</body></html>",
    "a zip": lambda: b"PK\x03\x04" + bytes(60),
    "the head of a jpeg": lambda: _jpeg()[:100],
    "half a jpeg": lambda: _jpeg()[: len(_jpeg()) // 2],
    "half a png": lambda: _saved(_photo(), "PNG")[: len(_saved(_photo(), "PNG")) // 2],
    "a png with a broken sum": lambda: _saved(_photo(), "PNG")[:200] + b"\0\0\0\0" + _saved(_photo(), "PNG")[204:],
    "a bomb of 20,000 x 20,000": lambda: _bomb(20_000, 20_000),
    "a bomb of 100,000 x 100,000": lambda: _bomb(100_000, 100_000, rows=4),
    "a bomb of a line": lambda: _bomb(2**31 - 1, 1, rows=0),
    "a png of no size": lambda: _bomb(0, 0),
    "floating point": lambda: _saved(_photo("F"), "TIFF"),
    "32-bit integers": lambda: _saved(_photo("I"), "TIFF"),
    "svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
}


@pytest.fixture
def ask(cli, tmp_path):
    """Detect in a file by itself, check a data set that holds it, and run on that."""

    def call(data: bytes) -> tuple[str | None, str | None]:
        path = tmp_path / "odd.jpg"
        path.write_bytes(data)
        alone = sound(cli("predict", path, "--prompt", "cat. dog", "--out", tmp_path / "out"), "odd.jpg")
        pets = tmp_path / "pets"
        if not pets.exists():
            write_dataset(pets)
        (pets / "test/1.jpg").write_bytes(data)
        answer = cli("data", "check", "--dataset", pets, "--json")
        assert answer.code in (0, 1)
        assert ("picture unreadable" in answer.out) == (alone is not None)
        run = ("run", "--dataset", pets, "--mode", "zero-shot", "--results", tmp_path / "r", "--force", "--quiet")
        return alone, sound(cli(*run), "1.jpg")

    return call


@pytest.mark.parametrize("name", READ)
def test_read(ask, tried, name):
    data = READ[name]()
    try:
        Image.open(io.BytesIO(data)).load()
    except OSError as error:  # Pillow 12.3 writes a TIFF in YCbCr that it cannot read
        pytest.skip(f"Pillow {PIL.__version__} cannot read what it wrote: {error}")
    assert ask(data) == (None, None)
    tried("input: picture")


@pytest.mark.parametrize("name", REFUSED)
def test_refused(ask, tried, name):
    alone, in_a_run = ask(REFUSED[name]())
    assert alone is not None and in_a_run is not None
    tried("input: picture")


def test_cut_off_anywhere(cli, tmp_path, tried):
    """Never a picture that is half gray without a word."""
    whole = _saved(_photo(size=(64, 48)), "JPEG")
    path = tmp_path / "odd.jpg"
    for cut in range(0, len(whole) - 2, len(whole) // 25):
        path.write_bytes(whole[:cut])
        line = sound(cli("predict", path, "--prompt", "cat", "--out", tmp_path / "out"), "odd.jpg")
        assert line is not None, cut
        tried("input: picture")


def test_what_is_shown_is_what_is_read(tmp_path):
    """16 bits are scaled, not cut off; a palette gives its colours; of an animation the first frame counts."""
    from glip_core.images import load_image

    def pixels(data):
        path = tmp_path / "x"
        path.write_bytes(data)
        return np.asarray(load_image(path), dtype=int)

    plain = np.asarray(_photo(), dtype=int)
    assert np.abs(pixels(_saved(_photo("P"), "PNG")) - np.asarray(_photo("P").convert("RGB"), dtype=int)).max() == 0
    assert np.abs(pixels(_animated("PNG")) - plain).max() == 0
    assert np.abs(pixels(_saved(_photo("CMYK"), "TIFF")) - plain).max() <= 2
    deep = pixels(_sixteen())[..., 0]
    assert deep.min() < 5 and 215 < deep.max() < 230  # 57594 of 65535


def test_a_pil_image_is_read_as_its_file(tmp_path):
    from glip_core import InputError
    from glip_core.images import load_image

    (tmp_path / "deep.png").write_bytes(_sixteen())
    expected = np.asarray(load_image(tmp_path / "deep.png"))
    with Image.open(tmp_path / "deep.png") as opened:
        assert np.array_equal(np.asarray(load_image(opened)), expected)
    made = Image.fromarray(np.arange(9600, dtype=np.uint16).reshape(80, 120) * 6)
    assert np.array_equal(np.asarray(load_image(made)), expected)
    assert load_image(_photo("P")).tobytes() == _photo("P").convert("RGB").tobytes()
    for mode in ("I", "F"):
        with pytest.raises(InputError, match="the PIL image has 32 bits a channel"):
            load_image(_photo(mode))


@pytest.mark.integration
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_file_does_not_hang(tmp_path, tried):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for name in ("pipe.jpg", "folder.jpg", "/dev/zero"):
        command = [sys.executable, "-m", "odinw_bench", "predict", name, "--prompt", "cat", "--out", "out"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert name in done.stderr
        tried("input: picture")


def test_sizes_that_the_annotations_misstate(cli, tmp_path, tried):
    """Boxes are in the pixels that the annotations state: a picture of twice the size is scaled to them."""
    pets = write_dataset(tmp_path / "pets")
    Image.open(pets / "test/1.jpg").resize((240, 160)).save(pets / "test/1.jpg")
    answer = cli("data", "check", "--dataset", pets)
    assert "240x160, not 120x80 as stated" in answer.out.replace("\n", "")
    run = ("run", "--dataset", pets, "--mode", "zero-shot", "--results", tmp_path / "r", "--json")
    folder = json.loads(cli(*run).out)[0]["folder"]
    from pathlib import Path

    rows = json.loads((Path(folder) / "predictions.json").read_text())
    assert rows
    assert all(x >= 0 and x + w <= 121 and y + h <= 81 for x, y, w, h in (row["bbox"] for row in rows))
    tried("input: picture")
