"""The training loop: reproducible, resumable, with a learning curve."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from glip_core import InputError
from odinw_bench.pretraining.data import PretrainingData
from odinw_bench.pretraining.learners import Learner, new_learner, stream_config
from odinw_bench.pretraining.recipe import CURVE, PretrainRecipe, get_recipe
from odinw_bench.utils.io import write_text

CHECKPOINT = "last.pt"
STEPS_A_LINE = 20
"""Steps that a line of the learning curve is the mean over."""


def pretrain(
    recipe: PretrainRecipe,
    out: Path,
    *,
    workers: int = 0,
    save_every: int = 200,
    on_step: Callable[[dict[str, float]], None] | None = None,
    until: int | None = None,
) -> Learner:
    """Train a nano model from nothing, or resume where an earlier call with the same recipe stopped.

    Args:
        recipe: what to do.
        out: folder of the checkpoint and the learning curve (a JSON line every :data:`STEPS_A_LINE` steps).
        workers: processes that draw scenes beside the training.
        save_every: steps between checkpoints.
        on_step: called with ``step``, ``steps_done`` in this call, ``loss`` and ``seconds`` after every step.
        until: stop after this step of the recipe's; the rate falls as the recipe says all the same.

    Returns:
        The detector with what can save it, in evaluation mode.

    Raises:
        InputError: the folder holds a run with another recipe, the model is no nano preset, the weights that it is to
            begin with do not fit, or the loss became infinite or NaN.
    """
    get_recipe(recipe.model)  # for its error
    last = recipe.steps if until is None else min(until, recipe.steps)
    torch.manual_seed(recipe.seed)
    learner = new_learner(recipe)
    detector = learner.network.train()
    optimiser = torch.optim.AdamW(_groups(recipe, learner), lr=recipe.lr, fused=True)
    step, sums = _resume(out, recipe, detector, optimiser)
    first_step = step
    before = _seconds_so_far(out / CURVE, step, goes_on=step < last)
    data = PretrainingData(recipe, stream_config(recipe.model))
    started = time.perf_counter()
    for items in data.batches(first_step, last, workers):
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate(step) * group["share"]
        losses = learner.losses(items)
        total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            raise InputError(f"the loss became {float(total)} at step {step}: begin with other weights or another seed")
        optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(detector.parameters(), 1.0)
        optimiser.step()
        step += 1
        now = {name: float(value.detach()) for name, value in losses.items()}
        for name, value in now.items():
            sums[name] = sums.get(name, 0.0) + value
        if step % STEPS_A_LINE == 0 or step == last:
            line = {"step": step, "seconds": round(before + time.perf_counter() - started, 1)}
            count = step % STEPS_A_LINE or STEPS_A_LINE
            _append(out / CURVE, line | {name: round(value / count, 5) for name, value in sums.items()})
        if step % STEPS_A_LINE == 0:
            sums = {}
        if step % save_every == 0 or step == last:
            _save(out, recipe, detector, optimiser, step, sums)
        if on_step:
            on_step(
                {
                    "step": step,
                    "steps_done": step - first_step,
                    "loss": sum(now.values()),
                    "seconds": time.perf_counter() - started,
                }
            )
    detector.eval()
    return learner


def _groups(recipe: PretrainRecipe, learner: Learner) -> list[dict[str, Any]]:
    """Parameters by whether they decay, and by their share of the rate."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in learner.network.named_parameters():
        decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
        share = recipe.borrowed_share if name.startswith(learner.borrowed) else 1.0
        groups.setdefault((decay, share), []).append(parameter)
    return [{"params": some, "weight_decay": decay, "share": share} for (decay, share), some in groups.items()]


def _seconds_so_far(curve: Path, step: int, *, goes_on: bool) -> float:
    """Cut the curve off after a step, which a killed run may have gone beyond; the seconds until there."""
    if not curve.is_file():
        return 0.0
    kept = [line for line in _whole_lines(curve) if line["step"] <= step]
    # The last line of a part may be over fewer steps than others, which the next line is over, too.
    lines = [line for line in kept if line["step"] % STEPS_A_LINE == 0 or not goes_on]
    write_text(curve, "".join(json.dumps(line) + "\n" for line in lines))
    return float(kept[-1]["seconds"]) if kept else 0.0


def _whole_lines(curve: Path) -> list[dict[str, Any]]:
    """The lines of a curve up to one that a killed run wrote half of."""
    lines = []
    for line in curve.read_text().splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines


def _append(path: Path, line: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def _save(
    out: Path,
    recipe: PretrainRecipe,
    detector: nn.Module,
    optimiser: torch.optim.Optimizer,
    step: int,
    sums: Mapping[str, float],
) -> None:
    """Keep what is needed to go on; ``sums`` are the losses since the curve's last line."""
    out.mkdir(parents=True, exist_ok=True)
    temporary = out / (CHECKPOINT + ".part")
    torch.save(
        {
            "recipe": json.dumps(asdict(recipe), sort_keys=True),
            "step": step,
            "detector": detector.state_dict(),
            "optimiser": optimiser.state_dict(),
            "sums": dict(sums),
        },
        temporary,
    )
    temporary.replace(out / CHECKPOINT)


def _resume(
    out: Path, recipe: PretrainRecipe, detector: nn.Module, optimiser: torch.optim.Optimizer
) -> tuple[int, dict[str, float]]:
    """The step to go on from, and the sums of :func:`_save`."""
    path = out / CHECKPOINT
    if not path.is_file():
        return 0, {}
    try:
        saved = torch.load(path, weights_only=True)
    except Exception as error:  # whatever reading a damaged file brings
        raise InputError(f"'{path}' cannot be read; remove it to begin again, or choose another --out") from error
    if saved["recipe"] != json.dumps(asdict(recipe), sort_keys=True):
        raise InputError(f"'{path}' belongs to a run with another recipe: choose another --out, or remove it")
    detector.load_state_dict(saved["detector"])
    optimiser.load_state_dict(saved["optimiser"])
    return int(saved["step"]), dict(saved.get("sums", {}))  # older checkpoints have none
