"""The Triton kernel of the deformable layers: equal to the plain formula, compilable, and off unless asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from glip_core.modeling.sampling import TRITON, use_triton


def check(tmp_path, **variables: str) -> dict:
    """What ``tests.glip_core.triton_check`` prints; Triton reads its variables when it is imported."""
    pytest.importorskip("triton", reason="Triton comes with torch on Linux alone")
    surroundings = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    surroundings |= {"TRITON_CACHE_DIR": str(tmp_path), **variables}
    command = [sys.executable, "-m", "tests.glip_core.triton_check"]
    done = subprocess.run(command, capture_output=True, text=True, env=surroundings, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.integration
def test_output_and_gradients_equal_the_plain_formula(tmp_path):
    """float64: only the order of sums differs; bf16: a rounding of samples, weights and output each, 2^-8."""
    found = check(tmp_path, TRITON_INTERPRET="1")
    assert set(found["errors"]) == {"one pixel", "two images", "stride 2", "several blocks of channels"}
    for errors in found["errors"].values():
        half = errors.pop("output in bf16")
        assert len(errors) == 6
        assert max(errors.values()) < 1e-13
        assert half < 0.02
    assert found["extremes"] == {"far": True, "NaN": True, "empty": True}


@pytest.mark.integration
def test_the_kernels_compile_for_a_gpu(tmp_path):
    """The interpreter allows more than the compiler does."""
    found = check(tmp_path)
    assert set(found) == {"fp32", "bf16"}
    assert all(size > 0 for kernels in found.values() for size in kernels.values())


class OnSecondGpu(torch.Tensor):
    """Says that it is there."""

    is_cuda = True
    device = torch.device("cuda:1")


def test_kernels_are_launched_where_the_tensors_are(monkeypatch):
    pytest.importorskip("triton", reason="Triton comes with torch on Linux alone")
    from glip_core.modeling import triton_deform

    current, launched = [torch.device("cuda:0")], []

    @contextmanager
    def on(device):
        current.append(device)
        yield
        current.pop()

    class Kernel:
        def __getitem__(self, grid):
            return lambda *_, **__: launched.append(current[-1])

    monkeypatch.setattr(torch.cuda, "device", on)
    for name in ("_sample", "_sample_backward"):
        monkeypatch.setattr(triton_deform, name, Kernel())
    x = torch.zeros(1, 5, 5, 4).as_subclass(OnSecondGpu)
    offsets, mask = torch.zeros(1, 18, 5, 5), torch.ones(1, 9, 5, 5)
    kept = SimpleNamespace(save_for_backward=lambda *_: None, saved_tensors=(x, offsets, mask), stride=1)
    columns = triton_deform._Samples.forward(kept, x, offsets, mask, 1)
    triton_deform._Samples.backward(kept, columns)
    assert launched == [torch.device("cuda:1")] * 2


@pytest.mark.parametrize(("cuda", "value", "used"), [(True, "1", True), (True, "", False), (False, "1", False)])
def test_off_unless_asked_for(monkeypatch, cuda, value, used):
    monkeypatch.setenv(TRITON, value)
    assert use_triton(SimpleNamespace(is_cuda=cuda)) is used
