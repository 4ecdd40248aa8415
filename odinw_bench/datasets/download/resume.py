"""A file over HTTP, resumed where an earlier download was cut off. Neither a key nor a token is ever sent."""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from glip_core.errors import InputError
from glip_core.files import file_sha256

_CHUNK = 1 << 20
_TIMEOUT = 60.0
_AGENT = {"User-Agent": "odinw-bench"}


@dataclass(frozen=True)
class FetchedURL:
    """A downloaded file.

    Attributes:
        path: where it lies.
        sha256: its hash, as computed here.
    """

    path: Path
    sha256: str


def size_of(url: str) -> int | None:
    """The size in bytes that a server says a file has; None: it does not say, or cannot be reached."""
    try:
        request = urllib.request.Request(url, method="HEAD", headers=_AGENT)
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            length = answer.headers.get("Content-Length")
    except (OSError, HTTPException, ValueError):
        return None
    return int(length) if length and length.isdecimal() else None


def whole(path: Path, *, sha256: str | None, size: int | None) -> str | None:
    """The hash of a file that an earlier try brought and that is complete; None: it is missing or another one.

    Args:
        path: where it would lie.
        sha256: what its hash must be; None: not known, and its size decides.
        size: in bytes; None: not known.
    """
    if not path.is_file() or (sha256 is None and size is None):
        return None
    if size is not None and path.stat().st_size != size:
        return None
    found = file_sha256(path)
    return found if sha256 in (None, found) else None


def fetch(url: str, path: Path, *, sha256: str | None = None) -> FetchedURL:
    """Download a file, or the rest of what an earlier try left as ``PATH.part``.

    A complete file of an earlier try is kept: by its hash, or where that is not known by the size the server says.

    Args:
        url: ``http`` or ``https``.
        path: where to.
        sha256: what its hash must be; None: not known.

    Raises:
        InputError: the server cannot be reached, refuses or stops, the disk is full, or the hash is another one; the
            message says how to continue.
    """
    if not url.startswith(("http://", "https://")):
        raise InputError(f"'{url}' is no http address")
    here = whole(path, sha256=sha256, size=size_of(url) if sha256 is None and path.is_file() else None)
    if here is not None:
        return FetchedURL(path, here)
    part = path.with_name(f"{path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        _rest(url, part)
    except (OSError, HTTPException) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"could not download {url}: {reason[:300]}; the same command resumes where it stopped"
        ) from error
    found = file_sha256(part)
    if sha256 is not None and found != sha256:
        part.unlink()
        raise InputError(f"{url} came broken: its SHA-256 is {found}, it should be {sha256}; try again")
    part.replace(path)
    return FetchedURL(path, found)


def _rest(url: str, part: Path) -> None:
    """What of a file is not here yet.

    Raises:
        OSError: the connection ended too early, or the disk is full.
    """
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers=_AGENT | ({"Range": f"bytes={have}-"} if have else {}))
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left to ask for, if the server agrees on the size
            if error.headers.get("Content-Range", "").rpartition("/")[2] == str(have):
                return
            part.unlink()
            raise OSError("the server has another file now") from error
        raise
    with answer:
        resumed = answer.status == 206
        if not resumed:
            have = 0  # the server starts over
        length = answer.headers.get("Content-Length")
        wanted = have + int(length) if length and length.isdecimal() else None
        if wanted is not None:
            free = shutil.disk_usage(part.parent).free
            if wanted - have > free:
                raise OSError(f"it takes {wanted - have:,} bytes and '{part.parent}' has {free:,} free")
        with part.open("ab" if resumed else "wb") as stream:
            shutil.copyfileobj(answer, stream, _CHUNK)
    if wanted is not None and part.stat().st_size < wanted:
        raise OSError(f"the connection ended after {part.stat().st_size:,} of {wanted:,} bytes")
