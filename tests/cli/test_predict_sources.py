"""``predict`` on folders, patterns, addresses, videos and cameras, and its files for all pictures."""

from __future__ import annotations

import csv
import functools
import json
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from PIL import Image

from glip_core import Detections, InputError, Prompt
from odinw_bench.cli import _sources
from odinw_bench.cli._found import output_to
from odinw_bench.cli._looking import ClassSearch
from odinw_bench.cli._sources import Photo, Source, find_sources, open_source
from tests.cli.made import write_video

WORDS = ("--prompt", "cat. dog", "--threshold", 0)
SHADES = [(200, 30 * i, 20) for i in range(8)]


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "clip.mp4", [Image.new("RGB", (96, 64), shade) for shade in SHADES])


def test_one_file_of_each_kind_for_a_folder_and_a_pattern(cli, pets, tmp_path):
    (pets / "test" / "notes.txt").write_text("no picture")
    (pets / "test" / ".hidden.jpg").write_bytes(b"")
    files = [tmp_path / name for name in ("o/all.json", "o/all.csv", "o/all.coco.json", "pictures")]
    places = [word for file in files for word in ("--out", file)]
    answer = cli("predict", pets / "test", f"{pets}/val*/**/*.jpg", *WORDS, *places)
    assert answer.code == 0, answer.err
    photos = [str(pets / split / f"{number}.jpg") for split in ("test", "valid") for number in (0, 1)]
    entries = json.loads(files[0].read_text())
    assert [one["image"] for one in entries] == photos
    assert {(one["width"], one["height"]) for one in entries} == {(120, 80)}
    found = [(one["image"], box["class"]) for one in entries for box in one["detections"]]
    rows = list(csv.DictReader(files[1].read_text().splitlines()))
    assert [(row["image"], row["class"]) for row in rows] == found
    coco = json.loads(files[2].read_text())
    names = {one["id"]: one["name"] for one in coco["categories"]}
    images = {one["id"]: one["file_name"] for one in coco["images"]}
    assert list(names.values()) == ["cat", "dog"]
    assert [(images[one["image_id"]], names[one["category_id"]]) for one in coco["annotations"]] == found
    boxes = [box["bbox"] for one in entries for box in one["detections"]]
    assert [one["bbox"] for one in coco["annotations"]] == boxes
    assert len(list(files[3].glob("*.boxes.png"))) == len(list(files[3].glob("*.boxes.json"))) == 4
    with Image.open(files[3] / "1-2.boxes.png") as picture:
        assert picture.size == (120, 80)


def test_no_photo_overwrites_the_files_of_another(tmp_path):
    places = ["a/photo-2.jpg", "a/photo.jpg", "b/photo.png", "c/photo.png", "b/PHOTO-2.jpg"]
    look = ClassSearch(None, Prompt.parse("cat"))
    photos = [Photo(Image.new("RGB", (8, 8)), Source(place)) for place in places]
    folder = output_to(tmp_path / "out", look, 0.5)
    nothing = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    files = [Path(folder.add(photo, nothing)["json"]) for photo in photos]
    assert [json.loads(file.read_text())["image"] for file in files] == places
    stems = ["photo-2", "photo", "photo-3", "photo-4", "PHOTO-2-2"]
    assert [file.name for file in files] == [f"{stem}.boxes.json" for stem in stems]


def test_a_csv_file_holds_no_formulas(tmp_path):
    out = output_to(tmp_path / "all.csv", ClassSearch(None, Prompt.of(["=1+1", "cat"])), 0.5)
    found = Detections(torch.zeros(2, 4), torch.ones(2), torch.tensor([0, 1]))
    out.add(Photo(Image.new("RGB", (8, 8)), Source("@SUM(1).jpg")), found)
    out.close()
    rows = list(csv.DictReader((tmp_path / "all.csv").read_text().splitlines()))
    assert [(row["image"], row["class"]) for row in rows] == [("'@SUM(1).jpg", "'=1+1"), ("'@SUM(1).jpg", "cat")]


def test_a_coco_file_is_a_data_set(cli, pets, tmp_path):
    """What was found can be opened like what people drew."""
    out = tmp_path / "all.coco.json"
    assert cli("predict", pets / "test", *WORDS, "--out", out).code == 0
    from pycocotools.coco import COCO

    assert len(COCO(str(out)).getImgIds()) == 2


def test_a_bad_picture_of_a_folder_is_left_out(cli, pets, tmp_path):
    (pets / "test" / "0.jpg").write_text("no picture")
    answer = cli("predict", pets / "test", *WORDS, "--out", tmp_path / "all.json")
    assert answer.code == 1
    assert "left out: image" in answer.err
    assert [one["image"] for one in json.loads((tmp_path / "all.json").read_text())] == [str(pets / "test" / "1.jpg")]


@pytest.mark.parametrize(("every", "numbers"), [(0, list(range(8))), (1.0, [0, 4]), (0.5, [0, 2, 4, 6])])
def test_frames_of_a_video(video, every, numbers):
    photos = list(open_source(Source(str(video)), every))
    assert [photo.frame for photo in photos] == numbers
    assert [photo.seconds for photo in photos] == [number / 4 for number in numbers]
    assert photos[-1].name == f"clip-{numbers[-1]:06d}"
    for photo in photos:
        assert photo.image.size == (96, 64)
        red, green, _ = photo.image.getpixel((48, 32))
        assert abs(green - SHADES[photo.frame][1]) < 20 < red


