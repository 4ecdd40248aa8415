"""Labelled pictures to write in all forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.datasets.forms.writers import Picture


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def some_pictures(folder: Path, count: int = 10) -> list[Picture]:
    """Pictures of noise, of two classes."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    pictures = []
    for i in range(count):
        path = folder / f"photo {i}.jpg"
        Image.fromarray(random.integers(0, 255, (24, 32 + i, 3), dtype=np.uint8)).save(path)
        boxes = [(i % 2, 3.0, 4.0, 10.0, 12.0), (0, 1.25, 2.5, 20.0, 8.0)][: 1 + i % 2]
        pictures.append((path.name, path, 32 + i, 24, boxes))
    return pictures


@pytest.fixture
def pictures(tmp_path) -> list[Picture]:
    return some_pictures(tmp_path / "source")
