"""Hours by the paper's speeds: images and passes divided by them, and nothing where the paper has none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from odinw_bench import RunSpec
from odinw_bench.datasets.task import TaskClass
from odinw_bench.metrics.published import facts
from odinw_bench.runs.estimate import estimate_published, passes_in_testing
from odinw_bench.runs.prepare import prepare

SPEED = {(row["model"], row["fusion"]): row for row in facts()["cost"]["rows"]}


def cell(model, **spec):
    made = prepare(RunSpec("packages", **spec))
    return replace(made, facts=replace(made.facts, name=model))


def test_testing_and_tuning_at_the_paper_s_speeds():
    tested = cell("glip-t", mode="zero-shot")
    fused = SPEED["GLIP-T", True]
    seconds = len(tested.test) / fused["inference_fps"]
    assert estimate_published([tested]) == pytest.approx(seconds / 3600)
    tuned = cell("glip-t", mode="full", shots=1)
    seconds += len(tuned.test) / fused["inference_fps"] + tuned.most_passes / fused["train_fps"]
    assert estimate_published([tested, tuned]) == pytest.approx(seconds / 3600)


@pytest.mark.parametrize("model", ["glip-t-a", "dyhead-t"])
def test_models_without_fusion_are_faster(model):
    tested = cell(model, mode="zero-shot")
    speed = SPEED["GLIP-T", False]["inference_fps"]
    assert estimate_published([tested]) == pytest.approx(len(tested.test) / speed / 3600)


def test_lvis_is_looked_at_once_for_every_40_classes():
    tested = cell("glip-t", mode="zero-shot")
    once = estimate_published([tested])
    classes = tuple(TaskClass(str(i), i) for i in range(1203))
    many = replace(tested, task=replace(tested.task, evaluation="lvis", classes=classes))
    assert estimate_published([many]) == pytest.approx(31 * once)


def test_every_sentence_is_a_prompt():
    made = prepare(RunSpec("mini-flickr", suite="mini-flickr", mode="zero-shot"))
    sentences = sum(len(listed) for listed in made.test.sentences.values())
    assert passes_in_testing(made) == sentences > len(made.test)


def test_no_estimate_without_a_published_speed():
    assert estimate_published([cell("glip-nano", mode="zero-shot")]) is None
    assert estimate_published([]) is None
