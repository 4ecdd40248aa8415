"""One's own data: made splits, orientations, task files, conversion, and what is not understood."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from PIL import Image

from glip_core.errors import InputError
from odinw_bench.datasets.checks import check_task
from odinw_bench.datasets.convert import convert
from odinw_bench.datasets.registry import load_suite, load_task
from odinw_bench.datasets.sources import open_split
from tests.datasets.forms.conftest import some_pictures
from tests.datasets.forms.writers import WRITERS

NAMES = ["cat", "dog"]


def rotated(folder, count=10):
    """Photos of a camera that was held sideways: stored 40x20, shown 20x40."""
    folder.mkdir()
    pictures = []
    for i in range(count):
        exif = Image.Exif()
        exif[0x0112] = 6
        picture = Image.new("RGB", (40, 20), (20 * i, 90, 60))
        picture.putpixel((0, 0), (255, 255, 255))
        picture.save(folder / f"{i}.png", exif=exif)
        pictures.append((f"{i}.png", folder / f"{i}.png", 20, 40, [(0, 2.0, 3.0, 10.0, 30.0)]))
    return pictures


def test_copies_stay_together_and_names_do_not_matter(tmp_path) -> None:
    pictures = some_pictures(tmp_path / "source")
    copies = [(f"copy of {name}", path, *rest) for name, path, *rest in pictures[:5]]
    WRITERS["voc"](tmp_path / "own", {"all": [*pictures, *copies]}, NAMES)
    task = load_task(tmp_path / "own")
    where = {}
    for split in task.splits:
        opened = open_split(task, split)
        for image_id in opened.image_ids:
            where.setdefault((opened.folder / opened.file_name(image_id)).read_bytes(), set()).add(split)
    assert all(len(splits) == 1 for splits in where.values())


def test_without_a_test_split_val_is_halved(tmp_path, pictures) -> None:
    WRITERS["ultralytics"](tmp_path / "own", {"train": pictures[:4], "val": pictures[4:]}, NAMES)
    task = load_task(tmp_path / "own")
    assert {split: len(open_split(task, split)) for split in task.splits} == {"train": 4, "val": 3, "test": 3}
    assert "val is halved" in task.notes[0]
    assert check_task(task).sound


def test_one_split_that_is_here_is_not_divided(tmp_path, pictures) -> None:
    WRITERS["roboflow_yolo"](tmp_path / "own", {"train": pictures[:2], "val": pictures[2:], "test": ()}, NAMES)
    shutil.rmtree(tmp_path / "own/train")
    shutil.rmtree(tmp_path / "own/test", ignore_errors=True)
    task = load_task(tmp_path / "own")
    assert {split: len(open_split(task, split)) for split in task.splits} == {"val": 8, "test": 8}


def test_pictures_annotated_as_displayed_are_turned(tmp_path) -> None:
    WRITERS["roboflow"](tmp_path / "own", {"all": rotated(tmp_path / "source")}, NAMES)
    task = load_task(tmp_path / "own")
    split = open_split(task, "test")
    picture = split.image(split.image_ids[0])
    assert picture.size == split.size(split.image_ids[0]) == (20, 40)
    assert picture.getpixel((19, 0)) == (255, 255, 255)
    assert "turned by their EXIF orientation" in " ".join(split.notes)
    checked = check_task(task)
    assert checked.sound
    assert {finding.kind for finding in checked.findings} >= {"EXIF orientation: annotated as displayed"}


def test_pictures_annotated_as_stored_are_left_alone(tmp_path) -> None:
    pictures = seen_as(rotated(tmp_path / "source"), 40, 20)
    WRITERS["roboflow"](tmp_path / "own", {"train": pictures[:5], "val": pictures[5:7], "test": pictures[7:]}, NAMES)
    split = open_split(load_task(tmp_path / "own"), "test")
    assert split.image(split.image_ids[0]).size == (40, 20)
    assert not split.notes


def seen_as(pictures, width, height):
    return [(name, path, width, height, boxes) for name, path, *_, boxes in pictures]


def square(folder):
    """A photo of a camera held sideways whose size tells nothing."""
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 30), (9, 200, 60)).save(folder / "square.png", exif=exif)
    return [("square.png", folder / "square.png", 30, 30, [(0, 2.0, 3.0, 10.0, 20.0)])]


def test_orientations_are_decided_for_all_splits_together(tmp_path) -> None:
    telling, silent = rotated(tmp_path / "source"), square(tmp_path / "square")
    WRITERS["roboflow"](tmp_path / "own", {"train": telling[:5], "val": telling[5:], "test": silent}, NAMES)
    task = load_task(tmp_path / "own")
    for split in ("train", "test"):
        assert "turned by their EXIF orientation" in " ".join(open_split(task, split).notes), split
    convert(task, tmp_path / "coco")
    assert "exif: apply" in (tmp_path / "coco/task.yaml").read_text()
    before, after = (open_split(one, "test") for one in (task, load_task(tmp_path / "coco")))
    assert before.image(before.image_ids[0]).tobytes() == after.image(after.image_ids[0]).tobytes()


def test_splits_that_contradict_each_other_are_refused(tmp_path) -> None:
    pictures = rotated(tmp_path / "source")
    data = {"train": pictures[:5], "val": pictures[5:7], "test": seen_as(pictures[7:], 40, 20)}
    WRITERS["roboflow"](tmp_path / "own", data, NAMES)
    task = load_task(tmp_path / "own")
    with pytest.raises(InputError, match=r"7 pictures were annotated as viewers turn them .* and 3 as stored"):
        convert(task, tmp_path / "coco")
    (tmp_path / "own/test/_annotations.coco.json").unlink()  # what is not there contradicts nothing
    assert "turned by" in " ".join(open_split(task, "train").notes)


@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 8])
def test_tiffs_are_turned_once(tmp_path, orientation) -> None:
    pictures = rotated(tmp_path / "source", count=3)
    tiffs = []
    for name, path, *_, boxes in pictures:
        exif = Image.Exif()
        exif[0x0112] = orientation
        with Image.open(path) as picture:
            picture.save(path.with_suffix(".tif"), exif=exif)
        size = (20, 40) if orientation >= 5 else (40, 20)
        tiffs.append((name.replace("png", "tif"), path.with_suffix(".tif"), *size, boxes))
    WRITERS["roboflow"](tmp_path / "own", {"train": tiffs, "test": tiffs}, NAMES)
    (tmp_path / "own/task.yaml").write_text("exif: apply\n")
    split = open_split(load_task(tmp_path / "own"), "test")
    picture = split.image(split.image_ids[0])
    assert picture.size == split.size(split.image_ids[0]) == tiffs[0][2:4]
    corner = {1: (0, 0), 3: (39, 19), 5: (0, 0), 6: (19, 0), 8: (0, 39)}[orientation]
    assert picture.getpixel(corner) == (255, 255, 255)


def test_where_nothing_tells_the_orientation_is_asked_for(tmp_path) -> None:
    WRITERS["ultralytics"](tmp_path / "own", {"all": rotated(tmp_path / "source")}, NAMES)
    with pytest.raises(InputError, match=r"EXIF orientation, such as .* say 'exif: apply'"):
        open_split(load_task(tmp_path / "own"), "test")
    assert not check_task(load_task(tmp_path / "own")).sound
    (tmp_path / "own/task.yaml").write_text("exif: apply\n")
    split = open_split(load_task(tmp_path / "own"), "test")
    box = split.annotations["annotations"][0]["bbox"]
    assert split.size(split.image_ids[0]) == (20, 40)
    assert box == pytest.approx([2, 3, 10, 30])


def test_task_files_anywhere_and_suites_of_them(tmp_path, pictures) -> None:
    WRITERS["voc"](tmp_path / "data/one", {"all": pictures}, NAMES)
    WRITERS["ultralytics"](tmp_path / "data/two", {"all": pictures}, NAMES)
    suite = tmp_path / "tasks"
    suite.mkdir()
    (suite / "first.yaml").write_text("root: ../data/one\nsplit_seed: 30\n")
    (suite / "second.yaml").write_text("title: Second\nroot: ../data/two\n")
    task = load_task(suite / "first.yaml")
    assert (task.name, task.form, task.class_names) == ("first", "voc", NAMES)
    assert "seed 30" in task.notes[0]
    assert [task.name for task in load_suite(suite)] == ["first", "second"]


def test_a_single_file_opens(tmp_path, pictures) -> None:
    WRITERS["label_studio_coco"](tmp_path / "own", {"all": pictures}, NAMES)
    task = load_task(tmp_path / "own/result.json")
    assert len(open_split(task, "train")) == 6


@pytest.mark.parametrize("name", ["ultralytics", "voc", "cvat"])
def test_converted_data_are_the_same(cli, tmp_path, pictures, name) -> None:
    WRITERS[name](tmp_path / "own", {"all": pictures}, NAMES)
    assert cli("data", "convert", tmp_path / "own", "--out", tmp_path / "coco").code == 0
    before, after = load_task(tmp_path / "own"), load_task(tmp_path / "coco")
    assert after.class_names == NAMES
    assert after.notes == ()
    for split in before.splits:
        boxes = [
            [one["bbox"] for one in open_split(task, split).annotations["annotations"]] for task in (before, after)
        ]
        assert boxes[0] == boxes[1]
    assert "give --out a new or empty folder" in cli("data", "convert", tmp_path / "own", "--out", tmp_path).refused()


def test_words_of_a_task_file_are_converted_too(tmp_path, pictures) -> None:
    WRITERS["ultralytics"](tmp_path / "own", {"all": pictures}, NAMES)
    plain = load_task(tmp_path / "own")
    first, *others = [{"id": one.category_id, "name": one.name} for one in plain.classes]
    first |= {"manual": {"prefix": "", "name": first["name"], "suffix": ", which is flät"}, "synonyms": ["thing"]}
    said = {"classes": [first, *others], "attributes": {"colour": ["red"]}}
    (tmp_path / "own/task.yaml").write_text(json.dumps(said))
    task = load_task(tmp_path / "own")
    convert(task, tmp_path / "coco")
    again = load_task(tmp_path / "coco")
    assert (again.classes, again.attributes) == (task.classes, task.attributes)
    assert again.prompt_parts()[0]["suffix"] == ", which is flät"
    assert len(open_split(again, "test")) == len(open_split(task, "test"))


def test_a_second_conversion_is_refused(tmp_path, pictures) -> None:
    WRITERS["voc"](tmp_path / "own", {"all": pictures}, NAMES)
    task = load_task(tmp_path / "own")
    convert(task, tmp_path / "out")
    with pytest.raises(InputError, match="is there already"):
        convert(task, tmp_path / "out")


def with_splits(folder, pictures, *names):
    """A folder whose ``task.yaml`` names splits: all the same pictures."""
    WRITERS["roboflow"](folder, {"train": pictures}, NAMES)
    split = {"annotations": "train/_annotations.coco.json", "images": "train"}
    (folder / "task.yaml").write_text(json.dumps({"splits": dict.fromkeys(names, split)}))
    return folder


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "..", "a/b", "a\\b", "", "."])
def test_names_of_splits_lead_nowhere(tmp_path, pictures, name) -> None:
    own = with_splits(tmp_path / "own", pictures, name)
    with pytest.raises(InputError, match=r"task.yaml': splits.*must be letters, digits"):
        load_task(own)
    task = load_task(with_splits(tmp_path / "other", pictures, "test"))
    task = replace(task, splits={name: task.splits["test"]})
    with pytest.raises(InputError, match="cannot be written"):
        convert(task, tmp_path / "out/deep")
    assert not (tmp_path / "out").exists()


def test_splits_of_other_names_convert(tmp_path, pictures) -> None:
    task = load_task(with_splits(tmp_path / "own", pictures, "mini_test-2"))
    assert task.eval_split == "mini_test-2"
    convert(task, tmp_path / "out")
    assert (tmp_path / "out/mini_test-2/_annotations.coco.json").is_file()


def test_two_splits_of_one_folder_are_refused(tmp_path, pictures) -> None:
    task = load_task(with_splits(tmp_path / "own", pictures, "val", "valid"))
    with pytest.raises(InputError, match="'val' and 'valid' would both be written into 'valid/'"):
        convert(task, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_picture_overwrites_another(tmp_path, pictures) -> None:
    names = ["a/b.jpg", "c/b.jpg", "a-b.jpg", "x.jpg", "X.jpg", "d/_annotations.coco.json"]
    data = [(name, *rest) for name, (_, *rest) in zip(names, pictures, strict=False)]
    for name in names:
        (tmp_path / "own/train" / name).parent.mkdir(parents=True, exist_ok=True)
    WRITERS["roboflow"](tmp_path / "own", {"train": data, "test": pictures[:1]}, NAMES)
    task = load_task(tmp_path / "own")
    convert(task, tmp_path / "out")
    before, after = (open_split(one, "train") for one in (task, load_task(tmp_path / "out")))
    written = [after.file_name(image_id) for image_id in after.image_ids]
    assert written[:3] == ["a-b.jpg", "c-b.jpg", "a-b-2.jpg"]
    assert len({name.casefold() for name in written}) == len(names)
    for image_id in before.image_ids:
        assert before.image(image_id).tobytes() == after.image(image_id).tobytes()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.txt": "x", "sub/b": ""}, "it holds 1 .txt, folders sub; understood are COCO"),
        ({"a.json": "[1]"}, "'a.json' is not COCO"),
        ({"classes.txt": "cat", "images/a.jpg": "no picture", "labels/a.txt": "0 1 1 1 1"}, "is not an image"),
        ({"a.xml": "<!DOCTYPE x [<!ENTITY a 'b'>]><annotation>&a;</annotation>"}, "cannot be read"),
        (
            {"metadata.jsonl": '{"file_name": "../a.jpg", "objects": {"bbox": [], "categories": []}}'},
            "inside the folder",
        ),
    ],
)
def test_what_is_not_understood_is_said(tmp_path, files, message) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        open_split(load_task(tmp_path), "test")


def test_stale_names_in_xml_files(tmp_path, pictures) -> None:
    """Files that were copied or renamed with the name of another picture in them."""
    for writer in ("voc", "flat_voc"):
        WRITERS[writer](tmp_path / writer, {"train": pictures[:6], "test": pictures[6:]}, NAMES)
        (stale,) = (tmp_path / writer).rglob("photo 1.xml")
        stale.write_text(stale.read_text().replace("photo 1.jpg", "photo 0.jpg"))
    split = open_split(load_task(tmp_path / "voc"), "train")  # a list names them
    names = [split.file_name(image_id) for image_id in split.image_ids]
    assert sorted(names) == sorted(name for name, *_ in pictures[:6])
    with pytest.raises(InputError, match=r"photo 0.xml' and '.*photo 1.xml' are both of the picture 'photo 0.jpg'"):
        open_split(load_task(tmp_path / "flat_voc"), "train")


def test_separators_within_json_end_no_line(tmp_path, pictures) -> None:
    WRITERS["image_folder"](tmp_path / "own", {"train": pictures[:6], "test": pictures[6:]}, NAMES)
    for path in (tmp_path / "own").rglob("metadata.jsonl"):
        rows = [json.loads(line) | {"text": "one\u2028two\x85three"} for line in path.read_text().splitlines()]
        path.write_text("\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    assert len(open_split(load_task(tmp_path / "own"), "train")) == 6


def test_bad_labels_are_named_with_file_and_line(tmp_path, pictures) -> None:
    for text, message in {
        "0 0.5 0.5 2 2": "parts of the picture",
        "7 0 0 0 0": "class '7'",
        "0 1 2": "has 2 numbers",
    }.items():
        WRITERS["label_studio_yolo"](tmp_path / str(len(text)), {"all": pictures}, NAMES)
        (tmp_path / str(len(text)) / "labels/photo 0.txt").write_text(text)
        with pytest.raises(InputError, match=f"photo 0.txt' line 1.*{message}"):
            open_split(load_task(tmp_path / str(len(text))), "test")


def test_paths_go_before_names_and_say_so(cli, tmp_path, pictures, monkeypatch) -> None:
    WRITERS["voc"](tmp_path / "raccoon", {"all": pictures}, NAMES)
    monkeypatch.chdir(tmp_path)
    answer = cli("run", "--dataset", "raccoon", "--mode", "zero-shot", "--dry-run")
    assert "the data set of this path, not a task's name" in answer.out
    assert "custom/glip-nano/raccoon" in answer.out


def test_a_data_root_means_the_official_data(cli, tmp_path) -> None:
    assert "odinw13" in cli("data", "list", "--data-root", tmp_path).out
    assert "Suite mini" in cli("data", "list").out
    rows = json.loads(cli("data", "list", "--data-root", tmp_path, "--json").out)
    assert rows[0]["source"] != "drawn"


def _without_test(folder, pictures):
    WRITERS["roboflow"](folder, {"train": pictures[:6], "val": pictures[6:]}, NAMES)


def _one_picture(folder, pictures):
    WRITERS["voc"](folder, {"all": pictures[:1]}, NAMES)


def _missing_picture(folder, pictures):
    WRITERS["voc"](folder, {"all": pictures}, NAMES)
    (folder / "JPEGImages" / pictures[3][0]).unlink()


def _broken_picture(folder, pictures):
    WRITERS["ultralytics"](folder, {"all": pictures}, NAMES)
    (folder / "images" / pictures[3][0]).write_bytes(b"no picture")


def _test_without_boxes(folder, pictures):
    bare = [(*rest, ()) for *rest, _ in pictures[8:]]
    WRITERS["flat_voc"](folder, {"train": pictures[:6], "val": pictures[6:8], "test": bare}, NAMES)


@pytest.mark.parametrize("write", [_without_test, _one_picture, _missing_picture, _broken_picture, _test_without_boxes])
def test_what_check_calls_sound_runs(cli, tmp_path, pictures, write) -> None:
    write(tmp_path / "own", pictures)
    sound = cli("data", "check", "--dataset", tmp_path / "own").code == 0
    assert sound == (write in (_without_test, _test_without_boxes))
    if sound:
        run = ("run", "--dataset", tmp_path / "own", "--mode", "zero-shot", "--results", tmp_path / "results")
        assert cli(*run, "--dry-run").code == 0
        assert cli(*run, "--device", "cpu").code == 0
