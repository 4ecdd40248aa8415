"""``odinw-bench profile`` as a user calls it."""

from __future__ import annotations

import json

import pytest
from PIL import Image


@pytest.mark.integration
def test_the_table_the_json_and_the_picture(cli, tmp_path):
    done = cli("profile", "--model", "glip-nano", "--repeats", "1", "--out", tmp_path, "--photo", "64x48")
    assert done.code == 0, done.err
    assert "FPS" in done.out and "DyHead" in done.out
    written = json.loads((tmp_path / "profile.json").read_text())
    assert [row["settings"]["fusion"] for row in written["measured"]] == [True, False]
    with Image.open(tmp_path / "profile.png") as picture:
        assert picture.width > 500


@pytest.mark.parametrize("option", [["--photo", "big"], ["--batch", "0"], ["--fusion", "maybe"], ["--model", "nope"]])
def test_what_cannot_be_is_refused_in_one_line(cli, option, tmp_path):
    assert cli("profile", "--out", tmp_path, *option).refused()
    assert not list(tmp_path.iterdir())
