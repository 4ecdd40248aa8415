"""Running a network of the Grounding DINO families from the middle: its vision or text features are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from odinw_bench.models.hub.features import VisionFeatures


@contextmanager
def answered(answers: Mapping[nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """While the block runs, modules give what functions return in place of what they compute; hooks run as ever."""
    for module, answer in answers.items():
        module.forward = answer
    try:
        yield
    finally:
        for module in answers:
            del module.forward


def vision_features(network: Any, pixels: Tensor, mask: Tensor, hw: tuple[int, int]) -> VisionFeatures:
    """The projected maps of images ``[B, 3, H, W]``: those of the backbone, and coarser ones made of the last."""
    body = network.model
    found, _ = body.backbone(pixels, mask)
    maps = [level for level, _ in found]
    levels: list[Tensor] = []
    for number, project in enumerate(body.input_proj_vision):
        beyond = maps[-1] if number == len(maps) else levels[-1] if levels else maps[0]
        levels.append(project(maps[number] if number < len(maps) else beyond))
    return VisionFeatures(tuple(levels), tuple((x.shape[-2], x.shape[-1]) for x in levels), mask, hw)


def text_features(network: Any, ids: Tensor) -> Tensor:
    """``[B, T, D]`` of tokens ``[B, T]``: each phrase of the caption is read apart from the others."""
    from transformers.models.grounding_dino import modeling_grounding_dino as published

    body = network.model
    mask, positions = published.generate_masks_with_special_tokens_and_transfer_map(
        ids, special_tokens=body.special_tokens
    )
    read = body.text_backbone(ids, mask[:, None], torch.zeros_like(ids), positions, return_dict=True)
    projected: Tensor = body.text_projection.forward(read.last_hidden_state)  # not the hook that adds an offset
    return projected


def run(network: Any, vision: VisionFeatures, text: Tensor, ids: Tensor, **labels: Any) -> Any:
    """The network's outputs for features that are given.

    Args:
        network: a ``GroundingDinoForObjectDetection``, or a class made like it.
        vision: of B images.
        text: ``[1, T, D]``.
        ids: ``[1, T]``.
        labels: what its ``forward`` takes beside.
    """
    body, images = network.model, len(vision.mask)
    levels = vision.levels or tuple(text.new_zeros(1).expand(images, text.shape[-1], *s) for s in vision.shapes)
    number = min(body_levels(network), len(levels))

    def backbone(_pixels: Tensor, mask: Tensor) -> tuple[list[tuple[Tensor, Tensor]], list[Tensor]]:
        sizes = [nn.functional.interpolate(mask[None].float(), size=x.shape[-2:])[0].bool() for x in levels[:number]]
        maps = list(zip(levels[:number], sizes, strict=True))
        return maps, [body.backbone.position_embedding(*one).to(one[0].dtype) for one in maps]

    def given(level: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda _: level

    answers: dict[nn.Module, Callable[..., Any]] = {
        body.backbone: backbone,
        body.text_backbone: lambda *_, **__: SimpleNamespace(last_hidden_state=text),
        body.text_projection: lambda _: text.expand(images, -1, -1),
    }
    answers |= {project: given(level) for project, level in zip(body.input_proj_vision, levels, strict=True)}
    with answered(answers):
        return network(
            pixel_values=text.new_zeros(1).expand(images, 3, *vision.mask.shape[-2:]),
            pixel_mask=vision.mask,
            input_ids=ids.expand(images, -1),
            encoder_outputs=vision.fused,
            **labels,
        )


def body_levels(network: Any) -> int:
    """Levels that the backbone itself has."""
    return len(network.model.backbone.conv_encoder.intermediate_channel_sizes)
