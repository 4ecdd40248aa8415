"""Swin Transformer as a detection backbone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from glip_core.config import SwinConfig
from glip_core.modeling.cpu import PixelLinear
from glip_core.modeling.swin_parts import DropPath, Mlp, PatchMerging, join_windows, relative_positions, split_windows


class WindowAttention(nn.Module):
    """Attention within windows with a learned bias by relative position; the way to compute it is chosen at each call.

    Args:
        width: C.
        heads: number of heads.
        window: side of a window, in tokens.
    """

    def __init__(self, width: int, *, heads: int, window: int) -> None:
        super().__init__()
        self.num_heads, self.scale = heads, (width // heads) ** -0.5
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        self.relative_position_index: Tensor
        self.register_buffer("relative_position_index", relative_positions(window), persistent=False)
        self.qkv = PixelLinear(width, 3 * width)
        self.proj = PixelLinear(width, width)
        with torch.no_grad():  # normal, 0.02 wide; by its inverse, so that each value takes one draw in any torch
            self.relative_position_bias_table.uniform_(-1, 1).erfinv_().mul_(0.02 * 2**0.5).clamp_(-2, 2)

    def position_bias(self) -> Tensor:
        """The learned bias of each pair of tokens, by their relative position; ``[1, heads, tokens, tokens]``."""
        index = self.relative_position_index  # (tokens, tokens)
        bias = self.relative_position_bias_table[index.flatten()].unflatten(0, index.shape)
        return bias.permute(2, 0, 1).contiguous()[None]

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend within windows.

        Args:
            x: ``[images * windows, tokens, C]``, an image's windows together.
            mask: additive, ``[windows, tokens, tokens]``, or None.

        Returns:
            ``[images * windows, tokens, C]``.
        """
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))  # (images * windows, tokens, 3, heads, d)
        bias = self.position_bias()
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (images * windows, heads, tokens, d) each
        if torch.is_grad_enabled():
            # Torch's own attention writes no scores to memory, but its exponential is good to 20 bits only.
            scores = q * self.scale @ k.mT + bias
            if mask is not None:
                scores = (scores.unflatten(0, (-1, mask.shape[0])) + mask[:, None]).flatten(0, 1)
            out = scores.softmax(-1) @ v
        else:
            if mask is not None:
                bias = (bias + mask[:, None]).repeat(x.shape[0] // mask.shape[0], 1, 1, 1)
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.proj(out.transpose(1, 2).flatten(2))


class SwinBlock(nn.Module):
    """Attention within windows and an MLP, in the order of the detection Swin: pad to whole windows first, then roll.

    Blocks for classification (timm's) roll before they pad and shrink windows that exceed the map, which gives other
    numbers at most sizes. The zeros of the padding take part in attention; only regions that the roll brings together
    are kept apart.
    """

    def __init__(self, width: int, *, heads: int, window: int, shift: int, drop_path: float) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads=heads, window=window)
        self.drop_path1 = DropPath(drop_path) if drop_path else nn.Identity()
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width)
        self.drop_path2 = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """``[B, H, W, C]`` -> the same shape."""
        x = x + self.drop_path1(self._attend(self.norm1(x)))
        return x + self.drop_path2(self.mlp(self.norm2(x)))

    def _attend(self, x: Tensor) -> Tensor:
        _, height, width, _ = x.shape
        window, shift = self.window, self.shift
        # Numbers of windows first, so that the padded sizes are multiples of the window for a traced, unknown size too;
        # and rounded up without negative numbers, which ONNX's division rounds the other way.
        rows, columns = (height + window - 1) // window, (width + window - 1) // window
        x = F.pad(x, (0, 0, 0, columns * window - width, 0, rows * window - height))  # (B, H', W', C)
        mask = None
        if shift:
            x = torch.roll(x, shifts=(-shift, -shift), dims=(1, 2))
            mask = shifted_window_mask(rows * window, columns * window, window, shift, x)
        windows = split_windows(x, window).flatten(1, 2)  # (B * windows, window^2, C)
        windows = self.attn(windows, mask=mask).unflatten(1, (window, window))
        x = join_windows(windows, rows * window, columns * window)
        if shift:
            x = torch.roll(x, shifts=(shift, shift), dims=(1, 2))
        return x[:, :height, :width].contiguous()


def shifted_window_mask(height: int, width: int, window: int, shift: int, like: Tensor) -> Tensor:
    """Additive mask ``[windows, window^2, window^2]``: -100 between regions that a cyclic roll made neighbours."""
    down, across = (_bands(size, window, shift, like.device) for size in (height, width))
    region = 3 * down[:, None] + across  # (height, width)
    regions = split_windows(region[None, :, :, None], window).flatten(1)  # (windows, window^2)
    apart = regions[:, None, :] != regions[:, :, None]
    return torch.where(apart, -100.0, 0.0).to(like.dtype)


def _bands(size: int, window: int, shift: int, device: torch.device) -> Tensor:
    """``[size]``: 0 up to the last window, 1 from there, 2 for the ``shift`` last places, which the roll brought."""
    place = torch.arange(size, device=device)
    return (place >= size - window).long() + (place >= size - shift).long()


class SwinStage(nn.Module):
    """Blocks of one resolution, then the patch merging that halves it (absent in the last stage)."""

    def __init__(
        self, *, width: int, depth: int, heads: int, window: int, drop_paths: list[float], merge: bool
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            SwinBlock(
                width,
                heads=heads,
                window=window,
                shift=0 if i % 2 == 0 else window // 2,
                drop_path=drop_paths[i],
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
