"""Where ``predict`` takes its pictures from: files, folders, patterns, addresses, videos and cameras."""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from glip_core.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".heic", ".heif")
"""Ends of names that are taken for pictures in a folder or by a pattern, in lower case."""

VIDEOS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv", ".ogv")
"""Likewise for videos, wherever they come from."""

CAMERA = "camera:"
_PICTURE_ADDRESSES = ("http://", "https://")
_ADDRESSES = (*_PICTURE_ADDRESSES, "rtsp://", "rtsps://")


@dataclass(frozen=True)
class Source:
    """One thing to look at.

    Attributes:
        place: path, address, or :data:`CAMERA` with a number or name.
        listed: it was found in a folder or by a pattern, and not named by the user.
    """

    place: str
    listed: bool = False

    @property
    def moves(self) -> bool:
        """A video or camera: several pictures."""
        return self.place.startswith((CAMERA, "rtsp://", "rtsps://")) or _suffix(self.place) in VIDEOS

    @property
    def stem(self) -> str:
        """A name for files made of it."""
        if self.place.startswith(CAMERA):
            return "camera-" + "".join(letter if letter.isalnum() else "-" for letter in self.place[len(CAMERA) :])
        if self.place.startswith(_ADDRESSES):
            return PurePosixPath(unquote(urlsplit(self.place).path)).stem.replace("\x00", "") or "picture"
        return Path(self.place).stem


@dataclass(frozen=True)
class Photo:
    """A picture that is looked at.

    Attributes:
        image: RGB.
        source: where it is from.
        frame: number of the frame from 0; None: a still picture.
        seconds: since the beginning of the video or of looking through the camera.
    """

    image: Image
    source: Source
    frame: int | None = None
    seconds: float | None = None

    @property
    def name(self) -> str:
        """For files made of it; the same for pictures of one name in two folders."""
        return self.source.stem if self.frame is None else f"{self.source.stem}-{self.frame:06d}"

    def to_json(self) -> dict[str, Any]:
        """Where it is from."""
        from glip_core.errors import without_passwords

        place = self.source.place
        shown = without_passwords(place.split("?", 1)[0]) if place.startswith(_ADDRESSES) else place
        when = {} if self.frame is None else {"frame": self.frame, "seconds": self.seconds}
        return {"image": shown, **when}


def find_sources(given: Sequence[str]) -> list[Source]:
    """What there is to look at, folders and patterns listed in the order of their names; nothing is opened.

    Args:
        given: files, folders (their own pictures and videos, not those of folders in them), patterns such as
            ``"photos/**/*.jpg"``, addresses, ``camera:0``.

    Raises:
        InputError: a file is not there, or a folder or pattern has no pictures.
    """
    found = []
    for text in given:
        path = Path(text)
        if text.startswith((CAMERA, *_ADDRESSES)):
            found.append(Source(text))
        elif path.is_dir():
            inside = [str(one) for one in sorted(path.iterdir()) if _shows(one)]
            if not inside:
                deeper = any(one.is_dir() for one in path.iterdir())
                hint = f"; for those of folders in it give the pattern '{path / '**' / '*'}'" if deeper else ""
                kinds = ", ".join(PICTURES[:4])
                raise InputError(f"the folder '{text}' has no pictures ({kinds} ...) or videos in it{hint}")
            found += [Source(one, listed=True) for one in inside]
        elif path.is_file():
            found.append(Source(text))
        elif any(letter in text for letter in "*?["):
            matches = [one for one in sorted(glob.glob(text, recursive=True)) if _shows(Path(one))]  # noqa: PTH207
            if not matches:
                raise InputError(f"no picture or video is named like '{text}'")
            found += [Source(one, listed=True) for one in matches]
        else:
            raise InputError(f"image '{text}' not found")
    return found


def open_source(source: Source, every: float = 1.0, most: int | None = None) -> Iterator[Photo]:
    """The pictures of a source.

    Args:
        source: what to open.
        every: of videos and cameras, seconds between two pictures; 0: every frame.
        most: pictures of a video or camera; None: to its end.

    Raises:
        InputError: it cannot be opened or decoded.
    """
    if source.moves:
        yield from _frames(source, every, most)
        return
    from glip_core.images import load_image

    place = source.place if source.place.startswith(_PICTURE_ADDRESSES) else Path(source.place)
    yield Photo(load_image(place), source)


def _frames(source: Source, every: float, most: int | None) -> Iterator[Photo]:
    try:
        import av
    except ImportError as error:
        raise InputError("videos and cameras need PyAV: pip install 'odinw-bench[video]'") from error

    place, kind = _device(source.place) if source.place.startswith(CAMERA) else (source.place, None)
    try:
        with closing(av.open(place, format=kind)) as opened:
            if not opened.streams.video:
                raise InputError(f"'{source.place}' has no pictures in it, only sound")
            stream = opened.streams.video[0]
            stream.thread_type = "AUTO"
            rate = float(stream.average_rate or 25)
            first, due, given = None, 0.0, 0
            for number, frame in enumerate(opened.decode(stream)):
                clock = frame.time if frame.time is not None else number / rate
                first = clock if first is None else first
                seconds = clock - first
                if seconds + 1e-6 < due:
                    continue
                due = max(due + every, seconds) if every else 0.0
                # A phone stores what it filmed upright as turned frames, and by how far to turn them back.
                picture = frame.to_image()
                turned = picture.rotate(frame.rotation, expand=True) if getattr(frame, "rotation", 0) else picture
                yield Photo(turned.convert("RGB"), source, number, round(seconds, 3))
                given += 1
                if given == most:
                    return
            if first is None:
                raise InputError(f"'{source.place}' has no picture in it")
    except (av.FFmpegError, ValueError, OSError) as error:
        if isinstance(error, InputError):
            raise
        what = "camera" if kind else "video"
        raise InputError(f"{what} '{source.place}' cannot be read: {error}") from error


def _device(place: str) -> tuple[str, str]:
    """The file and format by which FFmpeg knows a camera on this system."""
    name = place[len(CAMERA) :] or "0"
    if sys.platform == "darwin":
        return name, "avfoundation"
    if sys.platform == "win32":
        return f"video={name}", "dshow"
    return (f"/dev/video{name}" if name.isdecimal() else name), "v4l2"


def _suffix(place: str) -> str:
    path = urlsplit(place).path if place.startswith(_ADDRESSES) else place
    return PurePosixPath(path).suffix.lower()


def _shows(path: Path) -> bool:
    return path.suffix.lower() in PICTURES + VIDEOS and not path.name.startswith(".") and path.is_file()
