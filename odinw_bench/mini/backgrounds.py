"""What is behind the objects, and what the camera makes of it all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Canvas = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Background:
    """Two colours that a pattern mixes.

    Attributes:
        low, high: RGB, 0..255.
        pattern: ``clouds``, ``down`` (a vertical gradient), ``across`` (wide bands), ``lines`` or ``grain``.
        grain: amplitude of fine noise.
    """

    low: tuple[int, int, int]
    high: tuple[int, int, int]
    pattern: str
    grain: float = 4.0


BACKGROUNDS: Mapping[str, Background] = {
    "studio": Background((176, 178, 182), (216, 216, 214), "down", 2),
    "wall": Background((196, 178, 150), (218, 202, 178), "clouds", 3),
    "water": Background((18, 66, 104), (78, 168, 192), "down", 3),
    "sea": Background((40, 92, 122), (74, 128, 150), "clouds", 7),
    "road": Background((88, 88, 90), (116, 115, 112), "clouds", 11),
    "grass": Background((74, 116, 58), (124, 152, 84), "clouds", 9),
    "forest": Background((52, 46, 30), (98, 92, 58), "clouds", 10),
    "sand": Background((196, 172, 126), (222, 204, 164), "clouds", 6),
    "table": Background((150, 112, 76), (178, 140, 100), "lines", 3),
    "porch": Background((156, 150, 142), (190, 184, 176), "across", 3),
    "street": Background((112, 122, 134), (176, 186, 198), "down", 4),
    "night": Background((16, 18, 30), (44, 46, 62), "clouds", 5),
    "cold": Background((34, 34, 34), (78, 78, 78), "clouds", 5),
    "snow": Background((214, 220, 228), (240, 242, 246), "clouds", 3),
    "room": Background((150, 130, 128), (196, 184, 176), "across", 3),
}


def smooth_noise(rng: np.random.Generator, height: int, width: int, cells: int) -> Canvas:
    """Low-frequency noise in 0..1, ``[height, width]``."""
    coarse = Image.fromarray(rng.integers(0, 256, (cells, cells), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.float32) / 255


def paint_background(kind: str, height: int, width: int, rng: np.random.Generator) -> Canvas:
    """An empty scene, float ``[height, width, 3]`` in 0..255."""
    style = BACKGROUNDS[kind]
    noise = smooth_noise(rng, height, width, 6)
    down = np.linspace(1, 0, height, dtype=np.float32)[:, None]
    if style.pattern == "clouds":
        mix = noise
    elif style.pattern == "down":
        mix = np.clip(down * 0.8 + noise * 0.3, 0, 1)
    elif style.pattern == "across":
        horizon = rng.uniform(0.35, 0.7)
        mix = np.where(down < horizon, 0.2, 0.8).astype(np.float32) + noise * 0.2
    else:
        phases = np.linspace(0, rng.uniform(40, 60), height).tolist()
        # math.sin: numpy's rounds differently from processor to processor
        rows = np.array([math.sin(phase) for phase in phases], np.float32)[:, None]
        mix = 0.5 + 0.25 * rows + noise * 0.25
    low, high = np.array(style.low, np.float32), np.array(style.high, np.float32)
    canvas = low + mix[..., None] * (high - low)
    grain = rng.integers(-128, 128, (height, width, 1), dtype=np.int16).astype(np.float32) / 74
    return canvas + grain * np.float32(style.grain)


@dataclass(frozen=True)
class Camera:
    """What happens to a finished scene.

    Attributes:
        brightness, contrast: factors.
        tint: RGB factors.
        thermal: grey values, warm things bright.
        blur: radius in pixels.
    """

    brightness: float = 1.0
    contrast: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    thermal: bool = False
    blur: float = 0.0


def develop(canvas: Canvas, camera: Camera) -> Image.Image:
    """The canvas as the camera sees it."""
    if camera.thermal:
        # Not a matrix product: how those round depends on the processor.
        grey = canvas[..., 0] * 0.299 + canvas[..., 1] * 0.587 + canvas[..., 2] * 0.114
        canvas = np.repeat(grey[..., None], 3, axis=2)
    else:
        canvas = canvas * np.array(camera.tint, np.float32)
    canvas = (canvas - 128) * np.float32(camera.contrast) + np.float32(128 * camera.brightness)
    image = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(camera.blur)) if camera.blur > 0 else image
