"""Scoring a prompt: the language backbone runs once for all images."""

from __future__ import annotations

import glip_core
from glip_core import Prompt
from odinw_bench.datasets.registry import load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.engine.scorer import Scorer
from odinw_bench.models.glip import GlipModel
from tests.engine.test_train import language_passes


def test_a_prompt_is_encoded_once_for_all_splits_and_parts():
    model = GlipModel(glip_core.load("glip-nano"))
    task = load_task("packages", "mini")
    splits = [whole.subset(whole.image_ids[:4]) for whole in (open_split(task, "train"), open_split(task, "val"))]
    scorer, prompt = Scorer(model, splits), Prompt.from_classes(task.class_names)
    assert language_passes(model, lambda: scorer.score(prompt)) == 1
    assert language_passes(model, lambda: scorer.predictions(prompt)) == 1
    assert language_passes(model, lambda: scorer.score(prompt, lambda _: True)) == 1
