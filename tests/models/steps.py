"""What tests of a training step of transformers' detectors share."""

from __future__ import annotations

from contextlib import contextmanager

import torch

from glip_core.modes import MODES
from odinw_bench.engine.predict import autocast
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


def check_checkpointing(model, name, prompt, inputs, targets, normalisers, precision):
    """With it the same loss and gradients, dropout included, and a quarter fewer bytes that are kept for them."""
    trainable = model.trainable(mode_of(name)[0], prompt)
    model.train()
    for module in model.network.modules():
        if isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.1

    def step():
        for parameter in trainable.values():
            parameter.grad = None
        torch.manual_seed(3)  # the second computation of a layer must draw the same random numbers
        with saved_bytes() as held, autocast(torch.device("cpu"), precision):
            loss = total(model.losses(inputs, targets, prompt, normalisers))
        loss.backward()
        return sum(held), [loss.detach(), *(p.grad for p in trainable.values())]

    plain, expected = step()
    model.use_checkpointing(True)
    thrifty, found = step()
    assert thrifty < plain * 0.75
    for one, other in zip(found, expected, strict=True):
        assert (one is None and other is None) or torch.equal(one, other)
    model.use_checkpointing(False)
    assert step()[0] == plain
