"""The program as a user calls it, and small data sets to call it with."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer.main
from PIL import Image

from odinw_bench.cli import main


@dataclass
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str

    def refused(self) -> str:
        """The one line of an error of the user's."""
        assert self.code == 2, (self.code, self.out, self.err)
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: ")
        assert len(lines[0]) < 1000
        return lines[0]


_commands = functools.cache(typer.main.get_command)
"""Built once: that takes longer than most of what tests ask for."""


@pytest.fixture
def cli(monkeypatch, capsys) -> Callable[..., Answer]:
    """Call the program in this process."""

    monkeypatch.setattr("typer.main.get_command", _commands)

    def call(*arguments) -> Answer:
        monkeypatch.setattr(sys, "argv", ["odinw-bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Answer(ended.value.code or 0, captured.out, captured.err)

    return call


def write_dataset(folder: Path, names=("cat", "dog"), images: int = 2) -> Path:
    """A COCO folder in Roboflow's layout, background category and ids from 0 included."""
    categories = [{"id": 0, "name": "pets", "supercategory": "none"}]
    categories += [{"id": i, "name": name, "supercategory": "pets"} for i, name in enumerate(names, start=1)]
    for shade, split in enumerate(("train", "valid", "test")):
        place = folder / split
        place.mkdir(parents=True)
        entries, boxes = [], []
        for i in range(images):
            Image.new("RGB", (120, 80), (30 * i % 256, 90, 60 + 20 * shade)).save(place / f"{i}.jpg")
            entries.append({"id": i, "file_name": f"{i}.jpg", "width": 120, "height": 80})
            box = [10, 10, 40, 30]
            boxes.append(
                {"id": i, "image_id": i, "category_id": 1 + i % len(names), "bbox": box, "area": 1200, "iscrowd": 0}
            )
        content = {"images": entries, "annotations": boxes, "categories": categories}
        (place / "_annotations.coco.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def pets(tmp_path) -> Path:
    """A data set of the user's own."""
    return write_dataset(tmp_path / "pets")
