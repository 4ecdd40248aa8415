"""Files of public data sets over plain HTTP: which a suite needs, fetched, unpacked and listed in a manifest."""

from __future__ import annotations

import fnmatch
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import yaml

from glip_core.errors import InputError
from odinw_bench.datasets.download.archive import BrokenArchiveError, unpack
from odinw_bench.datasets.download.manifest import FOLDER, damage, manifest_path, read_manifest, write_manifest
from odinw_bench.datasets.download.place import put
from odinw_bench.datasets.download.resume import fetch, size_of
from odinw_bench.datasets.download.tar import unpack_tar
from odinw_bench.utils.locks import BusyError, exclusive

MIRROR_VARIABLE = "ODINW_DOWNLOAD_MIRROR"
"""A server to ask instead of the public ones: scheme and host, such as http://mirror.example:8080; paths stay."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class PublicFile:
    """A file that anyone may download.

    Attributes:
        name: short name.
        url: where it is.
        into: folder below the data root that it is put or unpacked into.
        licence: of what it holds, with the page that says so.
        bytes: its size as publicly known; None: not known.
        sha256: its hash as publicly known; None: not known.
        keep: patterns of the members to unpack; empty: all.
        flatten: members lose their folders.
    """

    name: str
    url: str
    into: str
    licence: str
    bytes: int | None = None
    sha256: str | None = None
    keep: tuple[str, ...] = ()
    flatten: bool = False

    @property
    def source(self) -> str:
        """The URL to ask: the public one, or the mirror's."""
        mirror = os.environ.get(MIRROR_VARIABLE)
        if not mirror:
            return self.url
        at, there = urlsplit(self.url), urlsplit(mirror)
        if there.scheme not in ("http", "https") or not there.netloc:
            raise InputError(f"{MIRROR_VARIABLE} must be scheme and host, such as http://mirror:8080, not '{mirror}'")
        return urlunsplit((there.scheme, there.netloc, at.path, at.query, ""))

    @property
    def file_name(self) -> str:
        """The last part of the URL."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class FetchedFile:
    """What became of one file.

    Attributes:
        name: its short name.
        outcome: ``downloaded`` or ``already here`` (its manifest agrees).
        folder: where what it holds lies.
    """

    name: str
    outcome: Literal["downloaded", "already here"]
    folder: Path


def has_public_files(suite: str) -> bool:
    """Whether a suite's data, or some of them, are public files."""
    return suite in _catalogue()["suites"]


def public_files(suite: str, parts: Sequence[str] = ("test",)) -> list[PublicFile]:
    """The files that a suite needs.

    Args:
        suite: one with :func:`has_public_files`.
        parts: ``test`` and ``train``: what testing and what tuning reads.

    Raises:
        InputError: the suite has no such part.
    """
    found = _catalogue()["suites"][suite]
    for part in parts:
        if part not in found:
            raise InputError(f"suite '{suite}' has no files for '{part}' to download; it has {' and '.join(found)}")
    names = dict.fromkeys(name for part in parts for name in found[part])
    return [_file(name, _catalogue()["files"][name]) for name in names]


def units_of(suite: str) -> list[str]:
    """What the manifests of a suite's public files are called; none where it has no such files."""
    parts = _catalogue()["suites"].get(suite, {}).values()
    return list(dict.fromkeys(f"public/{name}" for names in parts for name in names))


def by_hand(suite: str) -> str:
    """What of a suite's data cannot be downloaded, and how to get it; empty: nothing."""
    return str(_catalogue()["by_hand"].get(suite, ""))


def sizes(files: Sequence[PublicFile]) -> dict[str, int | None]:
    """Bytes to download by name: as publicly known, else as the server says; None where it does not."""
    return {file.name: file.bytes if file.bytes is not None else size_of(file.source) for file in files}


def is_here(file: PublicFile, data_root: Path) -> bool:
    """Whether a file was downloaded before and all that it held is still there.

    Raises:
        InputError: some of it is not.
    """
    manifest = read_manifest(data_root, _unit(file))
    if manifest is None:
        return False
    wrong = damage(data_root, manifest)
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise InputError(
            f"what '{file.name}' held is no longer whole: {wrong[0]}{more}; remove what was changed and "
            f"'{manifest_path(data_root, _unit(file))}', and download again"
        )
    return True


def download_file(file: PublicFile, data_root: Path, say: Say = lambda _: None) -> FetchedFile:
    """Bring what a file holds below the data root.

    What is half finished lies in ``.odinw-bench/`` there; the same call resumes with it. A manifest with the SHA-256 of
    every file is written last.

    Args:
        file: from :func:`public_files`.
        data_root: made where it is missing.
        say: called with a line of text at each step.

    Raises:
        InputError: the download failed or came broken, the disk is full, the archive is not safe, another process is
            at work on it, or a file of another content is in the way.
    """
    work = data_root / FOLDER
    work.mkdir(parents=True, exist_ok=True)
    folder = data_root / file.into
    try:
        with exclusive(manifest_path(data_root, _unit(file)).with_suffix(".lock")):
            if is_here(file, data_root):
                return FetchedFile(file.name, "already here", folder)
            say(f"{file.name}: fetching {file.source}")
            fetched = fetch(file.source, work / "downloads" / file.file_name, sha256=file.sha256)
            staged = work / f"unpacking-{file.name}"
            shutil.rmtree(staged, ignore_errors=True)
            say(f"{file.name}: unpacking into {folder}")
            try:
                members = _members(file, fetched.path, staged)
            except BrokenArchiveError:
                fetched.path.unlink(missing_ok=True)  # else the next try would take it for complete
                raise
            places = [folder / (path.name if file.flatten else path.relative_to(staged)) for path in members]
            put(dict(zip(members, places, strict=True)))
            facts = {"kind": "public", "url": file.url, "sha256": fetched.sha256, "licence": file.licence}
            write_manifest(data_root, _unit(file), facts, (path.relative_to(data_root) for path in places))
            shutil.rmtree(staged, ignore_errors=True)
            fetched.path.unlink(missing_ok=True)
            return FetchedFile(file.name, "downloaded", folder)
    except BusyError as error:
        raise InputError(f"'{file.name}': {error}") from error


def _members(file: PublicFile, archive: Path, staged: Path) -> list[Path]:
    """The files to keep, unpacked; a file that is no archive is its own only one."""
    if archive.name.endswith(".zip"):
        unpack(archive, staged)
    elif archive.name.endswith((".tar.gz", ".tgz", ".tar")):
        unpack_tar(archive, staged, keep=file.keep)
    else:
        staged.mkdir(parents=True)
        shutil.copyfile(archive, staged / archive.name)
    found = [path for path in sorted(staged.rglob("*")) if path.is_file()]
    kept = [path for path in found if _is_kept(path.relative_to(staged).as_posix(), file.keep)]
    if not kept:
        raise InputError(f"the archive of '{file.name}' holds none of {', '.join(file.keep) or 'the files expected'}")
    return kept


def _is_kept(name: str, keep: Sequence[str]) -> bool:
    return not keep or any(fnmatch.fnmatch(name, one) or fnmatch.fnmatch(name.rpartition("/")[2], one) for one in keep)


def _unit(file: PublicFile) -> str:
    return f"public/{file.name}"


def _file(name: str, content: dict[str, Any]) -> PublicFile:
    return PublicFile(name=name, **content | {"keep": tuple(content.get("keep", ()))})


@lru_cache(maxsize=1)
def _catalogue() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(
        (resources.files(__package__) / "public_files.yaml").read_text(encoding="utf-8")
    )
    return found
