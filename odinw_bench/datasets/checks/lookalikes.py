"""One picture in two splits though its file differs: other metadata, encoded again, or resized."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

METADATA = "same picture in two splits, other metadata"
ENCODED = "same picture in two splits, encoded again"
RESIZED = "same picture in two splits, resized"

_BITS = 12
"""Of the 64 bits of two hashes, how many may differ for a closer look."""
_ENCODED, _RESIZED = (2.7, 28), (5.0, 48)
"""How far thumbnails of one picture may differ, of 255: in the mean, and in any cell.

Measured on drawn scenes and photos: copies of JPEG quality 25 reach 2.6 and 26, those at half the size 4.2
and 40; different drawn scenes of one task have at least 9.9 and 69.
"""
_CONTRAST = 8.0
"""Standard deviation of a thumbnail below which a picture counts as blank: blank frames all look alike."""
_CHUNK = 1 << 22


@dataclass(frozen=True)
class _Print:
    """What is kept of a picture: 0.8 kB."""

    name: str
    size: tuple[int, int]
    pixels: int  # checksum of the decoded pixels
    signs: NDArray[np.int8]  # difference hash, (64,), -1 for a bit that is not set
    thumbnail: NDArray[np.uint8]  # (16, 16, 3)


class Lookalikes:
    """Collects pictures of several splits, and finds those of one split that look like one of another."""

    def __init__(self) -> None:
        self._prints: dict[str, list[_Print]] = {}

    def add(self, split: str, name: str, picture: Image) -> None:
        """One more picture (RGB); blank ones are passed over."""
        from PIL.Image import Resampling

        small = picture.resize((72, 64), Resampling.BOX, reducing_gap=2.0)
        thumbnail = np.asarray(small.resize((16, 16), Resampling.BOX), dtype=np.uint8)
        if thumbnail.mean(axis=2).std() < _CONTRAST:
            return
        grey = np.asarray(small.convert("L").resize((9, 8), Resampling.BOX), dtype=np.int16)
        brighter = grey[:, 1:] - grey[:, :-1] > 2  # not 0: noise would decide in even regions
        signs = np.where(brighter, 1, -1).astype(np.int8).ravel()
        one = _Print(name, picture.size, zlib.crc32(picture.tobytes()), signs, thumbnail)
        self._prints.setdefault(split, []).append(one)

    def found(self, drawn: Mapping[str, str] = MappingProxyType({})) -> Iterator[tuple[str, str, str, str, str]]:
        """(kind, split, name, other split, name there) of each picture that looks like one of an earlier split.

        All are compared with all: 20,000 with 80,000 take about 7 seconds on one core.

        Args:
            drawn: from splits to those that they are subsets of by design, with which they are not compared.
        """
        for first, second in combinations(self._prints, 2):
            if drawn.get(second) == first or drawn.get(first) == second:
                continue
            earlier, later = self._prints[first], self._prints[second]
            exact = {(one.size, one.pixels): one for one in reversed(earlier)}
            for one, near in zip(later, _nearest(later, earlier), strict=True):
                other = exact.get((one.size, one.pixels), near)
                if other is not None:
                    yield _kind(one, other), second, one.name, first, other.name


def _nearest(prints: list[_Print], others: list[_Print]) -> Iterator[_Print | None]:
    """For each picture the one it may be a copy of.

    Of those with nearly its hash the nearest in brightness is looked at closely: only one, since with a fixed camera
    all pictures have nearly the same hash.
    """
    signs = np.array([one.signs for one in others], dtype=np.float32).T
    levels = np.array([_brightness(one) for one in others], dtype=np.float32).T
    squares = (levels**2).sum(axis=0)
    rows = max(1, _CHUNK // len(others))
    for start in range(0, len(prints), rows):
        some = prints[start : start + rows]
        agreement = np.array([one.signs for one in some], dtype=np.float32) @ signs  # equal bits minus unequal ones
        distance = np.array([_brightness(one) for one in some], dtype=np.float32) @ levels
        distance *= -2
        distance += squares
        distance[agreement < 64 - 2 * _BITS] = np.inf
        for row, (one, j) in enumerate(zip(some, distance.argmin(axis=1).tolist(), strict=True)):
            apart = np.abs(one.thumbnail.astype(np.int16) - others[j].thumbnail)
            mean, most = _ENCODED if one.size == others[j].size else _RESIZED
            same = np.isfinite(distance[row, j]) and apart.mean() <= mean and apart.max() <= most
            yield others[j] if same else None


def _brightness(one: _Print) -> NDArray[np.float32]:
    """8 x 8 mean levels, flat."""
    return one.thumbnail.reshape(8, 2, 8, 2, 3).mean(axis=(1, 3, 4), dtype=np.float32).ravel()


def _kind(one: _Print, other: _Print) -> str:
    if one.size != other.size:
        return RESIZED
    return METADATA if one.pixels == other.pixels else ENCODED
