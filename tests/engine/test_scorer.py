"""Scoring a prompt: the language backbone runs once for all images."""

from __future__ import annotations

from PIL import Image

import glip_core
from glip_core import Prompt
from odinw_bench.datasets.annotations import check_annotations
from odinw_bench.datasets.coco import Split
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


def test_a_class_of_id_0_that_no_first_image_shows_keeps_its_place():
    """The evaluator takes it for the background: its AP was missing, and the others stood for the wrong classes."""
    categories = [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]
    images = [{"id": number, "file_name": f"{number}.jpg", "width": 64, "height": 64} for number in range(3)]
    boxes = [{"id": 1, "image_id": 1, "category_id": 0, "bbox": [8, 8, 20, 20]}]  # a prompt is given up before it
    boxes += [{"id": 2, "image_id": 0, "category_id": 1, "bbox": [8, 8, 20, 20]}]
    content = {"images": images, "annotations": boxes, "categories": categories}
    split = Split(check_annotations(content), lambda _: Image.new("RGB", (64, 64)), sha256="")
    scorer = Scorer(GlipModel(glip_core.load("glip-nano")), [split])
    scorer._detect = lambda *_: []
    prompt = Prompt.from_classes(["cat", "dog"])
    assert scorer.score(prompt, lambda _: True)["per_class"] == {"0": None, "1": 0.0}
    assert scorer.score(prompt)["per_class"] == scorer.measure([])["per_class"] == {"0": 0.0, "1": 0.0}
