"""What a user asks for: one run, by the names of its model, dataset, mode and subset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from glip_core.config import PRESETS
from glip_core.errors import InputError
from odinw_bench.datasets.fewshot import Shots
from odinw_bench.datasets.task import PROMPT_STYLES, PromptStyle
from odinw_bench.engine.protocol_files import (
    PROTOCOLS,
    full_protocol_name,
    nano_protocol,
    newest_protocol,
    official_protocol,
)
from odinw_bench.models import HUB_PREFIX, MODES, TEXT_MODES, UNTUNED, ModelFacts, find_mode, find_model, model_facts
from odinw_bench.models.hub.checkpoints import recorded_source
from odinw_bench.models.registry import BUILT_IN, ONNX
from odinw_bench.utils.io import canonical_json, sha256_bytes
from odinw_bench.utils.plugins import class_target
from odinw_bench.utils.text import shorten

__all__ = [
    "MODES",
    "OFFICIAL_SEEDS",
    "OFFICIAL_SHOTS",
    "PRECISIONS",
    "PROTOCOLS",
    "TEXT_MODES",
    "UNTUNED",
    "RunSpec",
    "Shots",
    "newest_protocol",
]

OFFICIAL_SEEDS = (3, 30, 300)
OFFICIAL_SHOTS: tuple[Shots, ...] = (0, 1, 3, 5, 10, "all")
PRECISIONS = ("fp32", "bf16", "fp16")


@dataclass(frozen=True)
class RunSpec:
    """What to run: one model, one dataset, one way of tuning, one subset.

    Attributes:
        model: a detector's name, ``PACKAGE.MODULE:CLASS``, ``hf:OWNER/NAME`` or ``hf:FOLDER``
            (see :mod:`odinw_bench.models`).
        suite: ``mini``, ``odinw13``, ``odinw35`` or the path of a folder.
        dataset: a task's name, or the path of a COCO folder.
        mode: a tuning mode, by name or as ``PACKAGE.MODULE:CLASS``.
        shots: images per class, or ``"all"``; 0 for the modes that tune nothing.
        seed: of the subset, the data order and the augmentation.
        protocol: named hyper-parameters; None: ``mini`` for the nano models, else ``odinw-glip``, the official one;
            without its version a name means the newest, so ``mini`` is ``mini-2``.
        weights: a file or another preset's name; None: the model's own.
        attributes: a file with prompt parts for the ``manual`` mode, or any mode with written prompts; None: those
            of the task.
        overrides: hyper-parameters that differ from the protocol's.
        precision: ``fp32``, or autocast to ``bf16`` or ``fp16``; while tuning the recipe may have one of its own.
        eval_split: the split that is reported; ``official``: the one that each task's official file evaluates.
        prompt_style: ``names`` or ``written`` (hand-written attributes where a task has them) in any mode of a model
            that reads text; None: what the suite's official task file uses. ``manual`` is always written.
        retention: data sets that the tuned detector is asked again zero-shot (see
            :func:`odinw_bench.datasets.retained.wanted_tasks`); empty, and so for whatever tunes nothing or reads no
            prompt: none.
    """

    dataset: str
    model: str = "glip-nano"
    suite: str = "mini"
    mode: str = "prompt"
    shots: Shots = 5
    seed: int = 3
    protocol: str | None = None
    weights: str | None = None
    attributes: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict, hash=False)
    precision: str = "fp32"
    eval_split: str = "test"
    prompt_style: PromptStyle | None = None
    retention: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        facts = self.facts  # first of all: an error in the model's name is reported before any other
        object.__setattr__(self, "overrides", dict(self.overrides))
        mode = find_mode(self.mode)
        if self.mode in UNTUNED:
            object.__setattr__(self, "shots", 0)
        elif self.shots == 0:
            raise InputError(f"mode '{self.mode}' tunes on labelled images: shots must be 1 or more, or 'all'")
        if self.mode in UNTUNED or not facts.has_text:  # nothing is lost, or there was nothing to lose
            object.__setattr__(self, "retention", ())
        object.__setattr__(self, "retention", tuple(self.retention))
        if self.shots != "all" and (isinstance(self.shots, bool) or not isinstance(self.shots, int) or self.shots < 0):
            raise InputError(f"shots must be a number of images per class or 'all', not {shorten(self.shots)}")
        if self.protocol is not None:
            object.__setattr__(self, "protocol", full_protocol_name(self.protocol, self.shots))
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise InputError(f"seed must be a whole number of at least 0, not {shorten(self.seed)}")
        if mode.needs_text and not facts.has_text:
            raise InputError(
                f"'{self.model}' has a class head and no prompt: mode '{self.mode}' needs a model that reads one"
            )
        if not facts.allows(mode):
            raise InputError(f"'{self.model}' is tuned elsewhere; here it can be run as {' and '.join(facts.modes)}")
        if self.precision not in PRECISIONS:
            raise InputError(f"unknown precision {shorten(self.precision)}; known: {', '.join(PRECISIONS)}")
        if self.prompt_style not in (None, *PROMPT_STYLES):
            raise InputError(f"unknown prompt style {shorten(self.prompt_style)}; known: {', '.join(PROMPT_STYLES)}")
        if self.prompt_style == "names" and self.mode == "manual":
            raise InputError("the mode 'manual' is with hand-written prompts; plain names are the mode 'zero-shot'")
        if self.attributes is not None and self.mode != "manual" and self.prompt_style != "written":
            raise InputError("an attributes file is for the mode 'manual', or for --prompt-style written")

    @cached_property
    def facts(self) -> ModelFacts:
        """What is known of the model before it is loaded; looked up once."""
        return model_facts(self.model)

    @property
    def protocol_name(self) -> str:
        """The protocol in force."""
        return self.protocol or (nano_protocol if self.facts.nano else official_protocol)(self.shots)

    @property
    def mode_name(self) -> str:
        """The mode's name in tables and folders."""
        return find_mode(self.mode).name

    def to_json(self) -> dict[str, Any]:
        """The spec as a record holds it."""
        fields = asdict(self) | {
            "model": self.facts.name,
            "protocol": self.protocol_name,
            "mode": self.mode_name,
            "overrides": dict(self.overrides),
        }
        if self.mode_name not in MODES:  # so that it can be found again, and is one run however it was named
            fields["mode_class"] = class_target(type(find_mode(self.mode)))
        if self.model.startswith((HUB_PREFIX, ONNX)):  # likewise
            fields["model_source"] = recorded_source(self.model)
        elif self.model not in PRESETS and self.model not in BUILT_IN:  # likewise
            fields["model_class"] = class_target(find_model(self.model))
        if self.prompt_style is None:  # as before there was a choice
            del fields["prompt_style"]
        if self.retention:
            fields["retention"] = list(self.retention)
        else:  # likewise
            del fields["retention"]
        return fields

    def digest(self, identities: Mapping[str, Any]) -> str:
        """Hex digest of everything that can change the numbers, and of nothing else.

        What a spec only *names* counts by what it stands for: not the path of the weights but their hash, not the
        overrides but the hyper-parameters in force. So one run keeps its digest however it was asked for.

        Args:
            identities: what the names stand for: suite, dataset, data hashes, weights, prompt, hyper-parameters.
        """
        named = {"dataset", "suite", "model_source", "model_class", "weights", "attributes", "overrides"}
        named |= {"prompt_style", "retention"}
        facts = {name: value for name, value in self.to_json().items() if name not in named}
        return sha256_bytes(canonical_json([facts, dict(identities)]))

    def folder_name(self, suite: str, dataset: str, digest: str) -> str:
        """Where the record lies below the results folder."""
        run = f"{self.mode_name}-{self.shots}shot-seed{self.seed}-{digest[:8]}"
        return f"{suite}/{self.facts.name}/{dataset}/{run}"
