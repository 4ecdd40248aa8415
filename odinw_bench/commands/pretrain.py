"""``odinw-bench pretrain``: the embedded models, from nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from odinw_bench.pretraining import CURVE, PretrainRecipe, card, export_weights, pretrain

_EVERY = 20


def command(model: str, steps: int, seed: int, out: Path, workers: int) -> None:
    """Train, then export."""
    recipe = PretrainRecipe(model=model, steps=steps, seed=seed)

    def say(state: dict[str, float]) -> None:
        step = int(state["step"])
        if step % _EVERY == 0 or step == steps:
            left = state["seconds"] / max(state["steps_done"], 1) * (steps - step)
            print(
                f"step {step}/{steps}: loss {state['loss']:.3f}, {left / 60:.0f} minutes left",
                file=sys.stderr,
                flush=True,
            )

    detector = pretrain(recipe, out, workers=workers, on_step=say)
    path = out / f"{model}.safetensors"
    export_weights(detector, path, card(recipe, out))
    print(f"{path} (learning curve: {out / CURVE}); use it with --model {model} --weights {path}")
