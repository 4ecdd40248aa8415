"""All ratios on a CPU, with their spread: ``python -m tests.benchmarks.all``, for half an hour on two free cores.

GLIP-L is left out: ``python -m tests.benchmarks.ratios fusion-l``. ``--records N``: of the report, 20,000 unless given.
"""

from __future__ import annotations

import argparse
import statistics

from odinw_bench.profiling.operations import matrix_product_rate
from tests.benchmarks.cases import DEVICE
from tests.benchmarks.others import cpu_seconds
from tests.benchmarks.ratios import PAIRS, table
from tests.load.lvis import large_model

LONG = ("fusion-l",)


def main() -> None:
    """Print the tables, one after the other."""
    given = argparse.ArgumentParser()
    given.add_argument("--records", type=int, default=20_000)
    given.add_argument("--only", nargs="*", help="names of tests.benchmarks.ratios; the other tables are left out")
    options = given.parse_args()
    rates = {name: matrix_product_rate(str(DEVICE), name) / 1e9 for name in ("fp32", "bf16")}
    print("Matrix product, GFLOP/s: " + ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items()) + "\n")
    table(options.only or [name for name in PAIRS if name not in LONG], same_memory=True)
    if options.only:
        return
    print("\n| 1,203 classes | image, s | caption, s | one pass, s | 31 shared, s | 31 separate, s | times faster |")
    print("|---|---|---|---|---|---|---|")
    large_model(fusion=False)
    large_model(fusion=True)
    print("\n| a whole program | CPU seconds | in single runs |\n|---|---|---|")
    cpu_seconds(options.records, 3, say)


def say(what: str, seconds: list[float]) -> None:
    """A line of the last table."""
    print(f"| {what} | {statistics.median(seconds):.1f} | {min(seconds):.1f} to {max(seconds):.1f} |", flush=True)


if __name__ == "__main__":
    main()
