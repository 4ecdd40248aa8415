"""Images of one padded size share a pass of a step: gradients and losses are those of one image after the other."""

from __future__ import annotations

import pytest
import torch

from glip_core import Prompt, Targets
from glip_core.modes import MODES
from odinw_bench.engine.distributed import SINGLE_PROCESS
from odinw_bench.engine.micro_batch import MicroBatching
from odinw_bench.engine.optimise import Optimisation
from odinw_bench.engine.recipes import hyperparameters
from odinw_bench.models import find_model
from odinw_bench.models.inputs import PreparedImage

BOXES = (
    [[8.0, 8.0, 40.0, 48.0], [60.0, 20.0, 100.0, 90.0]],
    [[30.0, 30.0, 90.0, 80.0]],
    [],  # nothing to find
    [[5.0, 50.0, 60.0, 100.0]],
)


@pytest.mark.parametrize("name", ["glip-nano", "dyhead-nano"])
def test_gradients_do_not_depend_on_which_images_share_a_pass(name):
    """Only the order of float32 sums differs: 1e-5 of the largest gradient."""
    settings = hyperparameters("mini-2", "linear", 5)
    mode = MODES["linear"].configured(settings)
    prompt = Prompt.from_classes(["fish", "stingray"])
    sizes = [(128, 128), (128, 128), (128, 128), (96, 128)]  # the last has a pass of its own either way
    torch.manual_seed(0)
    examples = [
        (
            PreparedImage(torch.randn(1, 3, *size), size),
            Targets(torch.tensor(boxes).reshape(-1, 4), torch.arange(len(boxes))),
        )
        for size, boxes in zip(sizes, BOXES, strict=True)
    ]
    found = []
    for most in (None, 1):
        model = find_model(name).load(None, "cpu", classes=2)
        trained = model.trainable(mode, prompt)
        batching = MicroBatching()
        batching.max_images = most
        step = Optimisation(model, trained, settings, "fp32", SINGLE_PROCESS, batching)
        passes = []
        model.network.get_submodule("head").register_forward_hook(
            lambda _m, inputs, _out, seen=passes: seen.append(len(inputs[0][0]))
        )
        losses = step.step(iter(examples), model.encode_frozen(mode, prompt))
        assert passes == ([3, 1] if most is None else [1, 1, 1, 1])
        found.append((losses, {name: p.grad.clone() for name, p in trained.items()}))
    (together, gradients), (apart, others) = found
    assert together == pytest.approx(apart, rel=1e-5)
    largest = max(float(g.abs().max()) for g in others.values())
    for key, gradient in gradients.items():
        torch.testing.assert_close(gradient, others[key], atol=1e-5 * largest, rtol=0)
