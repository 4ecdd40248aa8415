"""The profile command: every stage, its own memory, operations that can be checked by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict

import pytest
import torch
from torchvision.ops import deform_conv2d

import glip_core
from glip_core import InputError
from glip_core.modeling.deform import Levels, deform_conv
from odinw_bench.profiling import ProfileSettings, measure, operations, profile, profile_all, suite
from odinw_bench.profiling import clock as stages
from odinw_bench.profiling.operations import count_flops, matrix_product_rate
from odinw_bench.utils.hardware import allow_tf32


@pytest.fixture(scope="module")
def measured():
    """glip-nano with and without fusion, and a training step."""
    variants = {"fusion": {}, "plain": {"fusion": False}, "training": {"phase": "training", "batch": 2}}
    return {name: profile(ProfileSettings("glip-nano", repeats=2, **how)) for name, how in variants.items()}


def test_stages_make_up_the_whole(measured):
    for found in measured.values():
        inside = sum(value for name, value in found["stages"].items() if name not in ("decode", "resize"))
        # Medians of parts need not add up to the median of the whole; with two passes they do within a third.
        assert inside == pytest.approx(found["seconds"]["p50"], rel=0.35)
        assert found["seconds"]["p95"] >= found["seconds"]["p50"] > 0
        assert found["images_per_second"] == pytest.approx(found["settings"]["batch"] / found["seconds"]["p50"])
        assert all(value >= 0 for value in found["stages"].values())
        json.dumps(found)


def test_fusion_shows_where_it_is_and_only_there(measured):
    assert measured["fusion"]["stages"]["fusion"] > 0
    assert "fusion" not in measured["plain"]["stages"]
    assert measured["fusion"]["parameters"] > measured["plain"]["parameters"]
    assert measured["fusion"]["gflops"] > measured["plain"]["gflops"] > 0
    assert measured["fusion"]["once"]["language"] > 0  # a prompt is encoded once


def test_a_training_step_has_its_own_stages(measured):
    assert {"losses", "backward", "update"} <= measured["training"]["stages"].keys()
    assert measured["training"]["gflops"] is None


def test_flops_of_a_matrix_product():
    a, b = torch.randn(8, 16), torch.randn(16, 4)
    assert count_flops(lambda: a @ b) == 2 * 8 * 16 * 4


def test_flops_of_products_that_torch_does_not_count():
    """The fusion adds a product in place; attention without gradients has a kernel of the CPU's own."""
    total, a, b = torch.zeros(3, 8, 4), torch.randn(3, 8, 16), torch.randn(3, 16, 4)
    assert count_flops(lambda: total.baddbmm_(a, b)) == 2 * 3 * 8 * 16 * 4
    q, k, v = torch.randn(2, 4, 8, 16), torch.randn(2, 4, 32, 16), torch.randn(2, 4, 32, 16)
    mask = torch.ones(2, 1, 1, 32, dtype=torch.bool)
    attend = torch.nn.functional.scaled_dot_product_attention
    with torch.no_grad():
        for given in (None, mask):
            assert count_flops(lambda given=given: attend(q, k, v, attn_mask=given)) == 2 * 2 * 2 * 4 * 8 * 32 * 16


@pytest.mark.parametrize("ours", [True, False])
def test_deformable_sampling_is_counted(ours):
    """Four rows a sample, each multiplied and added, then the product: the same for our path and torchvision's."""
    channels, out, size = 8, 6, 5
    x, offsets = torch.randn(1, channels, size, size), torch.zeros(1, 18, size, size)
    mask, weight, bias = torch.ones(1, 9, size, size), torch.randn(out, channels, 3, 3), torch.zeros(out)

    def work():
        if ours:
            return deform_conv(Levels.to_sample([x]), [(offsets, mask)], weight, bias, stride=1)[0]
        return deform_conv2d(x, offsets, weight, bias, padding=1, mask=mask)

    with torch.no_grad():
        assert count_flops(work) == size * size * 9 * channels * (8 + 2 * out)


