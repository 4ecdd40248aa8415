"""Too little memory for a batch: it is halved, the numbers stay, and the record says so."""

from __future__ import annotations

import pytest
import torch

from glip_core.detector import GLIP
from odinw_bench.engine.micro_batch import MemoryExhaustedError, MicroBatching
from odinw_bench.runs.run import run
from odinw_bench.runs.spec import RunSpec


@pytest.fixture
def small_memory(monkeypatch):
    """A device that holds so many images at a time, and no more."""

    def limit(images: int) -> list[int]:
        asked = []
        whole = GLIP.run_heads

        def run_heads(self, levels, text):
            asked.append(len(levels[0]))
            if len(levels[0]) > images:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 7.00 GiB.\nGPU 0 ...")
            return whole(self, levels, text)

        monkeypatch.setattr(GLIP, "run_heads", run_heads)
        return asked

    return limit


@pytest.mark.parametrize("mode", ["prompt", "full"])
def test_a_batch_is_halved_and_the_numbers_stay(tmp_path, small_memory, mode):
    spec = RunSpec(
        "packages", mode=mode, shots=5, overrides={"epochs": 1, "repeats_per_epoch": 1, "min_steps_per_epoch": 1}
    )
    whole = run(spec, tmp_path / "whole")
    assert whole["cost"]["images_per_pass"] == {"tuning": None, "testing": None}
    asked = small_memory(3)
    halved = run(spec, tmp_path / "halved")
    assert halved["status"] == "done"
    assert halved["cost"]["images_per_pass"] == {"tuning": 2, "testing": 2}
    assert max(asked) > 3  # it was tried
    assert sum(count > 3 for count in asked) <= 3  # but not again and again
    assert halved["digest"] == whole["digest"]
    # Only the order of sums differs, which a few steps of AdamW and the ranking of close scores magnify.
    assert halved["metrics"]["AP"] == pytest.approx(whole["metrics"]["AP"], abs=0.5)


def test_where_not_even_one_image_fits_the_run_is_a_recorded_failure(tmp_path, small_memory):
    small_memory(0)
    with pytest.raises(MemoryExhaustedError, match="one image at a time: use --precision bf16 or"):
        run(RunSpec("packages", mode="zero-shot"), tmp_path)  # in which there is nothing to checkpoint
    with pytest.raises(MemoryExhaustedError, match="one image at a time: use --checkpointing, --precision bf16 or"):
        run(RunSpec("packages", mode="prompt", shots=5), tmp_path)


def test_it_halves_and_tells_other_errors_apart():
    micro_batching = MicroBatching()
    sizes = []

    def work():
        for part in micro_batching.split(range(10)):
            sizes.append(len(part))
            if len(part) > 3:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    micro_batching.run(10, work)
    assert micro_batching.max_images == 2
    assert sizes == [10, 5, 2, 2, 2, 2, 2]
    with pytest.raises(RuntimeError, match="something else"):
        micro_batching.run(10, lambda: (_ for _ in ()).throw(RuntimeError("something else")))
    assert micro_batching.max_images == 2


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_every_way_to_run_out_of_memory_halves_the_batch(error):
    micro_batching = MicroBatching()

    def work(most):
        if any(len(part) > most for part in micro_batching.split(range(8))):
            raise error

    micro_batching.run(8, lambda: work(2))
    assert micro_batching.max_images == 2
    said = str(error).partition("\n")[0] or "MemoryError"
    with pytest.raises(MemoryExhaustedError) as caught:
        micro_batching.run(8, lambda: work(0))
    assert str(caught.value).endswith(f"({said})")
