"""``odinw-bench profile``: speed and memory with and without fusion."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from glip_core import InputError
from glip_core.config import get_config
from odinw_bench.commands.output import console, number, print_json, table
from odinw_bench.metrics.published import PublishedCost, published_cost
from odinw_bench.profiling import ProfileSettings, profile_all
from odinw_bench.utils.hardware import pick_device
from odinw_bench.utils.io import write_json


@dataclass(frozen=True)
class ProfileArguments:
    """What the command line gives."""

    models: Sequence[str]
    fusion: Sequence[str]
    phases: Sequence[str]
    batches: Sequence[str]
    precisions: Sequence[str]
    photo: str
    repeats: int
    device: str
    out: Path
    as_json: bool


def command(arguments: ProfileArguments) -> int:
    """Measure, print, and write ``profile.json`` and ``profile.png``."""
    settings = _settings(arguments)
    found = list(profile_all(settings, say=lambda text: print(text, file=sys.stderr, flush=True)))
    path = arguments.out / "profile.json"
    write_json(path, {"schema": 1, "kind": "profile", "measured": found})
    if any("error" not in row for row in found):
        from odinw_bench.profiling.figure import draw_stages

        draw_stages(found, arguments.out / "profile.png")
    if arguments.as_json:
        print_json(found)
    else:
        _print(found)
        print(f"written: {path}, {arguments.out / 'profile.png'}")
    return 1 if any("error" in row for row in found) else 0


def _settings(arguments: ProfileArguments) -> list[ProfileSettings]:
    width, cross, height = arguments.photo.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise InputError(f"--photo wants WIDTHxHEIGHT in pixels, such as 1024x768, not '{arguments.photo}'")
    wrong = [text for text in arguments.batches if not text.isdecimal() or not int(text)]
    if wrong:
        raise InputError(f"--batch wants whole numbers of at least 1, not '{wrong[0]}'")
    unknown = [text for text in arguments.fusion if text not in ("on", "off")]
    if unknown:
        raise InputError(f"--fusion wants on, off or both, not '{unknown[0]}'")
    device = pick_device(arguments.device)
    made = []
    for model, fusion, phase, batch, precision in product(
        arguments.models, arguments.fusion, arguments.phases, arguments.batches, arguments.precisions
    ):
        with_fusion = fusion == "on" and get_config(model).fusion is not None
        one = ProfileSettings(
            model=model,
            fusion=with_fusion,
            phase=phase,
            batch=int(batch),
            precision=precision,
            photo=(int(width), int(height)),
            repeats=arguments.repeats,
            device=device,
        )
        if one not in made:
            made.append(one)
    return made


def _print(found: Sequence[Mapping[str, Any]]) -> None:
    """The numbers, the paper's beside them, and where the time goes."""
    good = [row for row in found if "error" not in row]
    numbers = ["FPS", "p50 ms", "p95 ms", "peak GB", "params M", "GFLOPs", "of matmul", "paper FPS", "paper GB"]
    columns = ["", *_SETTING, *numbers]
    rows = [[str(n), *_row(row)] for n, row in enumerate(good, start=1)]
    console().print(table(_title(good), columns, rows, numbers=numbers))
    for source in dict.fromkeys(paper.source for row in good if (paper := _paper(row))):
        print(source)
    stages = list(dict.fromkeys(name for row in good for name in (*row["stages"], *row["once"])))
    of_row = [str(n) for n in range(1, len(good) + 1)]
    rows = [[name, *(_stage(row, name) for row in good)] for name in stages]
    console().print(table("milliseconds a batch, by stage and row", ["stage", *of_row], rows, numbers=of_row))
    print("decoding and resizing, not counted, run in the background beside a GPU; (in brackets): once a prompt")
    for row in found:
        if "error" in row:
            print(f"failed: {', '.join(_cells(row['settings']))}: {row['error']}", file=sys.stderr)


_SETTING = ("model", "fusion", "phase", "batch", "precision")


def _stage(row: Mapping[str, Any], name: str) -> str:
    if name in row["once"]:
        return f"({1000 * row['once'][name]:.1f})"
    return number(_ms(row["stages"].get(name)))


def _title(good: Sequence[Mapping[str, Any]]) -> str:
    if not good:
        return "nothing could be measured"
    here = good[0]["environment"]
    rates: dict[str, float] = {}
    for row in good:
        precision = row["settings"]["precision"]
        rates[precision] = max(rates.get(precision, 0.0), row["matmul_gflops_per_second"])
    told = ", ".join(f"{precision} {rate:,.0f} GFLOP/s" for precision, rate in rates.items())
    return f"{here['device_name']}, threads: {here['threads']}; matrix product: {told}"


def _cells(settings: Mapping[str, Any]) -> list[str]:
    fusion = "yes" if settings["fusion"] else "no"
    return [settings["model"], fusion, settings["phase"], str(settings["batch"]), settings["precision"]]


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds


def _paper(row: Mapping[str, Any]) -> PublishedCost | None:
    settings = row["settings"]
    return published_cost(settings["model"], settings["phase"], fusion=settings["fusion"])


def _row(row: Mapping[str, Any]) -> list[str]:
    share, paper = row["share_of_matmul"], _paper(row)
    return [
        *_cells(row["settings"]),
        number(row["images_per_second"], 2),
        number(_ms(row["seconds"]["p50"]), 0),
        number(_ms(row["seconds"]["p95"]), 0),
        number(row["peak_memory_bytes"] / 1e9, 2),
        number(row["parameters"] / 1e6, 1),
        number(row["gflops"]),
        "-" if share is None else f"{share:.0%}",
        number(paper.images_per_second if paper else None, 2),
        number(paper.gigabytes if paper else None, 1),
    ]
