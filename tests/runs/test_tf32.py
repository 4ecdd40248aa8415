"""Where and how a run computes: on its GPU, and without TF32, which rounds what records call float32, unless asked."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch

from odinw_bench.models import model_facts
from odinw_bench.runs.environment import arithmetic
from odinw_bench.utils.hardware import allow_tf32


def flags() -> tuple[bool, bool]:
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("asked", [False, True])
def test_only_where_it_is_asked_for_and_only_meanwhile(asked):
    before = allow_tf32(False, True)  # torch's own default
    try:
        with arithmetic(model_facts("glip-nano"), "cpu", tf32=asked):
            assert flags() == (asked, asked)
        assert flags() == (False, True)
    finally:
        allow_tf32(*before)


@pytest.mark.parametrize(("device", "expected"), [("cuda:1", ["cuda:1"]), ("cpu", [])])
def test_the_gpu_of_a_run_is_the_current_one_meanwhile(monkeypatch, device, expected):
    """What is given no GPU, such as Triton, would work on the first one."""
    current = []

    @contextmanager
    def on(device):
        current.append(device)
        yield
        current.remove(device)

    monkeypatch.setattr(torch.cuda, "device", on)
    with arithmetic(model_facts("glip-nano"), device):
        assert current == expected
    assert current == []


def test_a_run_computes_without_and_says_so(tmp_path, monkeypatch):
    import odinw_bench
    from odinw_bench import RunSpec
    from odinw_bench.models.glip import GlipModel

    seen = set()
    detect = GlipModel.detect_batch

    def spy(self, *arguments):
        seen.add(flags())
        return detect(self, *arguments)

    monkeypatch.setattr(GlipModel, "detect_batch", spy)
    record = odinw_bench.run(RunSpec(dataset="packages", mode="zero-shot"), tmp_path)
    assert seen == {(False, False)}
    assert "tf32" not in record["environment"]  # of a GPU alone
    seen.clear()
    odinw_bench.run(RunSpec(dataset="packages", mode="zero-shot"), tmp_path, tf32=True, force=True)
    assert seen == {(True, True)}
