"""What else was found: fields nobody reads, odd zips, closed streams, places that cannot be, broken checkpoints."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

from glip_core.errors import InputError
from odinw_bench.datasets.download.archive import unpack
from odinw_bench.pretraining import CURVE
from tests.inputs.answers import sound
from tests.report import made


@pytest.mark.parametrize("value", ["NaN", "Infinity", '"half \\ud83d"', '{"a": [NaN]}'])
def test_fields_of_predictions_that_nobody_reads(cli, pets, tmp_path, tried, value):
    path = tmp_path / "p.json"
    entry = '{"image_id": 1, "category_id": 1, "bbox": [5, 5, 40, 30], "score": 0.5, "note": %s}'
    path.write_text(f"[{entry % value}]")
    call = ("score", "--dataset", pets, "--predictions", path, "--model-name", "m", "--results", tmp_path / "r")
    assert sound(cli(*call), "p.json") is not None
    assert not (tmp_path / "r").exists()
    tried("input: predictions file")


def _zip(method, content=b"x" * 5000):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as opened:
        opened.writestr("a/b.txt", content)
    return out.getvalue()


def test_lzma_is_refused_before_anything_is_unpacked(tmp_path, tried):
    whole = _zip(zipfile.ZIP_LZMA)
    claims = whole.replace(b"\x5d\x00\x00\x80\x00", b"\x5d\xff\xff\xff\xff", 1)  # a dictionary of 4 GB
    assert claims != whole
    for number, data in enumerate((whole, claims, whole[:60] + b"\0" * 20 + whole[80:])):
        path = tmp_path / f"{number}.zip"
        path.write_bytes(data)
        with pytest.raises(InputError, match=rf"{number}\.zip"):
            unpack(path, tmp_path / f"out{number}")
        assert not list(tmp_path.glob(f"out{number}/**/*.txt"))
        tried("input: archive")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_damaged_zips_are_one_line(tmp_path, tried, method):
    rng = np.random.default_rng(0)
    whole = _zip(method, bytes(rng.integers(0, 9, 300, dtype=np.uint8)))
    for number in range(400):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 1 + number % 4):
            data[place] = rng.integers(0, 256)
        path = tmp_path / "x.zip"
        path.write_bytes(data)
        try:
            unpack(path, tmp_path / str(number))
        except InputError as error:
            assert "x.zip" in str(error)
        tried("input: archive")


def test_a_short_pretraining_has_a_curve(cli, tmp_path):
    call = ("pretrain", "--model", "dyhead-nano", "--out", tmp_path, "--workers", "0", "--steps")
    assert sound(cli(*call, "2")) is None
    lines = [json.loads(line) for line in (tmp_path / CURVE).read_text().splitlines()]
    assert [line["step"] for line in lines] == [2]
    assert sound(cli(*call, "2")) is None
    assert len((tmp_path / CURVE).read_text().splitlines()) == 1
    checkpoint = next(path for path in tmp_path.iterdir() if path.suffix not in (".jsonl", ".safetensors", ".json"))
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    assert sound(cli(*call, "3"), checkpoint.name, "--out") is not None


@pytest.mark.integration
@pytest.mark.parametrize("how", [">&-", "2>&-", ">&- 2>&-", "| true", "| head -c 1 >/dev/null"])
def test_closed_streams(tmp_path, tried, how):
    """Nobody reads: no traceback, and no complaint of Python's at the end."""
    for words in ("protocol", "models --json", "show nowhere"):
        command = f"{sys.executable} -m odinw_bench {words} {how}"
        done = subprocess.run(
            ["bash", "-c", command],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
        tried("input: closed stream")


@pytest.mark.parametrize("place", ["/proc/x", "/dev/null/x", "x" * 300])
def test_places_that_cannot_be(cli, tmp_path, tried, place):
    made.write(tmp_path / "results", made.record(made.spec(), made.metrics(50.0)))
    call = ("report", "--results", tmp_path / "results", "--pictures", "0", "--out", tmp_path / place)
    assert cli(*call).err.splitlines()[-1].startswith("error: cannot write")
    tried("input: place of others")


def test_a_broken_checkpoint_ends_the_command_before_any_run(cli, tmp_path, tried):
    rng = np.random.default_rng(0)
    whole = io.BytesIO()
    torch.save({"model": {"x": torch.zeros(9)}}, whole, _use_new_zipfile_serialization=False)
    contents = [b"bad\n", b"", whole.getvalue()[:90], *(rng.bytes(50) for _ in range(3))]
    for number, content in enumerate(contents):
        for ending in ("pth", "safetensors"):
            path = tmp_path / f"{number}.{ending}"
            path.write_bytes(content)
            run = ("run", "--dataset", "packages,raccoon", "--mode", "zero-shot", "--weights", path)
            answer = cli(*run, "--results", tmp_path / "r")
            assert sound(answer, path.name) is not None
            assert answer.out == ""
            assert not (tmp_path / "r").exists()
            tried("input: checkpoint")
