"""Searches for prompts and recipes: what each found on the images it saw and on the test split, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odinw_bench.report.document import Cell, Column, Figure, Section, Table, number_cell, text_cell
from odinw_bench.report.drawing import COLOURS, MARKERS, compose, legend_below
from odinw_bench.report.others import check_search, find_content
from odinw_bench.utils.escape import for_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_PANELS = 15


def find_searches(results: Path, notes: list[str]) -> list[dict[str, Any]]:
    """What ``odinw-bench search`` left below the results folder, sorted by place.

    Args:
        results: the folder.
        notes: gets a line for each that cannot be read, with the reason.
    """
    return find_content(results, "search/**/search.json", "search", check_search, notes)


def search_section(searches: Sequence[Mapping[str, Any]]) -> Section | None:
    """A row and a panel for each search."""
    if not searches:
        return None
    tables = [
        make([one for one in searches if one["space"] == space])
        for space, make in (("prompt", _prompt_table), ("tuning", _recipe_table))
        if any(one["space"] == space for one in searches)
    ]
    figures = [history_figure(searches)]
    return Section("searches", "Searches for prompts and recipes", _earned(searches), tables=tables, figures=figures)


def _earned(searches: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which words of the best prompts earned their place, a paragraph for each search that left some out."""
    found = []
    for search in searches:
        words = search.get("single_words") if search["space"] == "prompt" else None
        simplest = search["prompts"].get("simplest") if words else None
        if not words or simplest is None:
            continue
        kept, gone = ([str(one["word"]) for one in words if one["kept"] is kept] for kept in (True, False))
        fewer, best = (number_cell(one["test_AP"]).text for one in (simplest, search["prompts"]["best found"]))
        found.append(
            f"{_name(search)}: words that earned their place on the labelled images: {', '.join(kept) or 'none'}; "
            f"left out: {', '.join(gone)}. Test AP without these {fewer}, with all {best}."
        )
    return found


_WHAT = [*(Column(name) for name in ("model", "suite", "task")), Column("shots", numeric=True)]


def _prompt_table(searches: Sequence[Mapping[str, Any]]) -> Table:
    columns = [
        *_WHAT,
        Column("tried", numeric=True, hint="prompts"),
        Column("names, seen", numeric=True, hint="AP of the plain names on the labelled images"),
        Column("best, seen", numeric=True, hint="AP of the best prompt on the labelled images: it was chosen on them"),
        Column("shuffled labels", numeric=True, hint="what the same search gains with shuffled labels: a control"),
        Column("names", numeric=True, hint="AP of the plain names on the test split"),
        Column("hand-written", numeric=True, hint="AP of the hand-written prompt on the test split"),
        Column("best found", numeric=True, hint="AP of the best prompt on the test split"),
        Column("gain", numeric=True, hint="best found minus names, on the test split"),
        Column("best prompt"),
    ]
    rows = [_row(search) for search in searches]
    if len(rows) > 1 and len({(one["spec"]["model"], one["spec"]["suite"]) for one in searches}) == 1:
        rows.append(_mean_row(rows))
    return Table(
        "searches",
        "Prompt searches: AP in percent on the labelled images and on the test split",
        columns,
        rows,
        ["The test split was looked at once, for each of these prompts, after the search."],
    )


def _mean_row(rows: Sequence[Sequence[Cell]]) -> list[Cell]:
    """Means of the columns of AP that every search has."""
    cells = [text_cell("") for _ in rows[0]]
    cells[2] = text_cell(f"mean of {len(rows)}")
    for place in range(5, 12):
        values = [row[place].value for row in rows]
        numbers = [value for value in values if isinstance(value, int | float)]
        if len(numbers) == len(rows):
            cells[place] = number_cell(sum(numbers) / len(numbers), sign=place in (7, 11))
    return cells


def _recipe_table(searches: Sequence[Mapping[str, Any]]) -> Table:
    columns = [
        *_WHAT,
        Column("mode"),
        Column("tried", numeric=True, hint="recipes"),
        Column("protocol, seen", numeric=True, hint="AP with the protocol's recipe on the validation images"),
        Column("best, seen", numeric=True, hint="AP with the best recipe on the validation images: chosen on them"),
        Column("protocol", numeric=True, hint="AP with the protocol's recipe on the test split"),
        Column("best found", numeric=True, hint="AP with the best recipe on the test split"),
        Column("gain", numeric=True, hint="best found minus protocol, on the test split"),
        Column("best recipe"),
    ]
    rows = []
    for search in searches:
        spec, base, best = search["spec"], search["recipes"]["the protocol's"], search["recipes"]["best found"]
        rows.append(
            [
                *_what(spec),
                text_cell(str(spec["mode"])),
                number_cell(len(search["trials"]), 0),
                number_cell(base["search_AP"]),
                number_cell(best["search_AP"]),
                number_cell(base["test_AP"]),
                number_cell(best["test_AP"]),
                number_cell(_gain(base, best), sign=True),
                text_cell(", ".join(f"{name} {value:g}" for name, value in best["overrides"].items())),
            ]
        )
    title = "Searches for hyper-parameters: AP in percent on the validation images and on the test split"
    notes = ["The test split was looked at once, for the two recipes, after the search."]
    return Table("recipes", title, columns, rows, notes)


