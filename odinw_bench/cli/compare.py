"""``odinw-bench compare``: two runs or groups of runs, by a paired bootstrap, in words."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from odinw_bench.cli._console import console, number, print_json, table, write_line
from odinw_bench.cli._options import DataRoot, Debug, Json, OwnData

if TYPE_CHECKING:
    from odinw_bench.metrics.stats import Comparison, Summary
    from odinw_bench.report.pairs import Pair, Run

app = typer.Typer()


@app.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A run's folder, or a pattern of folders in quotes.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Likewise.")],
    samples: Annotated[int, typer.Option("--samples", min=1, help="Resamples of the test images.")] = 1000,
    seed: Annotated[int, typer.Option("--bootstrap-seed", min=0, help="Of the resampling.")] = 0,
    data_root: DataRoot = None,
    data: OwnData = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    r"""Is A better than B? A paired bootstrap over the test images, in words.

    Patterns compare groups: runs of one task and seed are paired; what tuned nothing meets every seed. For example:

    ```
    odinw-bench compare "results/mini/glip-nano/aquarium/prompt-5*" \
        "results/mini/glip-nano/aquarium/zero-shot-*"
    odinw-bench compare "results/mini/glip-nano/*/prompt-5shot-*" \
        "results/mini/dyhead-nano/*/linear-5shot-*"
    ```
    """
    from odinw_bench.report.pairs import compare_pairs, find_runs, over_tasks, pair_up

    pairs, alone = pair_up(find_runs(a), find_runs(b))
    several = len(pairs) > 1
    compared = compare_pairs(
        pairs,
        samples=samples,
        seed=seed,
        data_root=data_root,
        data=tuple(data or ()),
        say=(lambda text: write_line(text, file=sys.stderr, flush=True)) if several else lambda _: None,
    )
    total = over_tasks(compared) if several else None
    words = in_words_of_group(compared, total) if total else in_words(compared[0])
    if as_json:
        rows = [_json(pair) for pair in compared]
        print_json({"words": words, "pairs": rows, "over_tasks": asdict(total) if total else None, "unpaired": alone})
        return
    write_line(f"A: {_names([_name(pair.a, pair.b) for pair in compared])}")
    write_line(f"B: {_names([_name(pair.b, pair.a) for pair in compared])}")
    if several:
        _print_table(compared)
    write_line(words)
    for note in alone:
        write_line(f"left out: {note}")


def in_words(pair: Pair) -> str:
    """One comparison as a sentence."""
    from odinw_bench.report.document import format_number

    result = pair.result
    interval = f"95 % interval {format_number(result.low)} to {format_number(result.high)}"
    basis = f"{result.samples} resamples of {pair.images} test images of {pair.a.place[0]}/{pair.a.place[1]}"
    if result.low > 0 or result.high < 0:
        better, worse = ("A", "B") if result.difference > 0 else ("B", "A")
        size = f"{abs(result.difference):.1f} {pair.metric}"
        low, high = sorted((abs(result.low), abs(result.high)))
        interval = f"95 % interval {format_number(low)} to {format_number(high)}"
        share = result.probability_better if better == "A" else 1 - result.probability_better
        return f"{better} is better than {worse} by {size} ({interval}; better in {share:.0%} of {basis})."
    if result.difference == result.low == result.high == 0:
        return f"A and B are equal ({basis})."
    return (
        f"No clear difference: A minus B is {format_number(result.difference, sign=True)} {pair.metric} ({interval}; "
        f"A is better in {result.probability_better:.0%} of {basis})."
    )


def in_words_of_group(pairs: Sequence[Pair], total: Summary) -> str:
    """Many comparisons as a sentence: the mean over tasks, and on how many the difference is clear."""
    from odinw_bench.report.document import format_number

    clear_a = sum(pair.result.low > 0 for pair in pairs)
    clear_b = sum(pair.result.high < 0 for pair in pairs)
    metric = _metric(pairs)
    mean = f"{abs(total.mean):.1f} {metric} on average over {total.count} {'task' if total.count == 1 else 'tasks'}"
    counts = f"of {len(pairs)} pairs A is clearly better in {clear_a}, B in {clear_b}"
    if total.low is None or total.high is None:
        if round(total.mean, 1) == 0:
            return f"A and B are level: they differ by {mean} ({counts})."
        better = "A" if total.mean > 0 else "B"
        return f"{better} is ahead by {mean} ({counts})."
    interval = f"95 % interval over tasks {format_number(total.low)} to {format_number(total.high)}"
    if total.low <= 0 <= total.high:
        return (
            f"No clear difference over the tasks: A minus B is {format_number(total.mean, sign=True)} {metric} "
            f"on average over {total.count} ({interval}; {counts})."
        )
    better, worse = ("A", "B") if total.mean > 0 else ("B", "A")
    low, high = sorted((abs(total.low), abs(total.high)))
    return f"{better} is better than {worse} by {mean} (95 % interval over tasks {low:.1f} to {high:.1f}; {counts})."


def _metric(pairs: Sequence[Pair]) -> str:
    """AP, or what takes its place; of several, all."""
    return " or ".join(dict.fromkeys(pair.metric for pair in pairs))


def _name(run: Run, other: Run) -> str:
    """A run's name, with its seed where the other's is another one that counts."""
    apart = run.seed != other.seed and run.is_tuned and other.is_tuned
    return f"{run.name}, seed {run.seed}" if apart else run.name


def _names(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _print_table(pairs: Sequence[Pair]) -> None:
    metric = _metric(pairs)
    numbers = [f"{metric} of A", f"{metric} of B", "A − B", "low", "high", "A better"]
    rows = [
        [
            "/".join(pair.a.place[:2]),
            str(pair.a.seed if pair.a.is_tuned else pair.b.seed),
            number(pair.a.record.result),
            number(pair.b.record.result),
            *_interval(pair.result),
            f"{pair.result.probability_better:.0%}",
        ]
        for pair in pairs
    ]
    console().print(
        table(
            f"{metric} in percent, 95 % intervals over test images", ["task", "seed", *numbers], rows, numbers=numbers
        )
    )


def _interval(result: Comparison) -> list[str]:
    from odinw_bench.report.document import format_number

    return [format_number(value, sign=True) for value in (result.difference, result.low, result.high)]


def _json(pair: Pair) -> dict[str, object]:
    return {
        "a": str(pair.a.folder),
        "b": str(pair.b.folder),
        "suite": pair.a.place[0],
        "dataset": pair.a.place[1],
        "images": pair.images,
        f"{pair.metric}_a": pair.a.record.result,
        f"{pair.metric}_b": pair.b.record.result,
        **asdict(pair.result),
    }
