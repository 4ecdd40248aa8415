"""One model in one setting, measured in this process."""

from __future__ import annotations

import io
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

import glip_core
from glip_core import Detector, EncodedPrompt, InputError, Prompt, Targets, tuning
from glip_core.config import get_config
from glip_core.images import load_image
from glip_core.preprocess import pad_batch, resized_hw, to_tensor
from odinw_bench.profiling.clock import StageClock
from odinw_bench.profiling.operations import count_flops, matrix_product_rate
from odinw_bench.runs.environment import environment, peak_memory, reset_peak_memory

CLASSES = ("fish", "jellyfish", "penguin", "puffin", "shark", "starfish", "stingray")
"""Aquarium's: a prompt of about 20 tokens."""

PHASES = ("inference", "training")

STAGED = 3
"""Passes on a GPU that are timed by stage: waiting for it at their borders makes them slower than those that count."""


@dataclass(frozen=True)
class ProfileSettings:
    """What to measure.

    Attributes:
        model: a detector's preset; its weights are random, the cost is the same.
        fusion: with deep fusion; ignored where the model has none.
        phase: ``inference``, or ``training``: one full-tuning step, forward, backward and update.
        batch: images at a time.
        precision: ``fp32``, or autocast to ``bf16`` or ``fp16``.
        photo: (width, height) of the made-up photo, before resizing to the model's own size.
        repeats: passes that count; one more goes before them, and on a GPU up to :data:`STAGED` follow for the stages.
        device: ``cpu``, ``cuda[:N]`` or ``mps``.
    """

    model: str
    fusion: bool = True
    phase: str = "inference"
    batch: int = 1
    precision: str = "fp32"
    photo: tuple[int, int] = (1024, 768)
    repeats: int = 10
    device: str = "cpu"

    def __post_init__(self) -> None:
        get_config(self.model)
        if self.phase not in PHASES:
            raise InputError(f"phase must be inference or training, not '{self.phase}'")
        if self.precision not in ("fp32", "bf16", "fp16"):
            raise InputError(f"precision must be fp32, bf16 or fp16, not '{self.precision}'")
        if self.batch < 1 or self.repeats < 1:
            raise InputError("batch and repeats must be at least 1")


def profile(settings: ProfileSettings) -> dict[str, Any]:
    """Measure one setting.

    Peak memory is that of the process (on a GPU: of torch's allocations), so it is only the model's own in a process
    that does nothing else (see :func:`odinw_bench.profiling.suite.profile_all`).

    Returns:
        ``settings``, ``images_per_second``, ``seconds`` (``p50``, ``p95`` of a batch), ``stages`` (median seconds a
        batch, on a GPU their shares of ``p50``; what is done once a prompt is under ``once``), ``peak_memory_bytes``,
        ``parameters``, ``gflops`` an image, ``matmul_gflops_per_second`` of this machine, ``share_of_matmul`` reached,
        and ``environment``.
    """
    config = get_config(settings.model)
    if not settings.fusion and config.has_text:
        config = replace(config, fusion=None)
    device = torch.device(settings.device)
    rate = matrix_product_rate(settings.device, settings.precision)
    torch.manual_seed(0)
    detector = glip_core.assemble(config, num_classes=None if config.has_text else len(CLASSES)).to(device)
    photo = _photo(settings.photo)
    hw = resized_hw(settings.photo, config.image_short, config.image_long)
    prompt = Prompt.from_classes(CLASSES)
    pixels, sizes = pad_batch([to_tensor(Image.open(io.BytesIO(photo)), hw)] * settings.batch)
    work = _training(detector, prompt, hw, settings) if settings.phase == "training" else _inference(detector, prompt)
    clock = StageClock(device)
    reset_peak_memory(settings.device)

    def once_through() -> None:
        with torch.autocast(device.type, dtype=_dtype(settings), enabled=settings.precision != "fp32"):
            work(clock, pixels.to(device), sizes)

    seconds, first, staged = _timed(once_through, clock, detector, settings.repeats)
    peak = peak_memory(settings.device)
    p50 = statistics.median(seconds)
    pace = p50 / statistics.median(total for total, _ in staged)  # 1 on a CPU
    stages = {name: pace * statistics.median(parts.get(name, 0.0) for _, parts in staged) for name in first}
    once = {"language": first["language"]} if stages.get("language") == 0.0 else {}
    stages = {name: value for name, value in stages.items() if name not in once}
    stages["other"] = max(p50 - sum(stages.values()), 0.0)
    with torch.no_grad():
        text = detector.encode_text(prompt)
    flops = _flops(detector, prompt, pixels.to(device), settings)
    return {
        "settings": asdict(settings) | {"fusion": config.fusion is not None},
        "image_hw": list(hw),
        "tokens": 0 if text is None else text.hidden.shape[1],
        "images_per_second": settings.batch / p50,
        "seconds": {"p50": p50, "p95": float(np.percentile(seconds, 95))},
        "stages": stages | _loading(photo, hw, settings.batch),
        "once": once,
        "peak_memory_bytes": peak,
        "parameters": sum(p.numel() for p in detector.parameters()),
        "gflops": None if flops is None else flops / settings.batch / 1e9,
        "matmul_gflops_per_second": rate / 1e9,
        "share_of_matmul": None if flops is None else flops / p50 / rate,
        "environment": environment(settings.device),
    }


