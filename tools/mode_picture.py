"""Draw which parts of GLIP each tuning mode trains: ``python -m tools.mode_picture docs/pictures/modes.svg``."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

import glip_core
from glip_core.modes import MODES, get_mode

PARTS = {
    "image backbone": r"vision\.swin",
    "feature pyramid": r"vision\.pyramid",
    "language backbone": r"language\.",
    "prompt offset": r"prompt_offset",
    "fusion": r"tower\.\d+\.(fusion|language)",
    "tower": r"tower\.\d+\.dyconv",
    "heads": r"head\.",
}


def trained(mode: str) -> Counter[str]:
    """Trainable parameters of each part of ``glip-nano``, those that the mode adds included."""
    detector = glip_core.load("glip-nano", device="cpu")
    prompt, tuning = glip_core.Prompt.from_classes(["fish", "stingray"]), get_mode(mode)
    tuning.prepare(detector, prompt)
    tuning.add_modules(detector, prompt)
    counts: Counter[str] = Counter()
    for name, parameter in detector.named_parameters():
        if parameter.requires_grad:
            counts[next(part for part, pattern in PARTS.items() if re.match(pattern, name))] += parameter.numel()
    return counts


def draw(out: Path) -> None:
    """Write the picture: a row per mode, a column per part, the number of trained values in each."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    untuned = ("zero-shot", "manual")
    rows = {mode: Counter() if mode in untuned else trained(mode) for mode in MODES}
    with plt.rc_context({"svg.hashsalt": "odinw-bench", "font.size": 10}):
        figure, axes = plt.subplots(figsize=(9, 5.4), layout="constrained")
        for y, counts in enumerate(rows.values()):
            for x, part in enumerate(PARTS):
                count = counts[part]
                axes.add_patch(plt.Rectangle((x + 0.04, y + 0.08), 0.92, 0.84, color="#0072B2" if count else "#e8e8e8"))
                if count:
                    axes.text(x + 0.5, y + 0.5, f"{count:,}", ha="center", va="center", color="white", fontsize=9)
        axes.set(xlim=(0, len(PARTS)), ylim=(len(rows), 0))
        axes.set_xticks([x + 0.5 for x in range(len(PARTS))], [part.replace(" ", "\n") for part in PARTS])
        axes.set_yticks([y + 0.5 for y in range(len(rows))], list(rows))
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        figure.savefig(out, format="svg", metadata={"Date": None})
        plt.close(figure)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
