"""Pre-training of the nano models on the miniature world, from nothing and reproducibly."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import glip_core
from glip_core import Detector, InputError, Prompt, Targets
from glip_core.preprocess import resized_hw, scale_boxes, to_tensor
from odinw_bench.miniature.pretraining import DETECTION_CLASSES, Kind, PretrainSample, sample

CHECKPOINT = "last.pt"
CURVE = "curve.jsonl"


@dataclass(frozen=True)
class PretrainRecipe:
    """Everything that decides the outcome of a pre-training.

    Attributes:
        model: a nano preset.
        steps: optimiser steps.
        batch: images a step.
        lr: peak learning rate; linear warm-up, then a cosine down to zero.
        warmup: steps of warm-up.
        weight_decay: of everything but biases, norms and embeddings of one dimension.
        seed: of the weights and the data.
        mix: kinds of data and their share.
        precision: ``bf16`` (autocast) or ``fp32``.
    """

    model: str = "glip-nano"
    steps: int = 2000
    batch: int = 16
    lr: float = 8e-4
    warmup: int = 100
    weight_decay: float = 0.05
    seed: int = 0
    mix: Mapping[Kind, float] = field(default_factory=lambda: {"detection": 0.65, "grounding": 0.35})
    precision: str = "bf16"

    def learning_rate(self, step: int) -> float:
        """The rate of one step, from 0."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        done = (step - self.warmup) / max(self.steps - self.warmup, 1)
        return self.lr * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


@dataclass
class Item:
    """One image, ready for the network."""

    pixels: Tensor
    targets: Targets
    prompt: Prompt


class PretrainingData(Dataset[Item]):
    """The stream of samples as the network's input; item i depends on (recipe, i) alone."""

    def __init__(self, recipe: PretrainRecipe, *, class_head: bool, short: int, long: int) -> None:
        self.recipe, self.class_head = recipe, class_head
        self.short, self.long = short, long
        self.kinds: dict[Kind, float] = {"detection": 1.0} if class_head else dict(recipe.mix)
        self.classes = Prompt.from_classes(DETECTION_CLASSES)

    def __len__(self) -> int:
        return self.recipe.steps * self.recipe.batch

    def __getitem__(self, index: int) -> Item:
        drawn = sample(self._kind(index), self.recipe.seed, index)
        hw = resized_hw(drawn.image.size, self.short, self.long)
        boxes = torch.as_tensor(drawn.boxes, dtype=torch.float32).reshape(-1, 4)
        boxes = scale_boxes(boxes, (drawn.image.height, drawn.image.width), hw)
        labels = torch.as_tensor(drawn.class_labels if self.class_head else drawn.labels, dtype=torch.long)
        known = labels >= 0
        prompt = self.classes if self.class_head else prompt_of(drawn)
        return Item(to_tensor(drawn.image, hw), Targets(boxes[known], labels[known]), prompt)

    def _kind(self, index: int) -> Kind:
        """Kinds alternate in a fixed pattern with the wanted shares (golden-ratio sequence)."""
        place = (index * 0.6180339887498949) % 1.0 * sum(self.kinds.values())
        for kind, share in self.kinds.items():
            place -= share
            if place < 0:
                return kind
        return next(reversed(self.kinds))


def prompt_of(drawn: PretrainSample) -> Prompt:
    """The prompt of a sample: class names with attributes, or a sentence with its phrases."""
    if drawn.prompt_parts:
        return Prompt.from_parts(drawn.prompt_parts)
    return Prompt.from_caption(drawn.caption, drawn.spans)


def _batches(data: PretrainingData, first_step: int, workers: int) -> Iterator[list[Item]]:
    batch = data.recipe.batch
    order = [range(step * batch, (step + 1) * batch) for step in range(first_step, data.recipe.steps)]
    loader: DataLoader[Any] = DataLoader(
        data, batch_sampler=[list(r) for r in order], collate_fn=list, num_workers=workers
    )
    yield from loader


