"""``odinw-bench run --profile-official``: what runs would use on every real task, on one screen."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from glip_core.errors import InputError
from odinw_bench.cli._console import print_json, write_line

if TYPE_CHECKING:
    from odinw_bench.runs.grid import Grid

_SUITES = ("odinw13", "odinw35")


def print_official(grid: Grid, *, as_json: bool) -> None:
    """Print the profile of a grid's one model, mode, number of shots and seed.

    Raises:
        InputError: the grid has several of one of them, or a model that is no full-size preset.
    """
    from glip_core.config import PRESETS
    from odinw_bench.runs.official import official_profile
    from odinw_bench.runs.spec import RunSpec

    for name in ("model", "mode", "shots", "seed"):
        if len(getattr(grid, name)) != 1:
            raise InputError(f"--profile-official shows one {name} at a time, not {len(getattr(grid, name))}")
    model = "glip-t" if grid.model[0] == "glip-nano" else grid.model[0]  # the default of the command is the miniature
    if model not in PRESETS or PRESETS[model].family != "official":
        full = ", ".join(name for name, preset in PRESETS.items() if preset.family == "official")
        raise InputError(f"--profile-official is about the official models, not '{model}'; there are {full}")
    profiles = [
        official_profile(
            RunSpec(
                "",
                model=model,
                suite=suite,
                mode=grid.mode[0],
                shots=grid.shots[0],
                seed=grid.seed[0],
                protocol=grid.protocol,
                weights=grid.weights,
                attributes=grid.attributes,
                overrides=grid.set,
                precision=grid.precision,
                eval_split=grid.eval_split,
                prompt_style=grid.prompt_style,
            )
        )
        for suite in ([grid.suite] if grid.suite in _SUITES else _SUITES)
    ]
    if as_json:
        print_json([asdict(profile) for profile in profiles])
        return
    write_line("; ".join(f"{name} {_text(value)}" for name, value in profiles[0].shared.items()))
    for profile in profiles:
        write_line("")
        write_line(
            f"{profile.suite}: official task file, prompt, caption; its folder below the data root, and files in it"
        )
        for one in profile.tasks:
            write_line(f"{one.config} ({one.prompt}): {one.caption}")
            write_line(f"    {_files([one.train, one.validation, one.test])}")


def _files(named: list[str]) -> str:
    """Annotation files with the folder that they share named once."""
    splits = [text.partition(": ")[::2] for text in named if text]
    folder = os.path.commonpath([str(PurePosixPath(path).parent) for _, path in splits if path] or [""])
    inside = [f"{split} {path.removeprefix(folder).lstrip('/')}".strip() for split, path in splits]
    return f"{folder}: " + "; ".join(inside)


def _text(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
