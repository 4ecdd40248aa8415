"""A step of prompt tuning on one image of 800x1088: seconds and memory, ours and others'."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch

from glip_core import Prompt, Targets
from glip_core.memory import keep_freed_memory
from glip_core.modeling.bert import BERT_VOCABULARY
from glip_core.modes import MODES
from odinw_bench.engine.distributed import SINGLE_PROCESS
from odinw_bench.engine.features import FeatureCache, FrozenPart
from odinw_bench.engine.micro_batch import MicroBatching
from odinw_bench.engine.optimise import Optimisation
from odinw_bench.engine.predict import autocast
from odinw_bench.engine.recipes import hyperparameters
from odinw_bench.models import ModelInput, TunableModel, find_model
from odinw_bench.models.glip import preset
from odinw_bench.models.hub.base import ProcessedImage
from odinw_bench.models.inputs import PreparedImage
from odinw_bench.profiling.measure import CLASSES
from odinw_bench.runs.environment import arithmetic, peak_memory, reset_peak_memory
from tests.benchmarks.cases import DEVICE, SIZE, Case, detector_of, image
from tests.benchmarks.others import grounding_dino
from tests.glip_core.reference import plain_formulation

PROTOCOL = "odinw-glip-3"
CACHE = 4 << 30  # bytes


class Tuner:
    """A model with random weights that is prepared for a mode; its steps are those of a run.

    Args:
        model: whose parameters are trained.
        inputs: the images of a step; with a cache they are read in the first one alone.
        mode: of tuning.
    """

    def __init__(self, model: TunableModel, inputs: Sequence[ModelInput], mode: str = "prompt") -> None:
        self.model, self.inputs = model, inputs
        self.settings = hyperparameters(PROTOCOL, mode, 5)
        self.mode, self.prompt = MODES[mode].configured(self.settings), Prompt.from_classes(CLASSES)
        self.trained = model.trainable(self.mode, self.prompt)
        corners = torch.tensor([[0.1, 0.1, 0.3, 0.4], [0.5, 0.2, 0.9, 0.7]])
        self.targets = [
            Targets(corners * torch.tensor([*one.hw[::-1], *one.hw[::-1]]), torch.tensor([0, 1])).to(DEVICE)
            for one in inputs
        ]

    def step(
        self, precision: str = "fp32", *, cached: bool = True, checkpointing: bool = False, together: bool = True
    ) -> Case:
        """One optimiser step over the images.

        Args:
            precision: of its passes; the losses are computed in float32 either way.
            cached: frozen features are kept from the first step on; else computed in each.
            checkpointing: as a run's ``--checkpointing``.
            together: images of one size in one pass; else one image after the other.
        """
        batching = MicroBatching()
        batching.max_images = None if together else 1
        work = Optimisation(self.model, self.trained, self.settings, precision, SINGLE_PROCESS, batching)
        with autocast(DEVICE, precision):
            words = self.model.encode_frozen(self.mode, self.prompt)
        frozen = None
        if self.model.can_cache(self.mode):
            frozen = FrozenPart(self.model, self.mode, words, FeatureCache(CACHE if cached else 0), precision)

        def take() -> object:
            self.model.use_checkpointing(checkpointing)
            examples = (
                (frozen.of(n, partial(self._input, n)) if frozen else self._input(n), targets)
                for n, targets in enumerate(self.targets)
            )
            with arithmetic(self.model.facts(), str(DEVICE)):  # a small model has one thread, as in a run
                return work.step(examples, words)

        return take

    def _input(self, number: int) -> ModelInput:
        return self.inputs[number]


def tuner(name: str, mode: str = "prompt", *, images: int = 1, size: tuple[int, int] = SIZE) -> Tuner:
    """For a preset of ours."""
    pixels = image().cpu()[..., : size[0], : size[1]]
    model = preset(name)(detector_of(name))
    return Tuner(model, [PreparedImage(pixels, size) for _ in range(images)], mode)


@cache
def grounding_dino_tuner(*, small: bool = False) -> Tuner:
    """For ``grounding-dino-t`` of transformers, by the program's own class for it; ``small``: to try the code."""
    import transformers

    words = BERT_VOCABULARY.read_text(encoding="utf-8").split("\n")
    tokens = transformers.BertTokenizerFast(vocab={word: number for number, word in enumerate(words) if word})
    processor = transformers.GroundingDinoProcessor(transformers.GroundingDinoImageProcessor(), tokens)
    kind: Any = find_model("grounding-dino-t")
    size = (128, 128) if small else SIZE
    pixels = image().cpu()[..., : size[0], : size[1]]
    one = ProcessedImage(pixels, torch.ones(1, *size, dtype=torch.bool), size)
    return Tuner(kind(grounding_dino(small=small), processor), [one])


