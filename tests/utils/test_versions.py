"""Whether files are still the same."""

from __future__ import annotations

import os

from odinw_bench.utils.versions import path_version


def test_a_version_changes_with_the_files_of_a_folder(tmp_path):
    (tmp_path / "a").write_text("one")
    seen = [path_version(tmp_path)]
    assert path_version(tmp_path) == seen[0]
    (tmp_path / "b").touch()
    seen.append(path_version(tmp_path))
    facts = (tmp_path / "a").stat()
    (tmp_path / "new").write_text("two")
    os.utime(tmp_path / "new", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    (tmp_path / "new").replace(tmp_path / "a")  # as long, and written at the same time as it says
    seen.append(path_version(tmp_path))
    (tmp_path / "b").rename(tmp_path / "c")
    seen.append(path_version(tmp_path))
    assert len(set(seen)) == len(seen)


def test_a_path_is_one_of_the_working_directory(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").symlink_to(__file__)
    monkeypatch.chdir(tmp_path / "a")
    first = path_version("x")
    monkeypatch.chdir(tmp_path / "b")
    assert path_version("x") != first and path_version("x")[1:] == first[1:]


def test_what_is_no_path_has_a_version_all_the_same(tmp_path):
    (tmp_path / "broken").symlink_to(tmp_path / "none")
    assert len(path_version(tmp_path)) == 1
    for name in (tmp_path / "none", "~nobody/x", "x" * 5000, "a\0b"):
        assert len(path_version(name)) == 1
