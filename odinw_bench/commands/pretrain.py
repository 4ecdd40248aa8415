"""``odinw-bench pretrain``: the embedded models, from nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from odinw_bench.pretraining import CURVE, card, export_weights, get_recipe, pretrain

_EVERY = 20


def command(model: str, changes: Mapping[str, Any], *, until: int | None, out: Path, workers: int) -> None:
    """Train by the model's recipe with some changes, then export."""
    recipe = replace(get_recipe(model), **changes)
    last = min(until or recipe.steps, recipe.steps)

    def say(state: dict[str, float]) -> None:
        step = int(state["step"])
        if step % _EVERY == 0 or step == last:
            left = state["seconds"] / max(state["steps_done"], 1) * (last - step)
            print(
                f"step {step}/{last}: loss {state['loss']:.3f}, {left / 60:.0f} minutes left",
                file=sys.stderr,
                flush=True,
            )

    detector = pretrain(recipe, out, workers=workers, on_step=say, until=until)
    path = out / f"{model}.safetensors"
    export_weights(detector, path, card(recipe, out))
    print(f"{path} (learning curve: {out / CURVE}); use it with --model {model} --weights {path}")
