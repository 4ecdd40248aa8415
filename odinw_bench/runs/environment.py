"""What a record says of the machine: versions, hardware, memory, time."""

from __future__ import annotations

import contextlib
import platform
import resource
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from odinw_bench import __version__
from odinw_bench.metrics.fast import REFERENCE, evaluator
from odinw_bench.models import Model, ModelFacts
from odinw_bench.utils.hardware import allow_tf32

_PROCESS = Path("/proc/self")


def reset_peak_memory(device: str) -> None:
    """Restart the measurement of :func:`peak_memory`, where the system can."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
    with contextlib.suppress(OSError):
        (_PROCESS / "clear_refs").write_text("5")


def peak_memory_of(model: Model) -> int | None:
    """:func:`peak_memory` on a model's device; None where another library than PyTorch allocates on a GPU."""
    device = str(model.device)
    return None if device.startswith("cuda") and not model.in_torch else peak_memory(device)


def peak_memory(device: str) -> int:
    """Largest memory since :func:`reset_peak_memory`, in bytes: allocated on the GPU if there is one, else resident.

    Where the system cannot restart it (Linux can), the largest of this process so far. On a GPU it is PyTorch's alone.
    """
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    with contextlib.suppress(OSError):
        for line in (_PROCESS / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


@contextlib.contextmanager
def arithmetic(facts: ModelFacts, device: str, *, tf32: bool = False) -> Iterator[None]:
    """How a model computes while the block runs: one thread for a small one on a CPU; on GPUs no TF32 unless allowed.

    Its sums are then the same on every number of cores and beside any number of other processes; a second thread
    would save it a fifth of the time, and cost it a multiple where cores are shared. A GPU is the current one
    meanwhile: what is given none, such as a library's workspace, would be put on the first one.
    """
    before, allowed = torch.get_num_threads(), allow_tf32(tf32)
    if device == "cpu" and facts.nano:
        torch.set_num_threads(1)
    try:
        with torch.cuda.device(device) if device.startswith("cuda") else contextlib.nullcontext():
            yield
    finally:
        torch.set_num_threads(before)
        allow_tf32(*allowed)


def environment(device: str, *, tf32: bool | None = None) -> dict[str, Any]:
    """Versions and hardware, for the record.

    Of a GPU also whether float32 may have been rounded to TF32 there; and what evaluates where it is not the reference.
    """
    name = _gpu(device) if device.startswith("cuda") else _processor()
    rounding = {"tf32": tf32} if tf32 is not None and device.startswith("cuda") else {}
    quicker = {} if evaluator() == REFERENCE else {"evaluator": evaluator()}
    return (
        rounding
        | quicker
        | {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "device": device,
            "device_name": name,
            "threads": torch.get_num_threads(),
            "odinw_bench": __version__,
            "git_revision": _git_revision(),
        }
    )


def _gpu(device: str) -> str:
    """The GPU's name; unknown where it is another computer's, whose process died."""
    return torch.cuda.get_device_name(device) if torch.cuda.is_available() else "unknown"


@lru_cache(maxsize=1)
def _processor() -> str:
    """The processor's name, as far as the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@lru_cache(maxsize=1)
def _git_revision() -> str | None:
    """The checkout's revision, with ``-dirty`` where files differ; None outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def now() -> str:
    """The time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
