"""Print how long the whole of the GLIP paper takes on 1 to 512 GPUs: ``python -m tools.simulate_paper``.

Nothing is run and no data are needed: image counts are those that the task files and data sets state, lengths those of
the official recipe, speeds those of the paper's table 7 (testing on one P100, training on one V100). Tuning is counted
at the speed of full fine-tuning with half of the epochs that the recipe allows, which early stopping would leave. A run
that is interrupted resumes at its last epoch; a test begins again. Tests of LVIS are shared by eight processes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from odinw_bench.datasets.registry import load_suite
from odinw_bench.engine.length import Length
from odinw_bench.engine.recipes import hyperparameters
from odinw_bench.metrics.published import published_cost
from odinw_bench.runs.simulate import Interruptions, Job, simulate
from odinw_bench.runs.spec import OFFICIAL_SHOTS, official_protocol

MODELS = ("dyhead-t", "glip-t-a", "glip-t-b", "glip-t-c", "glip-t", "glip-l")
MODES = ("zero-shot", "manual", "prompt", "linear", "prompt+linear", "language", "language+linear", "full")
EARLY = 0.5
"""Share of a recipe's epochs that early stopping leaves."""

TESTS = {
    "COCO val": 5_000,
    "LVIS minival": 4_809 * 31,
    "LVIS val": 19_809 * 31,
    "Flickr30k val": 5_000,
    "Flickr30k test": 5_000,
}
"""Passes of one image: for LVIS one for each chunk of 40 names, for Flickr30k one for each sentence."""

TOGETHER = 8
"""Processes that share a test of LVIS (torchrun): a test is not resumed, and one of 300 hours would hardly ever end."""


def speeds(model: str) -> tuple[float, float]:
    """Published images a second in testing and in training."""
    name = "glip-t" if model == "dyhead-t" else model
    fused = model not in ("dyhead-t", "glip-t-a")
    costs = [published_cost(name, phase, fusion=fused) for phase in ("inference", "training")]
    testing, training = (one.images_per_second for one in costs if one is not None)
    return testing, training


def tuning_runs(suite: str) -> Iterator[Job]:
    """ODinW: every model, task, mode, number of shots and seed."""
    for model in MODELS:
        testing, training = speeds(model)
        for task in load_suite(suite):
            counts = {name: split.count or 0 for name, split in task.splits.items()}
            for mode in MODES:
                if model == "dyhead-t" and mode not in ("linear", "full"):
                    continue
                tested = counts.get("test", 0) / testing
                if mode in ("zero-shot", "manual"):
                    yield Job(f"{model} {task.name} {mode}", tested)
                    continue
                for shots in OFFICIAL_SHOTS[1:]:
                    images = counts["train"] if shots == "all" else min(counts["train"], shots * len(task.classes))
                    recipe = hyperparameters(official_protocol(shots), mode, shots)
                    length = Length.of(images, recipe)
                    passes = EARLY * length.total * recipe.batch
                    validated = images if recipe.few_shot_validation else counts.get(task.eval_split, 0)
                    epochs = EARLY * length.epochs
                    seconds = passes / training + epochs * validated / testing
                    for seed in (3,) if shots == "all" else (3, 30, 300):
                        name = f"{model} {task.name} {mode} {shots} shots, seed {seed}"
                        yield Job(name, seconds + tested, part=seconds / max(1, epochs))


def tests_alone() -> Iterator[Job]:
    """COCO, LVIS and Flickr30k, zero-shot; COCO also fine-tuned for 24 epochs of 117,266 images."""
    for model in MODELS:
        testing, training = speeds(model)
        for name, passes in TESTS.items():
            if model == "dyhead-t" and name != "COCO val":
                continue
            shares = TOGETHER if name.startswith("LVIS") else 1
            yield from [Job(f"{model} {name}", passes / testing / shares)] * shares
        epoch = 117_266 / training
        yield Job(f"{model} COCO fine-tuned", 24 * epoch + 5_000 / testing, part=epoch)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpus", default="1,8,64,512", help="numbers of GPUs")
    parser.add_argument("--preemptions", type=float, default=0.05, help="expected in an hour of a GPU")
    arguments = parser.parse_args()
    odinw = [job for suite in ("odinw13", "odinw35") for job in tuning_runs(suite)]
    jobs = [*odinw, *tests_alone()]
    print(f"{len(jobs):,} runs, {sum(job.seconds for job in jobs) / 3600:,.0f} GPU hours\n")
    print(
        "| GPUs | days | best possible | in the grid's order | work | with preemptions | interrupted | the last runs |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|---|")
    for gpus in map(int, arguments.gpus.split(",")):
        plain = simulate(jobs, gpus)
        unsorted = simulate(jobs, gpus, longest=False)
        cut = simulate(jobs, gpus, interruptions=Interruptions(arguments.preemptions))
        days = [seconds / 86400 for seconds in (plain.makespan, plain.floor, unsorted.makespan, cut.makespan)]
        print(
            f"| {gpus} | {days[0]:,.1f} | {days[1]:,.1f} | {days[2]:,.1f} | {plain.utilisation:.0%} "
            f"| {days[3]:,.1f} | {cut.interrupted:,} | {'; '.join(plain.last[:2])} |"
        )


if __name__ == "__main__":
    main()