def test_a_video_as_one_file(cli, video, tmp_path):
    answer = cli("predict", video, *WORDS, "--every", 0.5, "--frames", 3, "--out", tmp_path / "v.json", "--json")
    assert answer.code == 0, answer.err
    assert [(one["frame"], one["seconds"]) for one in json.loads(answer.out)] == [(0, 0.0), (2, 0.5), (4, 1.0)]
    assert [one["frame"] for one in json.loads((tmp_path / "v.json").read_text())] == [0, 2, 4]
    assert cli("predict", video, *WORDS, "--frames", 1, "--out", tmp_path / "v.coco.json").code == 0
    (image,) = json.loads((tmp_path / "v.coco.json").read_text())["images"]
    assert (image["file_name"], image["image"], image["frame"]) == ("clip-000000.png", str(video), 0)


def test_a_camera(video, monkeypatch, cli, tmp_path):
    """Opened by the name that the system has for it; Ctrl-C ends it, and what was found is written."""
    import av

    asked = []
    opened = av.open

    def open_camera(place, format=None):
        asked.append((place, format))
        return opened(str(video))

    monkeypatch.setattr(av, "open", open_camera)
    monkeypatch.setattr(sys, "platform", "linux")
    assert cli("predict", "camera:0", *WORDS, "--frames", 1, "--out", tmp_path / "c.json").code == 0
    assert asked == [("/dev/video0", "v4l2")]
    (entry,) = json.loads((tmp_path / "c.json").read_text())
    assert entry["image"] == "camera:0"

    frames = _sources._frames

    def interrupted(*arguments):
        yield next(frames(*arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr(_sources, "_frames", interrupted)
    assert cli("predict", "camera:0", *WORDS, "--out", tmp_path / "d.json").code == 0
    assert len(json.loads((tmp_path / "d.json").read_text())) == 1


@pytest.mark.parametrize(("system", "device"), [("darwin", ("1", "avfoundation")), ("win32", ("video=1", "dshow"))])
def test_cameras_of_other_systems(system, device, monkeypatch):
    monkeypatch.setattr(sys, "platform", system)
    assert _sources._device("camera:1") == device


def test_addresses_of_pictures_and_videos(cli, pets, video, tmp_path):
    (tmp_path / "web").mkdir()
    (pets / "test" / "0.jpg").rename(tmp_path / "web" / "a cat.jpg")
    video.rename(tmp_path / "web" / "clip.mp4")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path / "web")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    try:
        out = tmp_path / "out"
        answer = cli("predict", f"{base}/a%20cat.jpg?key=1", f"{base}/clip.mp4", *WORDS, "--frames", 1, "--out", out)
        assert answer.code == 0, answer.err
        assert cli("predict", f"{base}/gone.mp4", *WORDS).refused()
    finally:
        server.shutdown()
        server.server_close()
    assert {one.name for one in out.glob("*.json")} == {"a cat.boxes.json", "clip-000000.boxes.json"}
    assert json.loads((out / "a cat.boxes.json").read_text())["image"] == f"{base}/a%20cat.jpg"


@pytest.mark.parametrize(
    ("name", "says"),
    [("nowhere", "'nowhere' not found"), ("empty", "has no pictures"), ("*.jpg", "is named like"), ("x.mp4", "read")],
)
def test_what_cannot_be_looked_at(cli, name, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.mp4").write_text("no video")
    assert says in cli("predict", name, *WORDS).refused()


def test_the_pattern_for_folders_in_a_folder_is_said_and_works(tmp_path):
    (tmp_path / "photos" / "monday").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "photos" / "monday" / "a.png")
    with pytest.raises(InputError, match=r"has no pictures .* give the pattern") as refused:
        find_sources([str(tmp_path / "photos")])
    pattern = str(refused.value).split("'")[-2]
    assert [one.place for one in find_sources([pattern])] == [str(tmp_path / "photos" / "monday" / "a.png")]


def test_a_name_with_brackets_is_a_file_first(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a[1].png")
    (source,) = find_sources([str(tmp_path / "a[1].png")])
    assert not source.listed


def test_without_the_extra_a_video_says_what_to_install(video, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r"pip install 'odinw-bench\[video\]'"):
        list(open_source(Source(str(video))))


def test_an_output_of_an_unknown_kind_is_refused(cli, pets, tmp_path):
    assert ".coco.json or .csv" in cli("predict", pets / "test", *WORDS, "--out", tmp_path / "x.xlsx").refused()


def test_a_run_and_options_that_contradict_it(cli, pets, tmp_path):
    from odinw_bench import RunSpec, run

    folder = run(RunSpec(dataset="packages", mode="zero-shot"), tmp_path / "r", device="cpu").folder
    photo, out = pets / "test" / "0.jpg", tmp_path / "o"
    for option, says in (
        (("--model", "glip-t"), "is of glip-nano: leave --model glip-t out"),
        (("--weights", "glip-nano-a"), "are not those that"),
        (("--lenient-weights",), "--lenient-weights"),
        (("--prompt", "cat"), "--prompt"),
    ):
        assert says in cli("predict", photo, "--run", folder, *option, "--out", out).refused()
    assert not out.exists()
    assert cli("predict", photo, "--run", folder, "--model", "glip-nano", "--out", out).code == 0
