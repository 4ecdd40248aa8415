"""What sets a run apart from the usual one of its model, in words."""

from __future__ import annotations

from functools import cache
from pathlib import PurePath
from typing import Any

import pandas as pd

from glip_core.config import PRESETS
from odinw_bench.datasets.registry import load_suite
from odinw_bench.engine.protocol_files import nano_protocol, official_protocol
from odinw_bench.engine.recipes import current_name
from odinw_bench.models import is_embedded
from odinw_bench.runs.record import RunRecord
from odinw_bench.runs.spec import UNTUNED

BODY_ALONE = "its body under a new class layer"
"""How a class-head detector that starts from a GLIP's weights is called: it is not the paper's DyHead."""
WRITTEN, PLAIN = "written prompts", "plain names"
"""How a run is called whose prompt is of another style than the official task file's."""
ON_OFFICIAL = "on the official split"
REAL_SUITES = ("odinw13", "odinw35")
OF_THE_PAPER = ("coco",)
"""Suites whose test split has no labels: another takes its place."""


def variant_of(record: RunRecord, *, split: bool = True) -> str:
    """What sets a run apart from the usual one of its model, mode and shots; empty for a usual run.

    Args:
        record: of the run.
        split: whether the split that was tested on does.
    """
    parts = [*_recipe(record), *_detector(record)]
    if split and record.spec.eval_split != usual_split(record.spec.suite):
        parts.append(f"on {record.spec.eval_split}")
    return ", ".join(parts)


def detector_of(record: RunRecord) -> str:
    """What sets the detector apart that a run began with, whatever the recipe of its tuning; empty for the usual one.

    Runs of one model for which it is the same, and the hash of the weights too, began with the same detector.
    """
    return ", ".join(_detector(record))


def _recipe(record: RunRecord) -> list[str]:
    """How it was tuned, where that is unusual; whatever tunes nothing knows no protocol."""
    spec, protocol, parts = record.spec, record.protocol_name, []
    if spec.mode in UNTUNED:
        return []
    usual = nano_protocol if is_embedded(spec.model) else official_protocol
    known = spec.model in PRESETS or is_embedded(spec.model)
    if protocol and known and protocol != usual(spec.shots):
        parts.append(protocol)
    return parts + sorted(f"{current_name(key)}={value}" for key, value in spec.overrides.items())


def _detector(record: RunRecord) -> list[str]:
    """The weights, the prompt and the precision, where they are unusual."""
    spec, parts = record.spec, []
    for key, value in (("weights", spec.weights), ("attributes", spec.attributes)):
        if value:
            body = key == "weights" and spec.model in PRESETS and not _has_text(spec.model)
            note = f": {BODY_ALONE}" if body and _has_text(value) else ""
            parts.append(f"{key} {PurePath(value).name}{note}")
    if spec.mode != "manual":
        parts += _unusual_prompt(record)
    if spec.precision != "fp32":
        parts.append(spec.precision)
    return parts


@cache
def usual_split(suite: str) -> str:
    """The split that runs of a suite are tested on unless they say another."""
    splits = {task.split_named("test") for task in load_suite(suite)} if suite in OF_THE_PAPER else {"test"}
    return splits.pop() if len(splits) == 1 else "test"


def _has_text(preset: Any) -> bool:
    return preset in PRESETS and PRESETS[preset].has_text


def _unusual_prompt(record: RunRecord) -> list[str]:
    """The style of the prompt where the official task file has another.

    Of models that are no presets the name does not say whether they read prompts: for them it has to have been asked
    for, as every other style than the usual one has to be.
    """
    model = record.spec.model
    if not (_has_text(model) if model in PRESETS else record["spec"].get("prompt_style")):
        return []
    usual = _official("prompt_style", record.spec.suite).get(record.spec.dataset, "names")
    style = record.protocol.get("prompt_style") or "names"  # before there was a choice it was names
    return [] if style == usual else [WRITTEN if style == "written" else PLAIN]


@cache
def _official(fact: str, suite: str) -> dict[str, str]:
    """A fact of each task of a real suite, by name; of other suites none."""
    return {task.name: getattr(task, fact) for task in load_suite(suite)} if suite in REAL_SUITES else {}


def tell_official_splits(frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The variants, and the splits that were tested in words.

    Runs that were tested on each task's official split are of one variant and one split, though some use another's
    name. Runs on ``val`` alone stay that: ``minival``, the official split of some tasks, says that the official ones
    were meant.
    """
    columns = ("suite", "model", "mode", "shots", "variant", "eval_split", "dataset")
    rows = list(zip(*(frame[name].tolist() for name in columns), strict=True))
    keys = [(*row[:4], row[4].removesuffix(f"on {row[5]}").removesuffix(", ")) for row in rows]
    meant = {key for key, row in zip(keys, rows, strict=True) if row[5] == "minival"}
    variants, splits = [], []
    for key, row in zip(keys, rows, strict=True):
        official = row[5] == _official("eval_split", row[0]).get(row[6]) and key in meant
        variants.append(f"{key[4]}, {ON_OFFICIAL}".removeprefix(", ") if official else row[4])
        splits.append(ON_OFFICIAL if official else f"on {row[5]}")
    return variants, splits


def tell_weights_apart(frame: pd.DataFrame) -> pd.Series:
    """The variants, with the hash of the weights where runs of one name were made with different ones."""
    kinds = frame.groupby(["suite", "model", "variant"])["weights_sha256"].transform("nunique")
    several = (kinds > 1) & (frame["weights_sha256"] != "")
    hashes = "weights " + frame["weights_sha256"].str[:8]
    joined = frame["variant"].where(frame["variant"] == "", frame["variant"] + ", ") + hashes
    return frame["variant"].where(~several, joined)
