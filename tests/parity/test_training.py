"""Losses, assignment, gradients, tuning modes and their first optimiser steps against the official code."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable

import pytest
import torch

from glip_core import tuning

from .conftest import Subject
from .oracle import Case

MODELS = ["dyhead_t", "glip_t"]
OFFICIAL = {
    "full": "full",
    "linear_prob": "linear",
    "language_prompt_v1": "language",
    "language_prompt_v2": "prompt",
}


@pytest.fixture(scope="module", params=MODELS)
def subject(request, subjects, parity) -> Subject:
    return subjects(request.param)


@pytest.fixture(scope="module")
def train(subject, parity) -> Case:
    return Case(parity, f"{subject.case.name}_train")


@pytest.fixture(scope="module")
def modes(subject, parity) -> dict:
    return json.loads((parity / f"{subject.case.name}_tuning_modes.json").read_text())


def expected_losses(stored: dict[str, float]) -> dict[str, float]:
    alignment = stored.get("loss_dot_product_token", stored["loss_cls"])
    return {"alignment": alignment, "box": stored["loss_reg"], "centerness": stored["loss_centerness"]}


@pytest.fixture(scope="module")
def gradients(subject, train) -> Callable[[str], dict[str, torch.Tensor]]:
    """``gradients(mode)``: of the losses, in float64, for each parameter that the mode trains; computed once.

    In float32 they depend on the processor: where a sampling point crosses a pixel's border they jump, by up to 2e-3
    of the largest entry and 6e-4 of the norm with one processor's matrix products.
    """

    @functools.cache
    def of_mode(mode: str) -> dict[str, torch.Tensor]:
        try:
            subject.detector.eval().double()
            trainable = tuning.get_mode(mode).prepare(subject.detector, subject.prompt)
            losses = subject.detector.loss(subject.pixels.double(), subject.targets(train), subject.prompt)
            sum(losses.values()).backward()
            return {name: torch.zeros_like(p) if p.grad is None else p.grad.float() for name, p in trainable.items()}
        finally:
            subject.detector.float().zero_grad()
            subject.refill()
            if hasattr(subject.detector, "prompt_offset"):
                subject.detector.prompt_offset = None

    return of_mode


def test_losses(subject, train):
    with torch.no_grad():
        losses = subject.detector.loss(subject.pixels, subject.targets(train), subject.prompt)
    for name, value in expected_losses(train.facts["losses_full"]).items():
        assert float(losses[name]) == pytest.approx(value, rel=1e-4), name  # measured 4e-6


def test_assignment(subject, train):
    with torch.no_grad():
        raw = subject.detector.forward_raw(subject.pixels, subject.prompt)
    (assignment,) = subject.detector.assign(raw, subject.targets(train))
    assert train.error("assigned_gt_plus1", assignment.matched + 1) == 0
    assert len(assignment.positive) == train.facts["normalisers"]["num_pos"]
    assert train.error("centerness_targets_positive", assignment.centerness) <= 1e-5
    norm = subject.detector.normalisers(tuple(subject.pixels.shape[-2:]), subject.targets(train)[0])
    assert norm.positives == train.facts["normalisers"]["num_pos"]
    assert norm.centerness == pytest.approx(train.facts["normalisers"]["sum_centerness_targets"], rel=1e-6)


@pytest.mark.parametrize("official", list(OFFICIAL))
def test_trainable_names_and_groups(subject, modes, official):
    if official not in modes:
        pytest.skip("the official code has no such mode for this model")
    mode, stored = tuning.get_mode(OFFICIAL[official]), modes[official]
    assert sorted(tuning.trainable_names(subject.detector, mode.name)) == sorted(stored["names"])
    trainable = mode.prepare(subject.detector, subject.prompt)
    prompt_tuning = official == "language_prompt_v2"
    groups = tuning.parameter_groups(
        trainable, lr=0.05 if prompt_tuning else 1e-4, language_lr=1e-5, weight_decay=0.25 if prompt_tuning else 0.05
    )
    ours = {name: [group["lr"], group["weight_decay"]] for group in groups for name in group["names"]}
    assert ours == {name: pytest.approx(value) for name, value in stored["lr_wd_of"].items()}


@pytest.mark.parametrize(
    "official", ["full", *(pytest.param(mode, marks=pytest.mark.integration) for mode in OFFICIAL if mode != "full")]
)
def test_gradients(gradients, train, modes, official):
    """Every gradient norm within 1e-4 relative (measured 2e-5)."""
    if official not in modes:
        pytest.skip("the official code has no such mode for this model")
    stored = train.facts["grad_norm_full"] if official == "full" else modes[official].get("grad_norm")
    if stored is None:
        pytest.skip("no gradient norms stored for this mode")
    ours, checked = gradients(OFFICIAL[official]), 0
    for name, value in stored.items():
        if name in ours:
            # Key biases of an attention have no gradient but rounding; hence the absolute part, scaled by the whole.
            norm = float(ours[name].norm())
            assert norm == pytest.approx(value, rel=1e-4, abs=1e-7 * train.facts["grad_total_norm_full"]), name
            checked += 1
    assert checked == len(stored)


@pytest.mark.parametrize(
    ("official", "dtype", "steps", "tolerance"),
    [
        ("language_prompt_v2", torch.float32, 2, 5e-3),
        pytest.param("language_prompt_v2", torch.float64, 6, 1e-5, marks=pytest.mark.integration),  # a minute and more
        pytest.param("linear_prob", torch.float32, 6, 1e-4, marks=pytest.mark.integration),
    ],
)
def test_trajectory(subject, train, parity, official, dtype, steps, tolerance):
    """The first steps of AdamW with clipping.

    Prompt tuning in float64 is the same to 1e-7 in all six. In float32 it is determined for two (measured 3e-4, norms
    1e-3; training_spec.md allows 5e-3): a millionth of the pixels, in float64 and with torchvision's kernel too, moves
    the gradient by 3e-4 where a sampling point crosses a pixel's border, and AdamW makes 3 % of that by the sixth.
    """
    stored = json.loads((parity / "tuning_trajectories.json").read_text()).get(f"{subject.case.name}/{official}")
    if stored is None:
        pytest.skip("no trajectory stored")
    mode = tuning.get_mode(OFFICIAL[official])
    trainable = mode.prepare(subject.detector, subject.prompt)
    optimiser = torch.optim.AdamW(
        tuning.parameter_groups(trainable, lr=stored["base_lr"], language_lr=1e-5, weight_decay=stored["weight_decay"])
    )
    try:
        subject.detector.to(dtype)
        for step in stored["steps_float64" if dtype == torch.float64 else "steps_float32"][:steps]:
            losses = subject.detector.eval().loss(subject.pixels.to(dtype), subject.targets(train), subject.prompt)
            for name, value in expected_losses(step).items():
                assert float(losses[name].detach()) == pytest.approx(value, rel=tolerance), name
            optimiser.zero_grad()
            sum(losses.values()).backward()
            norm = torch.nn.utils.clip_grad_norm_(list(trainable.values()), 1.0)
            assert float(norm) == pytest.approx(step["grad_norm_before_clip"], rel=tolerance)
            optimiser.step()
    finally:
        subject.detector.float().zero_grad()
        subject.refill()
        if hasattr(subject.detector, "prompt_offset"):
            subject.detector.prompt_offset = None


def test_gradient_samples(gradients, train):
    """Stored samples of single gradients, not only their norms: 1e-4 of the largest entry (measured 3e-5)."""
    for mode in ("full", "prompt"):
        prefix = "grad_full/" if mode == "full" else "grad_language_prompt_v2/"
        keys = [key for key in train.facts["arrays"] if key.startswith(prefix)]
        for key in keys:
            name = key.removeprefix(prefix)
            gradient = gradients(mode)["rpn.tunable_linear.weight" if name == "tunable_linear_rows" else name]
            allowed = 1e-4 * float(gradient.abs().max())
            assert train.error(key, gradient) <= allowed, (key, train.error(key, gradient), allowed)
