"""Boxes on pictures."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Sequence
from itertools import groupby

from PIL import Image, ImageDraw, ImageFont

from glip_core.detection.labels import place_labels
from glip_core.types import Detections

_SMALLEST = 640  # pixels of the longer side, below which pictures may be enlarged


def class_colour(label: int) -> tuple[int, int, int]:
    """A colour per class: neighbouring labels lie far apart on the colour wheel."""
    hue = (0.33 + label * 0.618034) % 1.0
    red, green, blue = colorsys.hls_to_rgb(hue, 0.45 + 0.12 * (label // 7 % 2), 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_detections(
    photo: Image.Image, found: Detections, names: Sequence[str], *, enlarge: bool = False
) -> Image.Image:
    """A copy of a photo with its detections, the best on top.

    No label covers another: where there is no room for all, those of the lowest scores are left out, never their boxes.

    Args:
        photo: RGB.
        found: boxes in the photo's pixels, the best first.
        names: name of each label.
        enlarge: make pictures with less than 640 pixels on the longer side a whole number of times as large, so that
            there is room for labels.
    """
    picture, scale = _enlarged(photo) if enlarge else (photo.convert("RGB").copy(), 1)
    pen = ImageDraw.Draw(picture)
    longest = max(picture.size)
    line, font = max(1 if longest < 300 else 2, longest // 400), _font(longest)
    order = list(zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True))
    for (x1, y1, x2, y2), _, label in reversed(order):
        corners = (x1 * scale, y1 * scale, (x2 + 1) * scale - 1, (y2 + 1) * scale - 1)
        pen.rectangle(corners, outline=class_colour(label), width=line)
    texts = [_fitting(f"{names[label]} {score:.2f}", font, picture.width - 6) for _, score, label in order]
    bounds = [pen.textbbox((0, 0), text, font=font) for text in texts]
    places = place_labels(
        [(x1 * scale, y1 * scale, (x2 + 1) * scale, (y2 + 1) * scale) for (x1, y1, x2, y2), _, _ in order],
        [(right - left + 6, bottom - top + 6) for left, top, right, bottom in bounds],
        picture.size,
    )
    for (_, _, label), text, (left, top, _, _), place in zip(order, texts, bounds, places, strict=True):
        if place is None:
            continue
        colour = class_colour(label)
        pen.rectangle((place[0], place[1], place[2] - 1, place[3] - 1), fill=colour)  # PIL's corners are inclusive
        pen.text((place[0] + 3 - left, place[1] + 3 - top), text, font=font, fill=_readable_on(colour))
    return picture


def draw_phrases(
    photo: Image.Image, found: Detections, sentence: str, phrases: Sequence[Sequence[tuple[int, int]]]
) -> Image.Image:
    """A copy of a photo with the boxes of a sentence's phrases, and the sentence below it in the same colours.

    Args:
        photo: RGB.
        found: boxes in the photo's pixels; labels are positions in ``phrases``.
        sentence: what the phrases are of.
        phrases: the character spans of each; where two overlap the later one colours the words.
    """
    names = [" ".join(sentence[start:end] for start, end in spans) for spans in phrases]
    drawn = draw_detections(photo, found, names)
    longest = max(drawn.size)
    font = _font(longest, times=1.4)
    colours: list[int | None] = [None] * len(sentence)
    for label, spans in enumerate(phrases):
        for start, end in spans:
            colours[start:end] = [label] * (end - start)
    height, margin = round(1.7 * font.size), round(0.6 * font.size)
    lines: list[list[tuple[float, str, int | None]]] = [[]]
    x = float(margin)
    for word in re.finditer(r"\S+\s*", sentence):
        pieces = _pieces(word.group(), colours[word.start() : word.end()])
        if x + font.getlength(word.group().rstrip()) > drawn.width - margin and lines[-1]:
            lines.append([])
            x = float(margin)
        for text, owner in pieces:
            lines[-1].append((x, text, owner))
            x += font.getlength(text)
    sheet = Image.new("RGB", (drawn.width, drawn.height + height * len(lines) + 2 * margin), "white")
    sheet.paste(drawn)
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        top = drawn.height + margin + number * height
        for left, text, owner in line:
            if owner is not None:
                pen.rectangle((left, top, left + font.getlength(text), top + 0.85 * height), fill=class_colour(owner))
            fill = "black" if owner is None else _readable_on(class_colour(owner))
            pen.text((left, top + 0.15 * height), text, font=font, fill=fill)
    return sheet


def _pieces(word: str, labels: Sequence[int | None]) -> list[tuple[str, int | None]]:
    """A word with the blanks after it, cut where the phrase changes."""
    return [
        ("".join(character for character, _ in group), label)
        for label, group in groupby(zip(word, labels, strict=True), key=lambda pair: pair[1])
    ]


def _enlarged(photo: Image.Image) -> tuple[Image.Image, int]:
    """A copy in which labels can be read, and how many times as large it is."""
    scale = max(1, -(-_SMALLEST // max(photo.size)))
    picture = photo.convert("RGB")
    if scale > 1:
        picture = picture.resize((photo.width * scale, photo.height * scale), Image.Resampling.LANCZOS)
    return picture, scale


def _font(longest: int, times: float = 1.0) -> ImageFont.FreeTypeFont:
    """The built-in font for a picture whose longer side has so many pixels."""
    font = ImageFont.load_default(times * max(13, longest // 60))
    assert isinstance(font, ImageFont.FreeTypeFont)  # of a given size it always is
    return font


def _fitting(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """A label of at most so many pixels: a long name loses its end, never its score."""
    name, _, score = text.rpartition(" ")
    while len(name) > 1 and font.getlength(f"{name} {score}") > width:
        name = f"{name.rstrip('…')[:-1]}…" if len(name.rstrip("…")) > 1 else "…"
        if name == "…":
            break
    return f"{name} {score}"


def _readable_on(colour: tuple[int, int, int]) -> str:
    return "black" if 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 140 else "white"
