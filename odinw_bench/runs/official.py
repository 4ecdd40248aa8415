"""What a run would use on each task of the real suites, to compare with the official configuration; no data needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from glip_core.config import get_config
from odinw_bench.datasets.prompts import task_prompt
from odinw_bench.datasets.registry import load_suite
from odinw_bench.datasets.task import Task
from odinw_bench.engine.recipes import Hyperparameters, current_name, hyperparameters
from odinw_bench.runs.spec import UNTUNED, RunSpec


@dataclass(frozen=True)
class TaskProfile:
    """One task as a run would meet it.

    Attributes:
        config: name of the official task file.
        caption: what the model is given.
        prompt: style of the caption.
        train: annotation file that is learnt from, below the data root; empty where nothing is tuned.
        validation: likewise, what is selected on.
        test: likewise, what is reported; its split in front.
    """

    config: str
    caption: str
    prompt: str
    train: str
    validation: str
    test: str


@dataclass(frozen=True)
class OfficialProfile:
    """What runs of one kind would use.

    Attributes:
        suite: its name.
        shared: what is the same for all tasks, by name.
        tasks: the others, in order of their official names.
    """

    suite: str
    shared: dict[str, Any]
    tasks: list[TaskProfile]


def official_profile(spec: RunSpec) -> OfficialProfile:
    """What runs like a spec would use on every task of its suite; the spec's dataset does not count.

    Args:
        spec: of a preset with settings as a run would have them.

    Raises:
        InputError: an unknown suite or hyper-parameter.
    """
    from glip_core.postprocess import PostprocessConfig
    from glip_core.preprocess import MEAN_BGR, PAD_MULTIPLE, STD_BGR

    config, after = get_config(spec.model), PostprocessConfig()
    settings = (
        None if spec.mode in UNTUNED else hyperparameters(spec.protocol_name, spec.mode, spec.shots, spec.overrides)
    )
    shared: dict[str, Any] = {
        "model": config.name,
        "mode": spec.mode,
        "shots": spec.shots,
        "seed": spec.seed,
        "weights": spec.weights or config.checkpoint,
        "shorter side": config.image_short,
        "longer side at most": config.image_long,
        "padded to multiples of": PAD_MULTIPLE,
        "mean, BGR": list(MEAN_BGR),
        "deviation, BGR": list(STD_BGR),
        "class score above": after.min_class_score,
        "kept per level": after.per_level,
        "NMS IoU": after.nms_iou,
        "kept per image": after.per_image,
        "tokens at most": config.max_tokens,
        "precision": spec.precision,
        "protocol": spec.protocol_name if settings else None,
    }
    shared |= {current_name(name): value for name, value in settings.to_json().items()} if settings else {}
    tasks = [_profile(task, spec, settings) for task in load_suite(spec.suite)]
    return OfficialProfile(spec.suite, shared, sorted(tasks, key=lambda one: one.config.lower()))


def _profile(task: Task, spec: RunSpec, settings: Hyperparameters | None) -> TaskProfile:
    style = spec.prompt_style if spec.facts.has_text else "names"
    prompt = task_prompt(task, spec.mode if task.has_manual else "zero-shot", spec.attributes, style=style)
    tested = task.eval_split if spec.eval_split == "official" else spec.eval_split
    written = "written" if prompt != task_prompt(task, "zero-shot") else "names"
    return TaskProfile(
        config=task.config or task.name,
        caption=prompt.caption,
        prompt=written,
        train=_file(task, "train", spec, few=True, shuffled=settings.shuffled_subset) if settings else "",
        validation=_file(task, task.eval_split, spec, few=settings.few_shot_validation) if settings else "",
        test=f"{tested}: {task.splits[tested].annotations}" if tested in task.splits else f"no split '{tested}'",
    )


def _file(task: Task, split: str, spec: RunSpec, *, few: bool, shuffled: bool = True) -> str:
    """The ready-made subset, which the rule stands in for where the data root has none; else the whole split."""
    pattern = task.fewshot.get(split)
    if not few or spec.shots == "all":
        return f"{split}: {task.splits[split].annotations}"
    if not shuffled:
        return f"{split}: unshuffled from {task.splits[split].annotations}"
    if pattern is None:
        return f"{split}: by the rule from {task.splits[split].annotations}"
    return f"{split}: " + pattern.replace("{shots}", str(spec.shots)).replace("{seed}", str(spec.seed))
