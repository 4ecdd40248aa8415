"""Figures whose texts and marks are one artist: all of them are there, in their places, within the picture."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image

from odinw_bench.report.averages import split_suites
from odinw_bench.report.drawing import compose, label_grid, legend_below, scatter_marks, write_numbers
from odinw_bench.report.figures import shot_curves
from odinw_bench.report.load import load_runs
from odinw_bench.report.outlines import outline
from tests.report import made

COLUMNS, ROWS = ["a long name of a column", "b", " "], ["first", "second row", "third", "fourth"]


def test_names_of_a_grid_are_within_the_picture():
    def draw(axes):
        axes.imshow(np.zeros((len(ROWS), len(COLUMNS))), aspect="auto")
        label_grid(axes, COLUMNS, ROWS)
        write_numbers(axes, [(x, y, f"{x}{y}", "white") for x in range(3) for y in range(4)])

    figure = compose("grid", "", "", [("grid", draw)], on_page=False)
    picture = np.asarray(Image.open(io.BytesIO(figure.png)))
    assert picture.shape[2] == 3
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert (edge == 255).all()  # nothing reaches the border
    left = picture[:, : picture.shape[1] // 12]
    assert (left < 128).any()  # names left of the grid
    assert (picture[-picture.shape[0] // 12 :] < 128).any()  # and below it
    assert figure.svg.count("<use ") == 3 * 4 + 2 + 4 + len("grid")  # and a glyph of the title each


def test_a_text_that_is_turned_ends_at_its_place():
    _, box = outline("name", 8, centred=False, degrees=60)
    assert box.x1 <= 8
    assert box.y0 < 0 < box.y1 <= 8
    _, middle = outline("name", 8, centred=True)
    assert np.allclose([middle.x0 + middle.x1, middle.y0 + middle.y1], 0, atol=1e-9)


def test_marks_keep_order_colour_and_kind():
    marks = [(0, 0, 50, "#0072B2", "o"), (1, 1, 80, "#D55E00", "s"), (2, 0, 20, "#009E73", "o")]
    figure = compose("marks", "", "", [("marks", lambda axes: scatter_marks(axes, marks))])
    ((_, svg),) = figure.panels
    assert [colour.lower() for colour in re.findall(r"fill: (#0072b2|#d55e00|#009e73)", svg)] == [
        colour.lower() for *_, colour, _ in marks
    ]
    empty = compose("none", "", "", [("none", lambda axes: scatter_marks(axes, []))])
    assert empty.panels


def test_axes_over_a_long_legend_are_as_high_as_over_a_short_one():
    def height(entries: int) -> float:
        from matplotlib.lines import Line2D

        def draw(axes):
            legend_below(axes, [Line2D([], [], label=f"line {n}") for n in range(entries)], points=20)
            drawn.append(axes)

        drawn: list = []
        compose("legend", "", "", [("one", draw), ("two", draw)])
        *_, axes = drawn
        figure = axes.get_figure()
        return figure.get_size_inches()[1] * axes.get_position().height

    # Four lines more, for each of which the room is right to some hundredths of an inch; without it: 0.75 less.
    assert height(12) == pytest.approx(height(4), abs=0.1)


@pytest.mark.parametrize(("modes", "bands"), [(4, True), (5, False)])
def test_intervals_of_many_curves_are_not_drawn_over_each_other(tmp_path, modes, bands):
    for mode in ("prompt", "linear", "full", "bias", "lora")[:modes]:
        for shots in (1, 5):
            for seed, dataset in ((3, "packages"), (30, "packages"), (3, "raccoon"), (30, "raccoon")):
                spec = made.spec(dataset, mode=mode, shots=shots, seed=seed)
                made.write(tmp_path, made.record(spec, made.metrics(50.0 + shots + seed / 10)))
    (suite,) = split_suites(load_runs(tmp_path))
    figure = shot_curves(suite)
    assert figure is not None
    assert ("Bands: 95 % interval" in figure.caption) is bands
    ((_, svg),) = figure.panels
    assert ("FillBetween" in svg) is bands