def _what(spec: Mapping[str, Any]) -> list[Cell]:
    return [text_cell(str(spec[name])) for name in ("model", "suite", "dataset", "shots")]


def _gain(base: Mapping[str, Any], best: Mapping[str, Any]) -> float | None:
    return None if best["test_AP"] is None or base["test_AP"] is None else best["test_AP"] - base["test_AP"]


def _row(search: Mapping[str, Any]) -> list[Cell]:
    spec, prompts = search["spec"], search["prompts"]
    plain, best = prompts["plain names"], prompts["best found"]
    written = prompts.get("hand-written")
    control = search.get("shuffled_control", search.get("luck"))  # "luck" in records of earlier versions
    return [
        *_what(spec),
        number_cell(len(search["trials"]), 0),
        number_cell(plain["search_AP"]),
        number_cell(best["search_AP"]),
        number_cell(control["gain"] if control else None, sign=True),
        number_cell(plain["test_AP"]),
        number_cell(written["test_AP"] if written else None),
        number_cell(best["test_AP"]),
        number_cell(_gain(plain, best), sign=True),
        text_cell(str(best.get("caption", ""))),
    ]


def history_figure(searches: Sequence[Mapping[str, Any]]) -> Figure:
    """A panel for each search: every prompt tried, the best so far, and the prompts that were given."""
    shown = searches[:_MOST_PANELS]
    draws = [(_name(search), partial(_draw, search=search)) for search in shown]
    more = f" The first {len(shown)} of {len(searches)} searches." if len(shown) < len(searches) else ""
    alt = "; ".join(f"{name}: from {line[0][1]:.1f} to {line[-1][1]:.1f}" for name, line in map(_line, shown) if line)
    caption = f"Search history: AP of all that was tried on the images to search on, and the best so far.{more}"
    return compose("searches", caption, f"Scatter charts of AP by trial. Best so far: {alt}", draws)


def _line(search: Mapping[str, Any]) -> tuple[str, list[tuple[int, float]]]:
    best, line = float("-inf"), []
    for trial in search["trials"]:
        if trial["AP"] is not None:
            best = max(best, trial["AP"])
            line.append((trial["number"] + 1, best))
    return _name(search), line


def _name(search: Mapping[str, Any]) -> str:
    spec = search["spec"]
    what = f"{spec['mode']}, " if search["space"] == "tuning" else ""
    return f"{spec['dataset']}, {what}{spec['shots']} shots"


def _draw(axes: Axes, search: Mapping[str, Any]) -> None:
    tried = [(trial["number"] + 1, trial["AP"]) for trial in search["trials"] if trial["AP"] is not None]
    axes.scatter([number for number, _ in tried], [ap for _, ap in tried], s=9, color="#0072B2", label="tried")
    line = _line(search)[1]
    axes.step(
        [number for number, _ in line], [ap for _, ap in line], where="post", color="#D55E00", label="best so far"
    )
    given = [trial for trial in search["trials"] if trial.get("given") and trial["AP"] is not None]
    for place, trial in enumerate(given):
        axes.plot(
            trial["number"] + 1,
            trial["AP"],
            marker=MARKERS[(place + 1) % len(MARKERS)],
            color=COLOURS[(place + 2) % len(COLOURS)],
            markersize=8,
            linestyle="",
            label=for_figure(str(trial["given"])),
        )
    low, high = min((ap for _, ap in tried), default=0.0), max((ap for _, ap in tried), default=1.0)
    margin = max(0.08 * (high - low), 0.5)  # to the data: what a search changes may be a fraction of its AP
    axes.set_ylim(max(low - margin, 0 if low >= margin else -margin), high + margin)
    axes.set_xlabel("trial")
    axes.set_ylabel("AP, percent")
    axes.grid(alpha=0.25)
    legend_below(axes, axes.get_legend_handles_labels()[0], points=34)
