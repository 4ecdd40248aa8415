"""Where ``glip_core.load`` puts a detector, what it refuses, and which names the packages have."""

from __future__ import annotations

import importlib

import pytest
import torch
from safetensors.torch import save_file

import glip_core
from glip_core import InputError


def test_load_finds_a_device():
    assert glip_core.load("glip-nano", device="auto").device.type in ("cpu", "cuda", "mps")
    with pytest.raises(InputError, match="unknown device 'gpu': use auto, cpu, cuda"):
        glip_core.load("glip-nano", device="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="'cuda' is not available here"):
            glip_core.load("glip-nano", device="cuda")


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch):
    from glip_core.builder import pick_device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device("auto").type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto").type == "cuda"


def test_a_gpu_beyond_the_last_is_refused(monkeypatch):
    from glip_core.builder import pick_device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("cuda:1").index == 1
    with pytest.raises(InputError, match=r"'cuda:2' is not available here: the last of 2 is cuda:1"):
        pick_device("cuda:2")


def test_load_says_what_to_do_with_tuned_parameters(tmp_path):
    save_file({"rpn.head.bias0": torch.zeros(1)}, tmp_path / "tuned.safetensors")
    with pytest.raises(InputError, match=r'odinw_bench\.load_run\(".*"\)'):
        glip_core.load("glip-nano", weights=tmp_path / "tuned.safetensors")


@pytest.mark.parametrize("name", ["glip_core", "odinw_bench", "glip_core.hf"])
def test_names_are_the_interface_and_nothing_else(name):
    module = importlib.import_module(name)
    stars: dict = {}
    exec(f"from {name} import *", stars)
    stars.pop("__builtins__")
    assert set(stars) == set(module.__all__)
    if name != "glip_core.hf":  # whose modules are loaded at once
        assert dir(module) == sorted(module.__all__)
    for one in module.__all__:
        assert getattr(module, one).__doc__ or one == "PRESETS", one
