"""``odinw-bench profile``: speed and memory with and without fusion."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glip_core.errors import InputError
from odinw_bench.cli._console import console, number, print_json, table, write_line
from odinw_bench.cli._options import Debug, Device, Json, Listed, split_list

if TYPE_CHECKING:
    from odinw_bench.metrics.published import PublishedCost

app = typer.Typer()


@app.command()
def profile(
    model: Annotated[Listed, typer.Option("--model", help="Detectors, such as glip-t,glip-l,dyhead-t.")] = ["glip-t"],
    fusion: Annotated[Listed, typer.Option("--fusion", help="on, off, or both: on,off.")] = ["on", "off"],
    phase: Annotated[Listed, typer.Option("--phase", help="inference, training (a full-tuning step), or both.")] = [
        "inference"
    ],
    batch: Annotated[Listed, typer.Option("--batch", help="Images at a time: numbers.")] = ["1"],
    precision: Annotated[Listed, typer.Option("--precision", help="fp32, bf16, fp16.")] = ["fp32"],
    photo: Annotated[str, typer.Option("--photo", help="WIDTHxHEIGHT of the photo before resizing.")] = "1024x768",
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Passes that count, after one to warm up.")] = 10,
    device: Device = "auto",
    out: Annotated[Path, typer.Option("--out", help="Folder for profile.json and profile.png.")] = Path("profile"),
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Speed and memory with and without deep fusion, and where the time goes; the paper's Table 7 beside it.

    Weights are random (the cost is the same), so nothing is downloaded. Every setting runs in a process of its own.

    For example:

    ```
    odinw-bench profile --model glip-t --fusion on,off --precision fp32,bf16
    odinw-bench profile --model glip-t,glip-l --phase inference,training \
        --batch 1,8 --device cuda
    ```
    """
    from odinw_bench.profiling import ProfileSettings, profile_all
    from odinw_bench.utils.hardware import pick_device
    from odinw_bench.utils.io import write_json

    width, height = _photo(photo)
    where = pick_device(device)
    settings = [
        ProfileSettings(
            model=name,
            fusion=with_fusion,
            phase=what,
            batch=images,
            precision=kind,
            photo=(width, height),
            repeats=repeats,
            device=where,
        )
        for name, with_fusion, what, images, kind in _combinations(
            *map(split_list, (model, fusion, phase, batch, precision))
        )
    ]
    found = list(profile_all(settings, say=lambda text: write_line(text, file=sys.stderr, flush=True)))
    path = out / "profile.json"
    write_json(path, {"schema": 1, "kind": "profile", "measured": found})
    if any("error" not in row for row in found):
        from odinw_bench.profiling.figure import draw_stages

        draw_stages(found, out / "profile.png")
    if as_json:
        print_json(found)
    else:
        _print(found)
        write_line(f"written: {path}, {out / 'profile.png'}")
    raise typer.Exit(1 if any("error" in row for row in found) else 0)


def _photo(text: str) -> tuple[int, int]:
    """Width and height, pixels."""
    width, cross, height = text.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise InputError(f"--photo wants WIDTHxHEIGHT in pixels, such as 1024x768, not '{text}'")
    return int(width), int(height)


def _combinations(
    models: Sequence[str],
    fusion: Sequence[str],
    phases: Sequence[str],
    batches: Sequence[str],
    precisions: Sequence[str],
) -> list[tuple[str, bool, str, int, str]]:
    """Every combination once; a model without deep fusion has only the combinations without it."""
    from glip_core.config import get_config

    wrong = [text for text in batches if not text.isdecimal() or not int(text)]
    if wrong:
        raise InputError(f"--batch wants whole numbers of at least 1, not '{wrong[0]}'")
    unknown = [text for text in fusion if text not in ("on", "off")]
    if unknown:
        raise InputError(f"--fusion wants on, off or both, not '{unknown[0]}'")
    return list(
        dict.fromkeys(
            (model, state == "on" and get_config(model).fusion is not None, phase, int(batch), precision)
            for model, state, phase, batch, precision in product(models, fusion, phases, batches, precisions)
        )
    )


def _print(found: Sequence[Mapping[str, Any]]) -> None:
    """The numbers, the paper's beside them, and where the time goes."""
    good = [row for row in found if "error" not in row]
    numbers = ["FPS", "p50 ms", "p95 ms", "peak GB", "params M", "GFLOPs", "of matmul", "paper FPS", "paper GB"]
    columns = ["", *_SETTING, *numbers]
    rows = [[str(n), *_row(row)] for n, row in enumerate(good, start=1)]
    console().print(table(_title(good), columns, rows, numbers=numbers))
    for source in dict.fromkeys(paper.source for row in good if (paper := _paper(row))):
        write_line(source)
    stages = list(dict.fromkeys(name for row in good for name in (*row["stages"], *row["once"])))
    of_row = [str(n) for n in range(1, len(good) + 1)]
    rows = [[name, *(_stage(row, name) for row in good)] for name in stages]
    console().print(table("milliseconds a batch, by stage and row", ["stage", *of_row], rows, numbers=of_row))
    if any(row["settings"]["device"] != "cpu" for row in good):
        write_line("on a GPU the stages are shares, of slower passes that wait for it at their borders, of p50")
    write_line("decoding and resizing, not counted, run in the background beside a GPU; (in brackets): once a prompt")
    for row in found:
        if "error" in row:
            write_line(f"failed: {', '.join(_cells(row['settings']))}: {row['error']}", file=sys.stderr)


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
    measured = ", ".join(f"{precision} {rate:,.0f} GFLOP/s" for precision, rate in rates.items())
    return f"{here['device_name']}, threads: {here['threads']}; matrix product: {measured}"


def _cells(settings: Mapping[str, Any]) -> list[str]:
    fusion = "yes" if settings["fusion"] else "no"
    return [settings["model"], fusion, settings["phase"], str(settings["batch"]), settings["precision"]]


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds


def _paper(row: Mapping[str, Any]) -> PublishedCost | None:
    from odinw_bench.metrics.published import published_cost

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
