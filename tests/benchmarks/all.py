"""All ratios on a CPU, with their spread: ``python -m tests.benchmarks.all``, within half an hour on two free cores.

``--write docs/speed.md`` also puts them between the two marks of that page. ``--runs 1`` tries everything with one turn
each; ``--only NAME ...`` measures single ratios. GLIP-L is left out: ``python -m tests.benchmarks.ratios fusion-l``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from odinw_bench.profiling.measure import ProfileSettings
from odinw_bench.profiling.operations import matrix_product_rate
from odinw_bench.profiling.suite import profile_all
from odinw_bench.runs.environment import environment
from tests.benchmarks import compiled, int8, tuning
from tests.benchmarks.cases import DEVICE
from tests.benchmarks.others import cpu_seconds
from tests.benchmarks.ratios import PAIRS, table
from tests.load.lvis import large_model

LONG = ("fusion-l",)
CPU_ONLY = ("int8", "coco")
BEGIN, END = "<!-- output of tests.benchmarks.all -->", "<!-- end of that output -->"
STAGES = ("vision", "fusion", "DyHead", "heads", "post-processing", "other")
INT8_TASKS = ("packages", "raccoon", "shellfish")


class Copy(io.StringIO):
    """What is printed, kept and shown."""

    def write(self, text: str) -> int:
        """Show and keep some text."""
        sys.__stdout__.write(text)
        sys.__stdout__.flush()
        return super().write(text)


def main() -> None:
    """Print the tables, one after the other."""
    given = argparse.ArgumentParser()
    given.add_argument("--records", type=int, default=20_000, help="of the report")
    given.add_argument("--runs", type=int, help="turns of each ratio, in place of its own number")
    given.add_argument("--only", nargs="*", help="names of tests.benchmarks.ratios; the other tables are left out")
    given.add_argument("--parts", nargs="*", choices=list(PARTS), help="tables; all unless given")
    given.add_argument("--write", type=Path, help="a page with the two marks, such as docs/speed.md")
    options = given.parse_args()
    if options.write:
        put("", options.write, check=True)
    kept = Copy()
    started = time.monotonic()
    with contextlib.redirect_stdout(kept):
        if options.only:
            ratios(options)
        names = [] if options.only else options.parts or list(PARTS)
        failed = [name for name in names if not done(name, options)]
        print(f"\nAll of this took {(time.monotonic() - started) / 60:.0f} minutes.")
    if options.write:
        put(kept.getvalue(), options.write)
    sys.exit(bool(failed))


def done(name: str, options: argparse.Namespace) -> bool:
    """Measure one part; where it fails, say so, and the others follow."""
    try:
        PARTS[name](options)
    except Exception as error:  # half an hour of numbers is not thrown away
        traceback.print_exc()
        print(f"\n{name}: not measured, {type(error).__name__}")
        return False
    return True


def put(text: str, page: Path, *, check: bool = False) -> None:
    """Replace what is between the marks of a page; ``check``: only look whether it has them."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{page} lacks the marks {BEGIN} and {END}")
    if not check:
        page.write_text(f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}", encoding="utf-8")


def machine(_options: argparse.Namespace) -> None:
    """What was measured where."""
    here = environment(str(DEVICE))
    rates = [f"{name} {matrix_product_rate(str(DEVICE), name) / 1e9:.0f}" for name in ("fp32", "bf16")]
    where = f"{here['device_name']}, {here['threads']} threads, torch {here['torch']}"
    print(f"Revision {here['git_revision']}; {where}. Matrix product, GFLOP/s: {', '.join(rates)}.")


def ratios(options: argparse.Namespace) -> None:
    """The pairs of :mod:`tests.benchmarks.ratios`."""
    print()
    left_out = LONG if DEVICE.type == "cpu" else (*LONG, *CPU_ONLY)
    table(options.only or [name for name in PAIRS if name not in left_out], same_memory=True, runs=options.runs)


def stages(options: argparse.Namespace) -> None:
    """Where the time of an image goes, as ``odinw-bench profile`` says."""
    print(f"\n| GLIP-T, s | {' | '.join(STAGES)} | an image | share of matrix rate | peak memory, GB |")
    print("|---|" + "---:|" * (len(STAGES) + 3))
    usual = ProfileSettings("glip-t", repeats=options.runs or 5, device=str(DEVICE))
    for found in profile_all([usual, replace(usual, precision="bf16")]):
        if "error" in found:
            print(f"| {found['settings']['precision']} | {found['error']} |")
            continue
        cells = [f"{found['stages'].get(stage, 0.0):.2f}" for stage in STAGES]
        cells += [f"{found['seconds']['p50']:.2f}", f"{found['share_of_matmul']:.0%}"]
        print(f"| {found['settings']['precision']} | {' | '.join(cells)} | {found['peak_memory_bytes'] / 1e9:.2f} |")


def steps(options: argparse.Namespace) -> None:
    """Steps of prompt tuning."""
    print()
    tuning.table(runs=options.runs or 2)


def tried(_options: argparse.Namespace) -> None:
    """What the program does not use."""
    print()
    int8.table(INT8_TASKS)
    print()
    compiled.table()


def lvis(_options: argparse.Namespace) -> None:
    """Many classes."""
    print("\n| 1,203 classes | image, s | caption, s | one pass, s | 31 shared, s | 31 separate, s | times faster |")
    print("|---|---|---|---|---|---|---|")
    large_model(fusion=False)
    large_model(fusion=True)


def programs(options: argparse.Namespace) -> None:
    """Start and end."""
    print("\n| a whole program | CPU seconds | in single runs |\n|---|---|---|")
    cpu_seconds(options.records, options.runs or 3, say)


def say(what: str, seconds: list[float]) -> None:
    """A line of the last table."""
    print(f"| {what} | {statistics.median(seconds):.1f} | {min(seconds):.1f} to {max(seconds):.1f} |", flush=True)


PARTS: Mapping[str, Callable[[argparse.Namespace], None]] = {
    "machine": machine,
    "ratios": ratios,
    "stages": stages,
    "tuning": steps,
    "tried": tried,
    "lvis": lvis,
    "programs": programs,
}


if __name__ == "__main__":
    main()