_Pass = tuple[float, dict[str, float]]
"""Seconds of a pass, and of its stages."""


def _timed(
    work: Callable[[], None], clock: StageClock, detector: Detector, repeats: int
) -> tuple[list[float], dict[str, float], list[_Pass]]:
    """Time passes.

    On a CPU, which nothing is queued for, the same passes give the speed and the stages.

    Args:
        work: one pass.
        clock: not watching.
        detector: what the clock watches.
        repeats: passes that count.

    Returns:
        the seconds of these, the stages of a first one, and some passes by stage.
    """

    def timed() -> _Pass:
        clock.seconds.clear()
        started = clock.now()
        work()
        return clock.now() - started, dict(clock.seconds)

    clock.watch(detector)
    _, first = timed()
    if clock.device.type == "cpu":
        staged = [timed() for _ in range(repeats)]
        clock.unwatch()
        return [total for total, _ in staged], first, staged
    clock.unwatch()
    seconds = [timed()[0] for _ in range(repeats)]
    clock.watch(detector)
    staged = [timed() for _ in range(min(repeats, STAGED))]
    clock.unwatch()
    return seconds, first, staged


def _dtype(settings: ProfileSettings) -> torch.dtype:
    return torch.float16 if settings.precision == "fp16" else torch.bfloat16


def _photo(size: tuple[int, int]) -> bytes:
    """A JPEG of noise over slow waves: neither trivially small nor pure noise."""
    width, height = size
    rng = np.random.default_rng(0)
    wave = 127 + 90 * np.sin(np.arange(width) / 40)[None, :, None] * np.cos(np.arange(height) / 30)[:, None, None]
    pixels = (wave + rng.normal(0, 12, (height, width, 3))).clip(0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=90)
    return out.getvalue()


def _loading(photo: bytes, hw: tuple[int, int], batch: int) -> dict[str, float]:
    """Median seconds for a batch of decoding and resizing, which run in the background beside a GPU."""
    decode, resize = [], []
    clock = StageClock(torch.device("cpu"))
    for _ in range(5):
        started = clock.now()
        image = load_image(Image.open(io.BytesIO(photo)))
        image.load()
        between = clock.now()
        to_tensor(image, hw)
        decode.append(between - started)
        resize.append(clock.now() - between)
    return {"decode": statistics.median(decode) * batch, "resize": statistics.median(resize) * batch}


Work = Callable[[StageClock, torch.Tensor, list[tuple[int, int]]], None]


def _inference(detector: Detector, prompt: Prompt) -> Work:
    detector.eval()
    # Random weights with the usual prior find nothing, and post-processing would have nothing to do.
    with torch.no_grad():
        for name, parameter in detector.named_parameters():
            if name.endswith(("bias0", "cls_logits.bias")):
                parameter.zero_()

    encoded: list[EncodedPrompt] = []

    @torch.no_grad()
    def work(clock: StageClock, pixels: torch.Tensor, sizes: list[tuple[int, int]]) -> None:
        if not encoded:  # in the first pass, so that the clock sees it
            encoded.append(detector.encode(prompt))
        raw = detector.forward_raw(pixels, encoded[0])
        with clock.stage("post-processing"):
            detector.detections_from_raw(raw, sizes, prompt)

    return work


def _training(detector: Detector, prompt: Prompt, hw: tuple[int, int], settings: ProfileSettings) -> Work:
    mode = tuning.get_mode("full")
    named = mode.prepare(detector, prompt)
    optimiser = torch.optim.AdamW(
        tuning.parameter_groups(named, lr=1e-6, language_lr=1e-6, weight_decay=0.05), fused=True
    )
    scaler = torch.amp.GradScaler(settings.device.split(":")[0], enabled=settings.precision == "fp16")
    height, width = hw
    corners = torch.tensor([[0.1, 0.1, 0.3, 0.4], [0.5, 0.5, 0.9, 0.8], [0.6, 0.1, 0.7, 0.2]])
    boxes = (corners * torch.tensor([width, height, width, height])).to(detector.device)
    targets = [Targets(boxes, torch.tensor([0, 1, 2], device=detector.device))] * settings.batch

    def work(clock: StageClock, pixels: torch.Tensor, sizes: list[tuple[int, int]]) -> None:
        mode.train(detector)
        raw = detector.forward_raw(pixels, prompt)
        with clock.stage("losses"):
            total = torch.stack(list(detector.losses_from_raw(raw, targets, prompt).values())).sum()
        with clock.stage("backward"):
            scaler.scale(total).backward()
        with clock.stage("update"):
            scaler.step(optimiser)
            scaler.update()
            optimiser.zero_grad()

    return work


def _flops(detector: Detector, prompt: Prompt, pixels: torch.Tensor, settings: ProfileSettings) -> int | None:
    """Operations of one inference pass with an encoded prompt; None for training, of which the pass is a part."""
    if settings.phase == "training":
        return None
    with torch.no_grad():
        encoded = detector.encode(prompt)
        return count_flops(lambda: detector.forward_raw(pixels, encoded))
