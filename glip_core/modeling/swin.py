"""Swin Transformer as a detection backbone."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from timm.models.swin_transformer import (
    PatchMerging,
    SwinTransformerBlock,
    window_partition,
    window_reverse,
)
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from glip_core.config import SwinConfig
from glip_core.modeling.windows import attend

_MANY_VALUES = 1 << 17


class PixelLinear(nn.Linear):
    """A linear layer for very many rows.

    On a CPU, without gradients, large float32 inputs go through a 1x1 convolution: that is oneDNN's matrix product,
    faster than MKL's on many processors, and it adds the bias on the way rather than copying it into the output first.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``[..., in]`` -> ``[..., out]``."""
        plain = x.device.type != "cpu" or x.dtype != torch.float32 or x.numel() < _MANY_VALUES
        if plain or torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        pixels = x.reshape(1, -1, 1, x.shape[-1]).permute(0, 3, 1, 2)
        out = F.conv2d(pixels, self.weight[:, :, None, None], self.bias)
        return out.permute(0, 2, 3, 1).reshape(*x.shape[:-1], self.out_features)


class PaddedSwinBlock(SwinTransformerBlock):
    """timm's block with the order of the detection Swin: pad to whole windows first, then roll.

    timm rolls before it pads and shrinks windows that exceed the map, which gives other numbers at most sizes.
    The zeros of the padding take part in attention; only regions that the roll brings together are kept apart.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for layer in (self.attn.qkv, self.attn.proj, self.mlp.fc1, self.mlp.fc2):
            layer.__class__ = PixelLinear  # its parameters and their names stay

    def _attn(self, x: Tensor) -> Tensor:
        _, height, width, _ = x.shape
        window = self.window_size[0]
        shift = self.target_shift_size[0]
        x = F.pad(x, (0, 0, 0, -width % window, 0, -height % window))  # (B, H', W', C)
        padded_height, padded_width = x.shape[1:3]
        mask = None
        if shift:
            x = torch.roll(x, shifts=(-shift, -shift), dims=(1, 2))
            mask = shifted_window_mask(padded_height, padded_width, window, shift, x)
        windows = window_partition(x, (window, window)).flatten(1, 2)  # (B * windows, window^2, C)
        if x.device.type == "cpu" and torch.is_autocast_enabled("cpu") and not torch.is_grad_enabled():
            windows = attend(self.attn, windows, mask)
        else:
            # Torch's own attention writes no scores to memory, but its exponential is good to 20 bits only.
            self.attn.fused_attn = not torch.is_grad_enabled()
            windows = self.attn(windows, mask=mask)
        windows = windows.unflatten(1, (window, window))
        x = window_reverse(windows, (window, window), padded_height, padded_width)
        if shift:
            x = torch.roll(x, shifts=(shift, shift), dims=(1, 2))
        return x[:, :height, :width].contiguous()


def shifted_window_mask(height: int, width: int, window: int, shift: int, like: Tensor) -> Tensor:
    """Additive mask ``[windows, window^2, window^2]``: -100 between regions that a cyclic roll made neighbours."""
    region = torch.zeros(height, width, device=like.device)
    bands = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
    for i, rows in enumerate(bands):
        for j, columns in enumerate(bands):
            region[rows, columns] = 3 * i + j
    regions = window_partition(region[None, :, :, None], (window, window)).flatten(1)  # (windows, window^2)
    apart = regions[:, None, :] != regions[:, :, None]
    return torch.where(apart, -100.0, 0.0).to(like.dtype)


class SwinStage(nn.Module):
    """Blocks of one resolution, then the patch merging that halves it (absent in the last stage)."""

    def __init__(
        self, *, width: int, depth: int, heads: int, window: int, drop_paths: list[float], merge: bool
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            PaddedSwinBlock(
                width,
                input_resolution=(window * 2, window * 2),  # only keeps timm from shrinking the window
                num_heads=heads,
                window_size=window,
                shift_size=0 if i % 2 == 0 else window // 2,
                drop_path=drop_paths[i],
                dynamic_mask=True,
            )
            for i in range(depth)
        )
        self.downsample = PatchMerging(width) if merge else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``[B, H, W, C]`` -> the stage's output and the next stage's input ``[B, H/2, W/2, 2C]``."""
        for block in self.blocks:
            x = block(x)
        return x, (x if self.downsample is None else self.downsample(x))


class Swin(nn.Module):
    """Swin Transformer for detection (Liu et al. 2021): four maps with strides 4, 8, 16 and 32."""

    def __init__(self, config: SwinConfig) -> None:
        super().__init__()
        width = config.width
        self.patch_embed = nn.Conv2d(3, width, kernel_size=4, stride=4)
        self.patch_norm = nn.LayerNorm(width)
        total = sum(config.depths)
        rates = [config.drop_path * i / max(total - 1, 1) for i in range(total)]
        stages, first = [], 0
        for i, (depth, heads) in enumerate(zip(config.depths, config.heads, strict=True)):
            stages.append(
                SwinStage(
                    width=width * 2**i,
                    depth=depth,
                    heads=heads,
                    window=config.window,
                    drop_paths=rates[first : first + depth],
                    merge=i < 3,
                )
            )
            first += depth
        self.layers = nn.ModuleList(stages)
        # Stage 0 is not used by the pyramid and has no norm in the official checkpoints.
        self.norms = nn.ModuleDict({str(i): nn.LayerNorm(width * 2**i) for i in (1, 2, 3)})
        self.channels = [width * 2**i for i in range(4)]

    def forward(self, pixels: Tensor, *, checkpointing: bool = False) -> list[Tensor]:
        """``[B, 3, H, W]`` -> C2..C5, ``[B, C, H/s, W/s]`` (channels last in memory), normed from C3 on.

        With ``checkpointing``, stages keep only their input for the backward pass and are computed again.
        """
        height, width = pixels.shape[-2:]
        pixels = F.pad(pixels, (0, -width % 4, 0, -height % 4))
        x = self.patch_norm(self.patch_embed(pixels).permute(0, 2, 3, 1))  # (B, H, W, C)
        maps = []
        for i, stage in enumerate(self.layers):
            if checkpointing and torch.is_grad_enabled():
                out, x = checkpoint(stage, x, use_reentrant=False)
            else:
                out, x = stage(x)
            maps.append((self.norms[str(i)](out) if i else out).permute(0, 3, 1, 2))
        return maps
