"""Options that several commands share, and how lists of values are written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from glip_core.errors import InputError
from odinw_bench.datasets.task import BUILT_IN_SUITES
from odinw_bench.runs.spec import OFFICIAL_SEEDS, Shots

Listed = list[str]
SUITES = f"{', '.join(BUILT_IN_SUITES)}, or a folder"
"""What ``--suite`` takes, for its help."""

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def _file_first(context: typer.Context, option: typer.CallbackParam, value: Path | None) -> Path | None:
    """The value of a config file before that of the environment, which click prefers."""
    file = (context.default_map or {}).get(option.name)
    source = context.get_parameter_source(str(option.name))
    of_the_environment = source is not None and source.name == "ENVIRONMENT"
    return Path(file) if of_the_environment and file is not None else value


DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        help="Folder of the official data (holds Aquarium/, Raccoon/ ...).",
        envvar="ODINW_DATA_ROOT",
        callback=_file_first,
    ),
]
OwnData = Annotated[
    list[Path] | None,
    typer.Option(
        "--data", help="A folder of your own data sets that records are of, if they were moved; may be repeated."
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
LenientWeights = Annotated[
    bool,
    typer.Option(
        "--lenient-weights", help="Ignore names in the weights that the model has no use for, instead of refusing them."
    ),
]
Weights = Annotated[
    str | None,
    typer.Option("--weights", help="A .pth or .safetensors file, or another model's name. Default: the model's own."),
]


def split_list(values: Sequence[str]) -> list[str]:
    """The parts of list options: separated by commas, or the option given again."""
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def parse_shots(text: str) -> Shots:
    """Images per class: a number or ``all``.

    Raises:
        InputError: neither.
    """
    if text != "all" and not (text.isascii() and text.isdigit()):
        raise InputError(f"--shots wants numbers of images per class or 'all', not '{text}'")
    return "all" if text == "all" else int(text)


def parse_seeds(texts: Sequence[str]) -> list[int]:
    """Seeds; ``all`` stands for the official ones.

    Raises:
        InputError: one is no whole number.
    """
    seeds: list[int] = []
    for text in texts:
        if text != "all" and not text.isdecimal():
            raise InputError(f"--seed wants whole numbers or 'all', not '{text}'")
        seeds += list(OFFICIAL_SEEDS) if text == "all" else [int(text)]
    return seeds


def split_pairs(values: Sequence[str]) -> dict[str, str]:
    """``NAME=VALUE`` parts of list options.

    Raises:
        InputError: a part without ``=`` or name, or a name twice.
    """
    pairs = {}
    for text in split_list(values):
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise InputError(f"--set wants NAME=VALUE, not '{text}'")
        if name.strip() in pairs:
            raise InputError(f"--set gives '{name.strip()}' twice; a grid has one value of it")
        pairs[name.strip()] = value.strip()
    return pairs
