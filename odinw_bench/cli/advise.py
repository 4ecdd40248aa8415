"""``odinw-bench advise``: which way of adapting to use on one's own labelled images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from odinw_bench.cli._console import console, number, print_json, table, write_line
from odinw_bench.cli._names import pick_suite
from odinw_bench.cli._options import DataRoot, Debug, Device, Json, Listed, parse_shots, split_list

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from odinw_bench.advice import Advice

app = typer.Typer()


@app.command()
def advise(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A data set in any form, or the name of a task.")],
    budget: Annotated[
        str, typer.Option("--budget", help="Time for the answer, such as 90s, 10m or 1h30m; a number alone is seconds.")
    ] = "10m",
    models: Annotated[
        Listed, typer.Option("--models", "--model", help="Detectors to compare; see `odinw-bench models list`.")
    ] = ["glip-nano"],
    modes: Annotated[
        Listed, typer.Option("--modes", "--mode", help="Tuning modes to compare. Default: eight, from cheap to dear.")
    ] = [],
    suite: Annotated[str, typer.Option("--suite", help="Where DATA is looked up if it is a name.")] = "",
    shots: Annotated[
        str, typer.Option("--shots", help="Images per class to use of the training split, or all.")
    ] = "all",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of subset, folds and training.")] = 3,
    retention: Annotated[
        Listed,
        typer.Option(
            "--retention", help="Where to measure what tuning destroys; see `run --retention`. none: nowhere."
        ),
    ] = ["mini"],
    data_root: DataRoot = None,
    results: Annotated[Path, typer.Option("--results", help="Folder of the run records.")] = Path("results"),
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of advice.html and advice.json. Default: among the results.")
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Which way of adapting to use on your labelled images, what to expect, at what cost.

    The labelled images are divided into folds (the test split has no part in them), and the ways that promise most for
    their time are tried. Every evaluation is an ordinary record; the same command with a larger --budget resumes.

    For example:

    ```
    odinw-bench advise my/data --budget 30m --models glip-t
    odinw-bench advise packages --shots 5 --budget 2m
    ```
    """
    from odinw_bench.advice import DEFAULT_MODES
    from odinw_bench.advice import advise as find
    from odinw_bench.advice.page import to_html
    from odinw_bench.advice.settings import parse_seconds
    from odinw_bench.utils.io import write_json, write_text

    seconds = parse_seconds(budget)
    if budget[-1].isdigit() and not as_json:
        write_line(f"--budget {budget}: seconds; minutes are {budget}m", file=sys.stderr, flush=True)
    advice = find(
        data,
        seconds,
        models=split_list(models),
        modes=split_list(modes) or DEFAULT_MODES,
        suite=pick_suite(suite, data_root, quiet=True),
        shots=parse_shots(shots),
        seed=seed,
        results=results,
        data_root=data_root,
        device=device,
        retention=[one for one in split_list(retention) if one != "none"],
        say=lambda text: None if as_json else write_line(text, file=sys.stderr, flush=True),
    )
    folder = out or advice.labelled.folder
    page = folder / "advice.html"
    write_text(page, to_html(advice))
    write_json(folder / "advice.json", dict(advice))
    if as_json:
        print_json(dict(advice))
        return
    _show(advice)
    write_line(f"written: {page}, {page.with_suffix('.json')}")


def _show(advice: Advice) -> None:
    """The summary on a terminal."""
    from odinw_bench.advice.page import size_in_words, time_in_words

    rows = [
        [
            f"{one['model']} {one['mode']}",
            number(one["AP"]),
            "-" if one["AP"] is None else f"{number(one['low'])} to {number(one['high'])}",
            time_in_words(one["tune_seconds"]),
            size_in_words(one["kept_bytes"]),
            one["tried"],
        ]
        for one in advice["candidates"]
    ]
    numbers = ("AP", "95 % interval", "tuning", "kept")
    console().print(
        table(
            "What was compared: AP on labelled images not learnt from",
            ["way", *numbers, "tried"],
            rows,
            numbers=numbers,
        )
    )
    if advice["learning_curve"]:
        rows = [
            [str(one["images"]), number(one["AP"]), f"{number(one['low'])} to {number(one['high'])}", one["kind"]]
            for one in advice["learning_curve"]
        ]
        columns = ["training images", "AP", "95 % interval", ""]
        title = f"What more labels would bring to {advice['learning_curve_of']}"
        console().print(table(title, columns, rows, numbers=columns[:3]))
    _show_words(advice["prompt_words"])
    weak = ", ".join(f"{one['class']} {number(one['AP'])}" for one in advice["failures"]["classes"][:3])
    failing = advice["failures_of"]
    write_line(f"found worst by {failing['model']} {failing['mode']} (AP by class): {weak}")
    for note in advice["notes"]:
        write_line(f"note: {note}")
    best, second = advice.recommendation, advice["runner_up"]
    how = ", with few epochs" if best["short"] else "" if best["tried"] else ", not tried"
    write_line(
        f"use {best['model']} {best['mode']}: expect AP {number(best['expected_AP'])} "
        f"({number(best['low'])} to {number(best['high'])}){how}; tuning {time_in_words(best['tune_seconds'])}, "
        f"memory {size_in_words(best['peak_memory_bytes'])}, kept {size_in_words(best['kept_bytes'])}"
    )
    lost = advice["zero_shot"]
    if lost is not None:
        write_line(
            f"zero-shot on {', '.join(lost['asked'])}: AP {number(lost['before'])} before tuning, "
            f"{number(lost['after'])} after"
        )
    if second is not None:
        write_line(
            f"runner-up {second['model']} {second['mode']}: {number(second['difference'])} AP behind, by what "
            "was measured and by how such ways differed on drawn tasks; "
            f"the recommended way is better with a probability of {100 * second['probability']:.0f} %"
        )
    write_line(best["command"])


def _show_words(found: Mapping[str, Any] | None) -> None:
    """Which words of the hand-written prompt earn their place."""
    if found is None:
        return
    rows = [
        [
            one["class"],
            one["word"],
            number(one["difference"]),
            f"{number(one['low'])} to {number(one['high'])}",
            "kept" if one["kept"] else "left out",
        ]
        for one in found["words"]
    ]
    columns = ["class", "says", "AP it earns", "95 % interval", ""]
    console().print(table("Words of the hand-written prompt, without tuning", columns, rows, numbers=columns[2:4]))
    if found["simplest"]:
        simplest = found["simplest"]
        write_line(
            f"the simplest prompt: AP {number(simplest['AP'])} after {number(found['AP'])}: {simplest['caption']}"
        )