def test_the_machines_own_rate_is_positive():
    assert matrix_product_rate("cpu", "fp32", side=64, seconds=0.01) > 0


def test_the_rate_of_a_fast_gpu_is_not_that_of_waiting_for_it(monkeypatch):
    """A stand-in that needs 25 microseconds a product, and 25 to be waited for."""
    clock, queued = [0.0], [0]

    class Matrix:
        def to(self, _):
            return self

        def __matmul__(self, _):
            queued[0] += 1

    def wait(_):
        clock[0] += 25e-6 * (queued[0] + 1)
        queued[0] = 0

    monkeypatch.setattr(torch, "randn", lambda *_, device: Matrix())
    monkeypatch.setattr(torch.cuda, "synchronize", wait)
    monkeypatch.setattr(operations.time, "perf_counter", lambda: clock[0])
    rate = matrix_product_rate("cuda:0", "bf16", side=2048, seconds=0.01)
    assert rate == pytest.approx(2 * 2048**3 / 25e-6, rel=0.05)


@pytest.mark.parametrize(("device", "module"), [("cuda", torch.cuda), ("mps", torch.mps)])
def test_passes_that_count_wait_for_a_gpu_at_their_ends_alone(monkeypatch, device, module):
    """A stand-in that is waited for a second each time: with the clock at every border the speed was the clock's."""
    clock = [0.0]

    def wait(*_):
        clock[0] += 1.0

    monkeypatch.setattr(module, "synchronize", wait)
    monkeypatch.setattr(stages.time, "perf_counter", lambda: clock[0])
    detector = glip_core.load("glip-nano")
    watch = stages.StageClock(torch.device(device))

    def work():
        for _ in range(10):
            with watch.stage("losses"):
                clock[0] += 0.5

    seconds, first, staged = measure._timed(work, watch, detector, repeats=5)
    assert seconds == [6.0] * 5  # the work, and one waiting until it is done
    assert len(staged) == measure.STAGED
    assert staged[0] == (26.0, {"losses": 15.0})
    assert first == {"losses": 15.0}


@pytest.mark.integration
def test_a_setting_that_fails_does_not_stop_the_others():
    wrong = ProfileSettings("glip-nano", repeats=1, device="cuda:99")
    found = list(profile_all([wrong, ProfileSettings("dyhead-nano", repeats=1)]))
    assert found[0]["error"] and "images_per_second" not in found[0]
    assert found[1]["images_per_second"] > 0


def test_a_process_that_measures_allows_no_tf32(monkeypatch, capsys):
    """Torch would round the factors of convolutions; runs do not."""
    before = allow_tf32(True)
    seen = []
    monkeypatch.setattr(sys, "argv", ["suite", json.dumps(asdict(ProfileSettings("glip-nano")))])
    monkeypatch.setattr(suite, "profile", lambda _: seen.append(torch.backends.cudnn.allow_tf32))
    try:
        suite._main()
        assert seen == [False]
        assert not torch.backends.cuda.matmul.allow_tf32
    finally:
        allow_tf32(*before)


@pytest.mark.parametrize(
    "wrong", [{"phase": "dreaming"}, {"precision": "fp8"}, {"batch": 0}, {"repeats": 0}, {"model": "glip-x"}]
)
def test_settings_that_cannot_be(wrong):
    with pytest.raises(InputError):
        ProfileSettings(**{"model": "glip-nano", **wrong})


@pytest.mark.integration
def test_profiling_needs_no_benchmark_packages():
    """GPU machines often come with a fixed image that has torch, but none of these."""
    code = (
        "import sys\n"
        "for name in ('pycocotools', 'optuna', 'roboflow', 'pandas'): sys.modules[name] = None\n"
        "from odinw_bench.cli import main\n"
        "sys.argv = ['odinw-bench', 'profile', '--help']\n"
        "import odinw_bench.cli.profile, odinw_bench.profiling.figure\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
