"""Print the README's table of cost: ``python -m tests.benchmarks.cost [MODEL ...]``; random weights, this machine.

Each model and precision runs in a process of its own, so that peak memory is its own; the median of five images.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

CLASSES = ["fish", "jellyfish", "penguin", "puffin", "shark", "starfish", "stingray"]
MODELS = ("glip-t", "glip-t-a", "dyhead-t")
RUNS = 5


def measure(model: str, precision: str) -> dict[str, float]:
    """Median seconds of each stage and peak memory, in this process."""
    import torch

    import glip_core
    from odinw_bench.environment import peak_memory
    from odinw_bench.inference import autocast

    detector = glip_core.build(model, num_classes=len(CLASSES) if model.startswith("dyhead") else None)
    prompt = glip_core.Prompt.from_classes(CLASSES)
    pixels = torch.randn(1, 3, 800, 1088, generator=torch.Generator().manual_seed(0))
    stages: dict[str, list[float]] = {"vision": [], "language": [], "tower": [], "heads and NMS": [], "all": []}
    with torch.no_grad(), autocast(detector.device, precision):
        for _ in range(RUNS + 1):
            times = [time.perf_counter()]
            features = detector.encode_image(pixels)
            times.append(time.perf_counter())
            text = detector.encode_text(prompt)
            times.append(time.perf_counter())
            tower = detector.run_tower(features, text)
            times.append(time.perf_counter())
            detector.detections_from_raw(detector.run_heads(*tower), [(800, 1088)], prompt)
            times.append(time.perf_counter())
            for name, start, end in zip(stages, times, times[1:], strict=False):
                stages[name].append(end - start)
            stages["all"].append(times[-1] - times[0])
    # The first image warms up, and is the only one that pays for the language.
    medians = {name: statistics.median(values[1:]) for name, values in stages.items()}
    return medians | {"language once": stages["language"][0], "peak GB": peak_memory("cpu") / 1e9}


def main() -> None:
    """Print the table."""
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(sys.argv[2], sys.argv[3])))
        return
    print("| model | precision | vision | language, once | fusion + DyHead | heads + NMS | seconds | peak memory |")
    print("|---|---|---|---|---|---|---|---|")
    for model in sys.argv[1:] or MODELS:
        for precision in ("fp32", "bf16"):
            command = [sys.executable, "-m", "tests.benchmarks.cost", "--measure", model, precision]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            cells = [found[key] for key in ("vision", "language once", "tower", "heads and NMS", "all")]
            numbers = " | ".join(f"{value:.2f}" for value in cells)
            print(f"| {model} | {precision} | {numbers} | {found['peak GB']:.1f} GB |", flush=True)


if __name__ == "__main__":
    main()
