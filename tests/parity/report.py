"""Print the README's parity table: ``python -m tests.parity.report`` (reads ../shared, or ODINW_SHARED)."""

from __future__ import annotations

import os
from pathlib import Path

from tests.parity.conftest import forward_in_steps, make

MODELS = ("glip_t", "glip_t_a", "dyhead_t")


def errors(folder: Path, name: str) -> dict[str, str]:
    """Largest absolute differences of one model, by row of the table."""
    subject = make(folder, name)
    case, forward = subject.case, forward_in_steps(subject)

    def worst(stem: str, tensors) -> str:
        return f"{max(case.error(f'{stem}{i}', x) for i, x in enumerate(tensors)):.0e}"

    logits = forward.raw.logits
    if forward.text is None:
        logits = [x.mT.unflatten(2, c.shape[-2:]) for x, c in zip(logits, forward.raw.centerness, strict=True)]
    sizes = [tuple(size) for size in case.facts["image_sizes_hw"]]
    found = subject.detector.detections_from_raw(forward.raw, sizes, subject.prompt)[0]
    text = "-" if forward.text is None else f"{case.error('lang_hidden', forward.text.hidden):.0e}"
    return {
        "Swin stages": worst("swin", forward.swin),
        "pyramid P3 to P7": worst("fpn", forward.pyramid),
        "language": text,
        "logits": worst("logits", logits),
        "box, centerness": max(worst("box", forward.raw.box_deltas), worst("ctr", forward.raw.centerness), key=float),
        "scores of detections": f"{case.error('det0_scores', found.scores):.0e}",
        "boxes of detections, pixels": f"{case.error('det0_boxes', found.boxes):.0e}",
    }


def main() -> None:
    """Print the rows."""
    folder = Path(os.environ.get("ODINW_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "parity"
    columns = [errors(folder, name) for name in MODELS]
    for row in columns[0]:
        print(f"| {row} | " + " | ".join(column[row].replace("0e+00", "0") for column in columns) + " |")


if __name__ == "__main__":
    main()
