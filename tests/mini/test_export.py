"""The miniature as COCO folders and as a contact sheet."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glip_core.errors import InputError
from odinw_bench.datasets.registry import load_suite, load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.mini import contact_sheet, load_recipe, write_suite


def test_a_folder_gives_what_the_embedded_task_gives(tmp_path: Path) -> None:
    reported: list[str] = []
    written = write_suite(tmp_path / "out", ["packages", "raccoon"], progress=reported.append)
    assert [path.parent for path in written] == [Path(folder) for folder in reported]
    assert [path.parent.name for path in written] == ["train", "valid", "test"] * 2
    for name in ("packages", "raccoon"):
        embedded, folder = load_task(name, "mini"), load_task(tmp_path / "out" / name)
        assert folder.class_names == embedded.class_names
        assert folder.prompt_parts() == embedded.prompt_parts()
        assert (folder.title, folder.eval_split, set(folder.splits)) == (
            embedded.title,
            embedded.eval_split,
            set(embedded.splits),
        )
        for split in embedded.splits:
            here, there = open_split(folder, split), open_split(embedded, split)
            assert here.image_ids == there.image_ids
            for image_id in here.image_ids:
                assert here.image(image_id).tobytes() == there.image(image_id).tobytes()
                for ours, theirs in zip(here.targets(image_id), there.targets(image_id), strict=True):
                    assert np.array_equal(ours, theirs)
    assert [task.name for task in load_suite(tmp_path / "out")] == ["packages", "raccoon"]


def test_writing_again_replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (path, *_) = write_suite(tmp_path, ["packages"])
    whole = path.read_bytes()
    names = sorted(p.name for p in path.parent.iterdir())
    assert len(names) == len(json.loads(whole)["images"]) + 1
    path.unlink()
    (path.parent / names[-1]).unlink()
    write_suite(tmp_path, ["packages"])
    assert path.read_bytes() == whole
    assert sorted(p.name for p in path.parent.iterdir()) == names
    assert Image.open(path.parent / names[-1]).size == load_recipe("packages").size


def test_a_split_that_was_interrupted_has_no_annotations(tmp_path: Path) -> None:
    (train, *_) = write_suite(tmp_path, ["packages"])
    picture = train.parent / "train_0003.png"
    picture.unlink()
    picture.mkdir()  # writing this picture must now fail
    with pytest.raises(InputError, match="was not written by this command"):
        write_suite(tmp_path, ["packages"])
    assert not train.exists()


def test_a_finished_split_stays_finished_while_it_is_written_again(tmp_path: Path, monkeypatch) -> None:
    (train, *_) = write_suite(tmp_path, ["packages"])
    left = train.parent / ".train_0001.png.0123456789ab.tmp"  # by a killed process
    left.touch()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            write_suite(tmp_path, ["packages"])
    assert json.loads(train.read_text())["images"]
    write_suite(tmp_path, ["packages"])
    assert not left.exists()


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"the miniature cannot be written to '.*file'"):
        write_suite(tmp_path / "file", ["packages"])
    with pytest.raises(InputError, match="no miniature task 'pakages'"):
        write_suite(tmp_path / "new", ["packages", "pakages"])
    assert not (tmp_path / "new").exists()


def test_the_contact_sheet_has_a_row_a_task_and_its_boxes() -> None:
    one, two = contact_sheet(["raccoon"], columns=3), contact_sheet(["raccoon", "packages"], columns=3)
    assert one.mode == "RGB"
    assert two.width == one.width and two.height == 2 * one.height
    assert two.crop((0, 0, *one.size)).tobytes() == one.tobytes()
    ink = (np.asarray(one) == (0x19, 0xE0, 0x5A)).all(axis=2)
    assert ink.any(axis=0)[: one.width // 3].sum() > 60  # the sides of the first picture's box
    assert contact_sheet(["pascalvoc"], columns=1).width < one.width
    with pytest.raises(InputError, match="at least one column"):
        contact_sheet(["raccoon"], columns=0)
