"""What a GPU computes is what the processor computes; for machines that have one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import glip_core
from glip_core import Prompt, Targets, tuning
from odinw_bench.datasets.registry import load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.engine.features import FeatureCache
from odinw_bench.engine.predict import detect_split
from odinw_bench.engine.recipes import hyperparameters
from odinw_bench.engine.train import tune
from odinw_bench.metrics.coco import evaluate
from odinw_bench.models.glip import GlipModel
from tests.glip_core.reference import sampling_nano

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
PROMPT = Prompt.from_classes(["fish", "stingray", "puffin"])


@pytest.fixture(autouse=True)
def full_precision():
    """float32 without TF32, so that tolerances are those of rounding."""
    backends = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = False
    yield
    for backend, value in zip(backends, before, strict=True):
        backend.allow_tf32 = value


def test_raw_outputs():
    pixels = torch.randn(2, 3, 96, 128)
    model = sampling_nano()
    with torch.no_grad():
        expected = model.forward_raw(pixels, PROMPT)
        found = model.to("cuda").forward_raw(pixels.cuda(), PROMPT)
    for field in ("logits", "box_deltas", "centerness"):
        for a, b in zip(getattr(found, field), getattr(expected, field), strict=True):
            torch.testing.assert_close(a.cpu(), b, atol=1e-3, rtol=1e-3)  # the oracle's tolerance with fusion


@pytest.mark.parametrize("mode", ["full", "prompt", "linear"])
def test_gradients(mode):
    """Norm by norm, the network in float64: in float32 a sample that crosses a pixel's border moves them by 3e-4.

    The losses themselves are float32: 1e-5.
    """
    pixels = torch.randn(1, 3, 96, 128, dtype=torch.double)
    targets = Targets(torch.tensor([[5.0, 5, 40, 40], [50, 30, 120, 90]]).double(), torch.tensor([1, 2]))
    found = []
    for device in ("cpu", "cuda"):
        model = sampling_nano().double().to(device)
        trainable = tuning.get_mode(mode).prepare(model, PROMPT)
        losses = model.loss(pixels.to(device), [targets.to(device)], PROMPT)
        sum(losses.values()).backward()
        found.append({name: float(p.grad.norm()) for name, p in trainable.items() if p.grad is not None})
    expected, norms = found
    whole = sum(value**2 for value in expected.values()) ** 0.5
    assert norms == {name: pytest.approx(value, rel=1e-5, abs=1e-8 * whole) for name, value in expected.items()}


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_detections_of_a_trained_model(precision):
    """AP of the embedded model within 0.3 of the processor's, in half precision too."""
    task = load_task("aquarium", "mini")
    split, prompt = open_split(task, "test"), Prompt.from_classes(task.class_names)
    ap = []
    for device, how in (("cpu", "fp32"), ("cuda", precision)):
        model = GlipModel(glip_core.load("glip-nano", device=device))
        ap.append(evaluate(split.annotations, detect_split(model, prompt, split, precision=how))["AP"])
    assert ap[1] == pytest.approx(ap[0], abs=0.05 if precision == "fp32" else 0.3)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("mode", ["full", "prompt"])
def test_tuning_learns(mode, precision):
    task = load_task("vehicles", "mini")
    train, validation = open_split(task, "train"), open_split(task, "val")
    model = GlipModel(glip_core.load("glip-nano", device="cuda"))
    recipe = replace(hyperparameters("mini-1", mode, 5), epochs=3, eval_every=3)
    subset, few = train.subset(train.image_ids[:12]), validation.subset(validation.image_ids[:6])
    prompt = Prompt.from_classes(task.class_names)
    tuned = tune(
        model,
        tuning.get_mode(mode),
        prompt,
        subset,
        few,
        recipe,
        seed=3,
        precision=precision,
        cache=FeatureCache(1 << 30),
    )
    first, last = (sum(tuned.history[i]["losses"].values()) for i in (0, -1))
    assert last < first
