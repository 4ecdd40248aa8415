"""Prompt searches: what each found, on the images it saw and on the test split, and how it came there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odinw_bench.report.document import Cell, Column, Figure, Section, Table, number_cell, text_cell
from odinw_bench.report.figures import compose
from odinw_bench.report.load import find_content

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_PANELS = 15
_KEYS = ("spec", "prompts", "trials")


def find_searches(results: Path) -> list[dict[str, Any]]:
    """What ``odinw-bench search`` left below the results folder, sorted by place; foreign files are passed over."""
    found = find_content(results, "search/**/search.json", "search")
    return [content for content in found if all(key in content for key in _KEYS)]


def search_section(searches: Sequence[Mapping[str, Any]]) -> Section | None:
    """A row and a panel for each search."""
    if not searches:
        return None
    columns = [
        *(Column(name) for name in ("model", "suite", "task")),
        Column("shots", numeric=True),
        Column("tried", numeric=True, hint="prompts"),
        Column("names, seen", numeric=True, hint="AP of the plain names on the labelled images"),
        Column("best, seen", numeric=True, hint="AP of the best prompt on the labelled images: it was chosen on them"),
        Column("luck", numeric=True, hint="what the same search gains where labels mean nothing"),
        Column("names", numeric=True, hint="AP of the plain names on the test split"),
        Column("hand-written", numeric=True, hint="AP of the hand-written prompt on the test split"),
        Column("best found", numeric=True, hint="AP of the best prompt on the test split"),
        Column("gain", numeric=True, hint="best found minus names, on the test split"),
        Column("best prompt"),
    ]
    table = Table(
        "searches",
        "Prompt searches: AP in percent on the labelled images and on the test split",
        columns,
        [_row(search) for search in searches],
        ["The test split was looked at once, for the three prompts, after the search."],
    )
    return Section("searches", "Prompt searches", tables=[table], figures=[history_figure(searches)])


def _row(search: Mapping[str, Any]) -> list[Cell]:
    spec, prompts = search["spec"], search["prompts"]
    plain, best = prompts["plain names"], prompts["best found"]
    written, luck = prompts.get("hand-written"), search.get("luck")
    gain = None if best["test_AP"] is None or plain["test_AP"] is None else best["test_AP"] - plain["test_AP"]
    return [
        text_cell(str(spec["model"])),
        text_cell(str(spec["suite"])),
        text_cell(str(spec["dataset"])),
        text_cell(str(spec["shots"])),
        number_cell(len(search["trials"]), 0),
        number_cell(plain["search_AP"]),
        number_cell(best["search_AP"]),
        number_cell(luck["gain"] if luck else None, sign=True),
        number_cell(plain["test_AP"]),
        number_cell(written["test_AP"] if written else None),
        number_cell(best["test_AP"]),
        number_cell(gain, sign=True),
        text_cell(str(best.get("caption", ""))),
    ]


def history_figure(searches: Sequence[Mapping[str, Any]]) -> Figure:
    """A panel for each search: every prompt tried, the best so far, and the prompts that were given."""
    shown = searches[:_MOST_PANELS]
    draws = [(_name(search["spec"]), partial(_draw, search=search)) for search in shown]
    more = f" The first {len(shown)} of {len(searches)} searches." if len(shown) < len(searches) else ""
    alt = "; ".join(f"{name}: from {line[0][1]:.1f} to {line[-1][1]:.1f}" for name, line in map(_line, shown) if line)
    caption = f"Search history: each prompt's AP on the labelled images, and the best so far.{more}"
    return compose("searches", caption, f"Scatter charts of AP by trial. Best so far: {alt}", draws)


def _line(search: Mapping[str, Any]) -> tuple[str, list[tuple[int, float]]]:
    best, line = float("-inf"), []
    for trial in search["trials"]:
        if trial["AP"] is not None:
            best = max(best, trial["AP"])
            line.append((trial["number"] + 1, best))
    return _name(search["spec"]), line


def _name(spec: Mapping[str, Any]) -> str:
    return f"{spec['dataset']}, {spec['shots']} shots"


def _draw(axes: Axes, search: Mapping[str, Any]) -> None:
    tried = [(trial["number"] + 1, trial["AP"]) for trial in search["trials"] if trial["AP"] is not None]
    axes.scatter([number for number, _ in tried], [ap for _, ap in tried], s=9, color="#0072B2", label="a prompt")
    line = _line(search)[1]
    axes.step(
        [number for number, _ in line], [ap for _, ap in line], where="post", color="#D55E00", label="best so far"
    )
    for trial in search["trials"]:
        if trial.get("given") and trial["AP"] is not None:
            axes.annotate(
                trial["given"],
                (trial["number"] + 1, trial["AP"]),
                xytext=(8, 6),  # above: the plain names are often at 0
                textcoords="offset points",
                fontsize=7,
                arrowprops={"arrowstyle": "-", "lw": 0.5},
            )
    axes.set_ylim(bottom=0)
    axes.set_xlabel("trial")
    axes.set_ylabel("AP, percent")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=7, frameon=False)
