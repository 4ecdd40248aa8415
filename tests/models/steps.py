"""What tests of a training step of transformers' detectors share."""

from __future__ import annotations

from contextlib import contextmanager

import torch

from glip_core.modes import MODES
from odinw_bench.engine.recipes import hyperparameters


def mode_of(name, **overrides):
    settings = hyperparameters("odinw-glip-1", name, 5, overrides)
    return MODES[name].configured(settings), settings


def shake(model):
    """No weight is zero, as some are in new models: then every parameter has a gradient."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.02)
    return model


def total(losses):
    return torch.stack(list(losses.values())).sum()


@contextmanager
def saved_bytes():
    """Sizes of what the block keeps for the backward pass, in bytes."""
    held = []

    def note(tensor):
        held.append(tensor.nbytes)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield held