def pretrain(
    recipe: PretrainRecipe,
    out: Path,
    *,
    workers: int = 0,
    save_every: int = 200,
    on_step: Callable[[dict[str, float]], None] | None = None,
    initial: Mapping[str, Tensor] | None = None,
) -> Detector:
    """Train a nano model from nothing, or go on where an earlier call with the same recipe stopped.

    Args:
        recipe: what to do.
        out: folder of the checkpoint and the learning curve (a JSON line every 20 steps).
        workers: processes that draw scenes beside the training.
        save_every: steps between checkpoints.
        on_step: told ``step``, ``steps_done`` in this call, ``loss`` and ``seconds`` after every step.
        initial: weights to begin with instead of random ones, by the detector's own names.

    Returns:
        The trained detector, in evaluation mode.

    Raises:
        InputError: the folder holds a run with another recipe, or the model is no nano preset.
    """
    config = glip_core.config.get_config(recipe.model)
    if config.family != "nano":
        raise InputError(f"only the nano models are pre-trained here, not '{recipe.model}'")
    torch.manual_seed(recipe.seed)
    detector = glip_core.build(recipe.model, num_classes=None if config.has_text else len(DETECTION_CLASSES))
    if initial is not None:
        detector.load_state_dict(initial)
    detector.train()
    decayed = [p for p in detector.parameters() if p.ndim > 1]
    others = [p for p in detector.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=recipe.lr,
        fused=True,
    )
    step = first_step = _resume(out, recipe, detector, optimiser)
    data = PretrainingData(recipe, class_head=not config.has_text, short=config.image_short, long=config.image_long)
    sums: dict[str, float] = {}
    started = time.perf_counter()
    for items in _batches(data, first_step, workers):
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate(step)
        losses = _losses(detector, items, recipe.precision)
        total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            raise FloatingPointError(f"the loss became {float(total)} at step {step}: lower the learning rate")
        optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(detector.parameters(), 1.0)
        optimiser.step()
        step += 1
        now = {name: float(value.detach()) for name, value in losses.items()}
        for name, value in now.items():
            sums[name] = sums.get(name, 0.0) + value
        if step % 20 == 0:
            line = {"step": step, "seconds": round(time.perf_counter() - started, 1)}
            _append(out / CURVE, line | {name: round(value / 20, 5) for name, value in sums.items()})
            sums = {}
        if step % save_every == 0 or step == recipe.steps:
            _save(out, recipe, detector, optimiser, step)
        if on_step:
            on_step(
                {
                    "step": step,
                    "steps_done": step - first_step,
                    "loss": sum(now.values()),
                    "seconds": time.perf_counter() - started,
                }
            )
    return detector.eval()


def _losses(detector: Detector, items: list[Item], precision: str) -> dict[str, Tensor]:
    pixels = torch.stack([item.pixels for item in items])
    prompts = [item.prompt for item in items]
    prompt = prompts[0] if all(p is prompts[0] for p in prompts) else prompts
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        raw = detector.forward_raw(pixels, prompt)
    return detector.losses_from_raw(raw, [item.targets for item in items], prompt)


def _append(path: Path, line: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def _save(out: Path, recipe: PretrainRecipe, detector: Detector, optimiser: torch.optim.Optimizer, step: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    temporary = out / (CHECKPOINT + ".part")
    torch.save(
        {
            "recipe": json.dumps(asdict(recipe), sort_keys=True),
            "step": step,
            "detector": detector.state_dict(),
            "optimiser": optimiser.state_dict(),
        },
        temporary,
    )
    temporary.replace(out / CHECKPOINT)


def _resume(out: Path, recipe: PretrainRecipe, detector: Detector, optimiser: torch.optim.Optimizer) -> int:
    path = out / CHECKPOINT
    if not path.is_file():
        return 0
    saved = torch.load(path, weights_only=True)
    if saved["recipe"] != json.dumps(asdict(recipe), sort_keys=True):
        raise InputError(f"'{path}' belongs to a run with another recipe: choose another --out, or remove it")
    detector.load_state_dict(saved["detector"])
    optimiser.load_state_dict(saved["optimiser"])
    return int(saved["step"])


def export_weights(detector: Detector, path: Path, metadata: Mapping[str, str]) -> None:
    """Write half-precision safetensors under official names, for the package.

    Args:
        detector: a trained model.
        path: where to.
        metadata: the model card's facts, as strings.
    """
    from safetensors.torch import save_file

    from glip_core.checkpoint import named_tensors

    tensors = {
        name: tensor.detach().to(torch.float16).contiguous()
        for name, tensor in named_tensors(detector, detector.config).items()
    }
    temporary = path.with_suffix(".part")
    save_file(tensors, temporary, metadata=dict(metadata))
    temporary.replace(path)


def card(recipe: PretrainRecipe, out: Path) -> dict[str, str]:
    """The facts of a model card, from the recipe and the learning curve in ``out``."""
    lines = [json.loads(line) for line in (out / CURVE).read_text().splitlines()]
    return {
        "model": recipe.model,
        "recipe": json.dumps(asdict(recipe), sort_keys=True),
        "torch": str(torch.__version__),
        "threads": str(torch.get_num_threads()),
        "last_loss": json.dumps(lines[-1]) if lines else "",
    }
