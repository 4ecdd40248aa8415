"""Objects, backgrounds and scenes: exact boxes, order of painting, the words for looks."""

from __future__ import annotations

import numpy as np
import pytest

from glip_core.errors import InputError
from odinw_bench.mini.backgrounds import BACKGROUNDS, Camera
from odinw_bench.mini.draw import COLOURS, SHAPES, TEXTURES, Look, parse_look, stamp
from odinw_bench.mini.scenes import Scene, Wish, compose, generator
from odinw_bench.mini.world import COMMON, describe

STILL = np.zeros(3, np.float32)


def scene_of(wishes: list[Wish], seed: object, *, camera: Camera | None = None, overlap: float = 0.2) -> Scene:
    return compose(
        wishes,
        background="snow",
        size=(160, 120),
        camera=camera or Camera(),
        rng=generator("test", seed),
        turn=0.4,
        overlap=overlap,
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_a_box_is_the_extent_of_the_pixels_that_were_drawn(shape: str) -> None:
    for seed in range(6):
        wish = Wish(parse_look(f"black {shape}"), "it", 12.0 + 14 * seed)
        empty = np.asarray(scene_of([], seed).image, float).mean(2)
        drawn = scene_of([wish], seed)
        # The same seed paints the same background, so the object is what differs, and by how much its coverage.
        coverage = (empty - np.asarray(drawn.image, float).mean(2)) / (empty - np.mean(COLOURS["black"]))
        rows, columns = np.flatnonzero((coverage > 0.4).any(1)), np.flatnonzero((coverage > 0.4).any(0))
        (thing,) = drawn.things
        assert thing.box == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)


def test_what_lies_behind_keeps_its_whole_box_and_what_is_hidden_has_none() -> None:
    back, front = Wish(parse_look("red square"), "back", 60.0), Wish(parse_look("blue square"), "front", 60.0)
    partly = hidden = 0
    for seed in range(40):
        alone = scene_of([back], seed).things[0]
        scene = scene_of([back, front], seed, overlap=1.0)
        boxes = {thing.key: thing.box for thing in scene.things}
        assert "front" in boxes
        if "back" in boxes:
            assert boxes["back"] == alone.box
            partly += boxes["front"][0] < alone.box[2] and alone.box[0] < boxes["front"][2]
        else:
            hidden += 1
    assert partly
    assert hidden


def test_things_without_room_are_left_out() -> None:
    wishes = [Wish(COMMON["cat"], f"cat {i}", 70.0) for i in range(12)]
    scene = scene_of(wishes, 0, overlap=0.0)
    assert 1 <= len(scene.things) < 12
    assert scene.things[0].key == "cat 0"
    centres = [((x1 + x2) / 2, (y1 + y2) / 2) for x1, y1, x2, y2 in (thing.box for thing in scene.things)]
    assert all(max(abs(a - c), abs(b - d)) > 50 for i, (a, b) in enumerate(centres) for c, d in centres[:i])


@pytest.mark.parametrize("look", [*COMMON.values(), *(parse_look(f"red {shape}") for shape in SHAPES)], ids=str)
def test_nothing_of_a_look_is_cut_off(look: Look) -> None:
    for size, angle in ((10.0, 0.0), (60.0, 0.0), (60.0, 0.8), (125.0, 2.0)):
        _, coverage = stamp(look, size, angle, STILL)
        rows, columns = np.flatnonzero(coverage.any(1)), np.flatnonzero(coverage.any(0))
        assert rows[0] > 0 and columns[0] > 0 and rows[-1] < len(coverage) - 1 and columns[-1] < len(coverage) - 1
        if angle == 0.0:
            assert 0.7 * size <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 1.35 * size + 2


def test_stamps_have_the_colours_of_their_words() -> None:
    for colour, value in COLOURS.items():
        colours, coverage = stamp(parse_look(f"{colour} round"), 30.0, 0.0, STILL)
        assert np.allclose(colours[coverage == 1], value, atol=0.01)
    for texture in TEXTURES:
        colours, coverage = stamp(parse_look(f"red {texture} square"), 40.0, 0.0, STILL)
        shades = np.unique(colours[coverage == 1].round(), axis=0)
        assert (len(shades) == 1) == (texture == "plain")


def test_a_turned_square_is_wider() -> None:
    look = parse_look("red square")
    straight = stamp(look, 40.0, 0.0, STILL)[1]
    turned = stamp(look, 40.0, np.pi / 4, STILL)[1]
    assert turned.any(0).sum() > 1.3 * straight.any(0).sum()
    assert abs(turned.sum() - straight.sum()) < 0.03 * straight.sum()


def test_a_thermal_camera_sees_no_colour() -> None:
    wish = Wish(parse_look("red checkered star"), None, 60.0)
    pixels = np.asarray(scene_of([wish], 1, camera=Camera(thermal=True)).image)
    assert (np.ptp(pixels, axis=2) == 0).all()
    assert np.ptp(np.asarray(scene_of([wish], 1).image), axis=2).max() > 100


def test_brightness_and_blur() -> None:
    wish = Wish(parse_look("black checkered square"), None, 60.0)
    plain, dark, soft = (
        np.asarray(scene_of([wish], 2, camera=camera).image, float)
        for camera in (Camera(), Camera(brightness=0.7), Camera(blur=2.0))
    )
    assert dark.mean() < plain.mean() - 20
    assert np.abs(np.diff(soft, axis=1)).mean() < 0.5 * np.abs(np.diff(plain, axis=1)).mean()


def test_backgrounds_can_be_told_apart() -> None:
    means = {}
    for kind in BACKGROUNDS:
        scene = compose([], background=kind, size=(64, 48), camera=Camera(), rng=generator(kind))
        assert (scene.image.size, scene.image.mode, scene.things) == ((64, 48), "RGB", ())
        means[kind] = tuple(np.asarray(scene.image).mean((0, 1)).round(-1))
    assert len(set(means.values())) >= len(means) - 3


def test_looks_in_words() -> None:
    look = parse_look("gray dotted diamond; black round @ 0.5 0 0.2 0.1")
    assert look.words() == ("gray", "dotted", "diamond")
    assert describe(look) == ["gray", "dotted", "diamond shaped"]
    assert describe(parse_look("red round")) == ["red", "round"]
    part = look.parts[1]
    assert (part.x, part.y, part.w, part.h) == (0.5, 0.0, 0.2, 0.1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mauve ring", "unknown word 'mauve'; colours: red,"),
        ("red", "needs a colour and a shape"),
        ("red ring @ 1 2", "wants four numbers"),
        ("red ring @ 0 0 1 wide", "wants four numbers"),
        ("red ring @ 0 0 0 1", "half sizes must be positive"),
        ("red blue ring", "two colours"),
    ],
)
def test_bad_looks(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_look(text)


def test_generators_depend_on_the_values_alone() -> None:
    assert generator("a", 1).integers(1 << 30) == generator("a", 1).integers(1 << 30)
    assert generator("a", 1).integers(1 << 30) != generator("a", 2).integers(1 << 30)
