"""Public files over HTTP: sizes and licences are said first, downloads resume, archives are unpacked safely."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from glip_core.errors import InputError
from odinw_bench.datasets.download import public
from odinw_bench.datasets.download.tar import unpack_tar
from tests.datasets.download import standin


@pytest.fixture
def server(monkeypatch):
    with standin.serving() as running:
        monkeypatch.setenv(public.MIRROR_VARIABLE, running.url)
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.setenv("no_proxy", "*")
        yield running


@pytest.fixture
def coco(server, monkeypatch):
    """The two files that testing on COCO needs, in small; their public hashes are those of the small ones."""
    noise = os.urandom(3 << 20)
    held = {
        "coco-annotations": standin.packed(
            {"annotations/instances_val2017.json": b"{}", "annotations/captions_val2017.json": b"{}"}
        ),
        "coco-val2017": standin.packed({"val2017/000000000139.jpg": noise}),
    }
    known = {}
    for name, content in held.items():
        known[name] = public._catalogue()["files"][name] | {"sha256": hashlib.sha256(content).hexdigest()}
    catalogue = public._catalogue()
    changed = catalogue | {"files": catalogue["files"] | known}
    monkeypatch.setattr(public, "_catalogue", lambda: changed)
    server.files["/annotations/annotations_trainval2017.zip"] = held["coco-annotations"]
    server.files["/zips/val2017.zip"] = held["coco-val2017"]
    return held


def test_every_file_of_every_suite_is_known():
    catalogue = public._catalogue()
    for suite, parts in catalogue["suites"].items():
        for part in parts:
            for file in public.public_files(suite, [part]):
                assert file.url.startswith("http")
                assert file.licence
    used = {name for parts in catalogue["suites"].values() for names in parts.values() for name in names}
    assert used == set(catalogue["files"])


def test_nothing_begins_without_a_yes(cli, coco, server, tmp_path):
    answer = cli("data", "download", "--suite", "coco", "--data-root", tmp_path)
    assert answer.code == 2
    said = answer.err.splitlines()
    assert "coco-annotations: 0.25 GB" in said[0]
    assert "CC BY 4.0" in said[0]
    assert "coco-val2017: 0.82 GB" in said[1]
    assert "Flickr's terms" in said[1]
    assert said[-1] == "error: nothing was downloaded: agree to the sizes and licences above with --yes"
    assert not server.asked
    assert not list(tmp_path.iterdir())


def test_the_files_of_coco(cli, coco, server, tmp_path):
    command = ("data", "download", "--suite", "coco", "--data-root", tmp_path, "--yes")
    answer = cli(*command)
    assert answer.code == 0, answer.err
    assert (tmp_path / "coco/annotations/instances_val2017.json").is_file()
    assert not (tmp_path / "coco/annotations/captions_val2017.json").exists()
    picture = tmp_path / "coco/val2017/000000000139.jpg"
    assert picture.stat().st_size == 3 << 20
    manifest = json.loads((tmp_path / ".odinw-bench/public--coco-val2017.json").read_text())
    name = "coco/val2017/000000000139.jpg"
    assert manifest["files"][name]["sha256"] == hashlib.sha256(picture.read_bytes()).hexdigest()
    assert not list((tmp_path / ".odinw-bench").rglob("*.zip"))
    asked = len(server.asked)
    assert "already here" in cli(*command).out
    assert len(server.asked) == asked  # nothing is asked of the network
    picture.unlink()
    assert "no longer whole" in cli(*command).refused()


def test_a_data_root_in_ones_home(cli, coco, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    answer = cli("data", "download", "--suite", "coco", "--data-root=~/data", "--yes")
    assert answer.code == 0, answer.err
    assert (tmp_path / "home/data/coco/val2017").is_dir()
    assert not (tmp_path / "~").exists()


def test_a_cut_download_resumes_where_it_stopped(coco, server, tmp_path):
    file = public.public_files("coco")[1]
    server.cut_after = 1 << 20
    with pytest.raises(InputError, match="resumes where it stopped"):
        public.download_file(file, tmp_path)
    assert not (tmp_path / "coco").exists()
    server.cut_after, server.out_of_order = None, False
    server.asked.clear()
    assert public.download_file(file, tmp_path).outcome == "downloaded"
    assert [wanted for _, _, wanted in server.asked] == [f"bytes={1 << 20}-"]


@pytest.mark.parametrize("hash_known", [True, False])
def test_a_complete_download_is_not_fetched_again(coco, server, tmp_path, monkeypatch, hash_known):
    file = public.public_files("coco")[1]
    file = file if hash_known else replace(file, sha256=None)
    with monkeypatch.context() as patched:
        patched.setattr(public, "unpack", lambda *_: (_ for _ in ()).throw(InputError("the disk is full")))
        with pytest.raises(InputError, match="the disk is full"):
            public.download_file(file, tmp_path)
    server.asked.clear()
    assert public.download_file(file, tmp_path).outcome == "downloaded"
    assert [method for method, *_ in server.asked] == ([] if hash_known else ["HEAD"])
    assert (tmp_path / "coco/val2017/000000000139.jpg").stat().st_size == 3 << 20


def test_a_download_of_another_size_or_broken_is_fetched_again(coco, server, tmp_path):
    file = replace(public.public_files("coco")[1], sha256=None)
    whole = server.files["/zips/val2017.zip"]
    server.files["/zips/val2017.zip"] = b"no archive"
    with pytest.raises(InputError, match="is broken"):
        public.download_file(file, tmp_path)
    server.files["/zips/val2017.zip"] = whole
    (tmp_path / ".odinw-bench/downloads/val2017.zip").write_bytes(b"of another size")
    assert public.download_file(file, tmp_path).outcome == "downloaded"


def test_files_of_the_users_own_are_not_overwritten(coco, server, tmp_path):
    pictures = public.public_files("coco")[1]
    public.download_file(pictures, tmp_path)
    (tmp_path / ".odinw-bench/public--coco-val2017.json").unlink()
    picture = tmp_path / "coco/val2017/000000000139.jpg"
    before = picture.stat()
    assert public.download_file(pictures, tmp_path).outcome == "downloaded"
    assert (picture.stat().st_ino, picture.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert public.is_here(pictures, tmp_path)
    annotations = tmp_path / "coco/annotations/instances_val2017.json"
    annotations.parent.mkdir()
    annotations.write_text("my own")
    with pytest.raises(InputError, match=r"instances_val2017.json' is in the way.*move it away"):
        public.download_file(public.public_files("coco")[0], tmp_path)
    assert annotations.read_text() == "my own"
    annotations.unlink()
    annotations.parent.rmdir()
    annotations.parent.write_text("a file in place of the folder")
    with pytest.raises(InputError, match="cannot be written"):
        public.download_file(public.public_files("coco")[0], tmp_path)


def test_a_folder_on_another_disk(coco, server, tmp_path, monkeypatch):
    rename = Path.replace

    def replace_within(path, target):
        if ("unpacking-" in str(path)) and "unpacking-" not in str(target):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", replace_within)
    assert public.download_file(public.public_files("coco")[1], tmp_path).outcome == "downloaded"
    assert [path.name for path in (tmp_path / "coco/val2017").iterdir()] == ["000000000139.jpg"]


def test_another_content_is_refused(coco, server, tmp_path):
    server.files["/zips/val2017.zip"] += b"x"
    with pytest.raises(InputError, match="came broken"):
        public.download_file(public.public_files("coco")[1], tmp_path)
    assert not (tmp_path / "coco").exists()
    assert not list((tmp_path / ".odinw-bench").rglob("*.part"))


def tar(members: dict[str, bytes], link: str = "") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        if link:
            entry = tarfile.TarInfo(link)
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(entry)
    return stream.getvalue()


def test_the_annotations_of_mdetr_and_what_is_by_hand(cli, server, tmp_path):
    inside = {f"OpenSource/{name}": b"{}" for name in ("final_flickr_separateGT_test.json", "gqa_train.json")}
    server.files["/records/4729015/files/mdetr_annotations.tar.gz"] = tar(inside, "OpenSource/final_flickr_x.json")
    answer = cli("data", "download", "--suite", "flickr30k", "--data-root", tmp_path, "--yes")
    assert answer.code == 0, answer.err
    assert [path.name for path in (tmp_path / "mdetr_annotations").iterdir()] == ["final_flickr_separateGT_test.json"]
    assert "on request only" in answer.err
    assert "unknown" not in answer.err  # the server said its size


def test_unsafe_and_broken_tar_archives(tmp_path):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(tar({"../out.json": b"{}"}))
    with pytest.raises(InputError, match="outside its folder"):
        unpack_tar(path, tmp_path / "a")
    assert not (tmp_path / "out.json").exists()
    path.write_bytes(tar({"a.json": b"{}" * 100}))
    with pytest.raises(InputError, match="too large"):
        unpack_tar(path, tmp_path / "b", limit=10)
    path.write_bytes(tar({"a.json": os.urandom(4000)})[:2000])
    with pytest.raises(InputError, match="is broken"):
        unpack_tar(path, tmp_path / "c")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--suite", "coco", "--part", "val"), "suite 'coco' has no files for 'val'"),
        (("--suite", "flickr30k", "--part", "train"), "has no files for 'train'"),
        (("--suite", "odinw13", "--part", "train"), "--part is for other suites"),
    ],
)
def test_bad_input(cli, arguments, words, tmp_path):
    assert words in cli("data", "download", *arguments, "--data-root", tmp_path).refused()


def test_a_mirror_that_is_no_address(cli, monkeypatch, tmp_path):
    monkeypatch.setenv(public.MIRROR_VARIABLE, "ftp:there")
    answer = cli("data", "download", "--suite", "coco", "--data-root", tmp_path, "--yes")
    assert "must be scheme and host" in answer.refused()