def plainly(step: Case) -> Case:
    """The same step by the plain formulas."""

    def work() -> object:
        with plain_formulation():
            return step()

    return work


@dataclass(frozen=True)
class Side:
    """A line of the table.

    Attributes:
        title: of the line.
        precision: ``fp32`` or ``bf16``.
        step: the work.
        turns: whether it is measured in turns with the others; else once, with its memory: it takes minutes.
    """

    title: str
    precision: str
    step: Case
    turns: bool = True


def sides(name: str = "glip-t", *, small: bool = False) -> list[Side]:
    """All lines; the first is the one that the others are compared with."""
    ours = tuner(name, size=(128, 128) if small else SIZE)
    other = grounding_dino_tuner(small=small)
    found = [Side("GLIP-T, from the cache", kind, ours.step(kind)) for kind in ("fp32", "bf16")]
    for kind in ("fp32", "bf16"):
        found += [
            Side("GLIP-T, from the cache, `--checkpointing`", kind, ours.step(kind, checkpointing=True)),
            Side("GLIP-T, recomputed", kind, ours.step(kind, cached=False)),
            Side("`grounding-dino-t`, from the cache", kind, other.step(kind)),
            Side("`grounding-dino-t`, recomputed", kind, other.step(kind, cached=False)),
        ]
    return [*found, Side("GLIP-T by plain formulas, recomputed", "fp32", plainly(ours.step(cached=False)), turns=small)]


def seconds_and_memory(step: Case) -> tuple[float, int]:
    """Of one step: seconds, and the bytes that it needs at its peak beyond what was held before."""
    gc.collect()
    keep_freed_memory(False)
    device = str(DEVICE)
    reset_peak_memory(device)
    before = peak_memory(device)
    started = time.perf_counter()
    step()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started, peak_memory(device) - before


def in_turns(steps: Sequence[Case], runs: int) -> list[list[float]]:
    """Seconds of each piece of work, one after the other in each of so many turns, with freed memory kept."""
    keep_freed_memory()
    seconds: list[list[float]] = [[] for _ in steps]
    for _ in range(runs):
        for mine, step in zip(seconds, steps, strict=True):
            started = time.perf_counter()
            step()
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()
            mine.append(time.perf_counter() - started)
    return seconds


def table(lines: Callable[[], Sequence[Side]] = sides, *, runs: int = 3) -> None:
    """Measure and print."""
    found = list(lines())
    alternating = [side for side in found if side.turns]
    for side in alternating:
        side.step()  # fills caches, and oneDNN's
    memory = {id(side): seconds_and_memory(side.step) for side in found}
    seconds = {id(s): t for s, t in zip(alternating, in_turns([s.step for s in alternating], runs), strict=True)}
    first = seconds[id(found[0])]
    print("| a step of prompt tuning | precision | seconds | times the first line | in single turns | memory, GB |")
    print("|---|---|---:|---:|---|---:|")
    for side in found:
        once, taken = memory[id(side)]
        mine = seconds.get(id(side), [once] * runs)
        ratios = [a / b for a, b in zip(mine, first, strict=True)]
        middle = statistics.median(mine)
        turns = f"{min(ratios):.2f} to {max(ratios):.2f}" if side.turns else "one step"
        print(
            f"| {side.title} | {side.precision} | {middle:.2f} | {middle / statistics.median(first):.2f} | {turns} | "
            f"{taken / 1e9:.2f} |",
            flush=True,
        )
