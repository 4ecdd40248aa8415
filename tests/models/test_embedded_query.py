"""The embedded query detectors: small, known by name, and better than chance at what they were pre-trained on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.ops import box_area, box_iou

from glip_core import Prompt, Targets
from glip_core.checkpoint import EMBEDDED
from odinw_bench import RunSpec
from odinw_bench.mini.pretraining import DETECTION_CLASSES, sample
from odinw_bench.models import BUILT_IN, find_model, is_embedded, model_facts
from odinw_bench.pretraining.data import prompt_of
from tests.models.steps import mode_of, total

QUERY = [name for name, one in BUILT_IN.items() if one.nano]


def test_they_are_run_as_the_other_embedded_models_are():
    assert QUERY
    for name in QUERY:
        assert is_embedded(name) and model_facts(name).nano
        assert RunSpec(dataset="pothole", model=name, mode="full", shots=5).protocol_name.startswith("mini-")
    assert not is_embedded("grounding-dino-t") and not is_embedded("glip-t")


def test_all_embedded_weights_take_at_most_35_megabytes():
    files = [
        *EMBEDDED.glob("*.safetensors"),
        *(Path(BUILT_IN[name].repository) / "model.safetensors" for name in QUERY),
    ]
    assert sum(file.stat().st_size for file in files) < 35e6


@pytest.mark.parametrize("name", QUERY)
def test_they_find_things_of_their_pre_training(name, recwarn):
    """In scenes that pre-training did not draw (another seed), the first boxes of a thing that is there lie on one."""
    model = find_model(name).load(None, "cpu")
    assert not [w for w in recwarn if "embed_dim" in str(w.message)], "a warning that no user can do anything about"
    right = asked = 0
    for index in range(12):
        drawn = sample("detection", 12345, index)
        if model.facts().has_text:
            prompt, labels = prompt_of(drawn), torch.as_tensor(drawn.labels)
        else:
            prompt, labels = Prompt.from_classes(list(DETECTION_CLASSES)), torch.as_tensor(drawn.class_labels)
        boxes, labels = torch.as_tensor(drawn.boxes)[labels >= 0], labels[labels >= 0]
        if not len(labels):
            continue
        wanted = labels[box_area(boxes).argmax()]
        found = model.predict(drawn.image, prompt)
        first = found.boxes[found.labels == wanted][:1]
        asked += 1
        right += bool((box_iou(first, boxes[labels == wanted]) > 0.5).any())
    assert asked >= 8 and right > asked / 2


@pytest.mark.parametrize("name", QUERY)
def test_full_tuning_trains_and_keeps_nothing_that_no_loss_reaches(name):
    model = find_model(name).load(None, "cpu", classes=2)
    prompt = Prompt.from_classes(["fish", "penguin"])
    trainable = model.trainable(mode_of("full")[0], prompt)
    model.train()
    one = model.prepare(sample("detection", 12345, 0).image)
    targets = Targets(torch.tensor([[3.0, 4, 30, 40], [20, 20, 80, 55]]), torch.tensor([0, 1]))
    total(model.losses([one], [targets], prompt, {"boxes": 2.0})).backward()
    assert [key for key, parameter in trainable.items() if parameter.grad is None] == []
    assert model.tuned_state().keys() == trainable.keys()
    assert any("swin.layernorm" in key for key, _ in model.network.named_parameters())
