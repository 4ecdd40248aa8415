"""The grids of ``odinw-bench run``: the one of the command's options, or those that a file lists under ``grids``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from odinw_bench.cli._config import GRIDS, grids_of
from odinw_bench.cli._options import parse_seeds, parse_shots, split_list, split_pairs
from odinw_bench.utils.paths import grids_folder

if TYPE_CHECKING:
    from odinw_bench.runs.grid import Grid

ALL_PAPER = "all-paper"
"""In place of a suite's name: the grids of ``grids/paper.yaml``."""


@dataclass(frozen=True)
class NamedGrid:
    """A grid and what it is for.

    Attributes:
        name: as the file calls it; empty: it is the only one.
        grid: what to run.
    """

    name: str
    grid: Grid


def named_grids(context: typer.Context, given: Mapping[str, Any]) -> list[NamedGrid]:
    """The grids to run.

    Args:
        context: of the command.
        given: the values of the options that make a grid, by the names of the command's parameters; those on the
            command line go before those of each grid in a file.

    Raises:
        InputError: a value is unusable.
    """
    listed: Sequence[tuple[str, Mapping[str, Any]]] = context.meta.get(GRIDS, ())
    spoken = {name for name in given if is_on_command_line(context, name)}
    if str(given["suite"]).lower() == ALL_PAPER:
        common, listed = grids_of(context, grids_folder() / "paper.yaml")
        given = {name: value if name in spoken else common.get(name, value) for name, value in given.items()}
        spoken -= {"suite"}
    if not listed:
        return [NamedGrid("", _grid(given))]
    return [
        NamedGrid(name, _grid(dict(given) | {key: value for key, value in values.items() if key not in spoken}))
        for name, values in listed
    ]


def is_on_command_line(context: typer.Context, name: str) -> bool:
    """Whether an option was given, and not left at its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _grid(given: Mapping[str, Any]) -> Grid:
    from odinw_bench.runs.grid import Grid

    attributes: Path | None = given["attributes"]
    return Grid(
        model=split_list(given["model"]),
        suite=given["suite"],
        dataset=split_list(given["dataset"]),
        mode=split_list(given["mode"]),
        shots=[parse_shots(text) for text in split_list(given["shots"])],
        seed=parse_seeds(split_list(given["seed"])),
        protocol=given["protocol"],
        weights=given["weights"],
        attributes=None if attributes is None else str(attributes),
        set=split_pairs(given["override"]),
        precision=given["precision"],
        eval_split=given["eval_split"],
        prompt_style=given["prompt_style"],
        retention=split_list(given["retention"]),
    )
