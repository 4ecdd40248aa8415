"""A linear layer for very many rows."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from glip_core.modeling.cpu.choice import use_convolution


class PixelLinear(nn.Linear):
    """A linear layer that on a CPU runs as a 1x1 convolution (see :func:`~.choice.use_convolution`)."""

    def forward(self, x: Tensor) -> Tensor:
        """``[..., in]`` -> ``[..., out]``."""
        if not use_convolution(x):
            return super().forward(x)
        pixels = x.reshape(1, -1, 1, x.shape[-1]).permute(0, 3, 1, 2)
        out = F.conv2d(pixels, self.weight[:, :, None, None], self.bias)
        return out.permute(0, 2, 3, 1).reshape(*x.shape[:-1], self.out_features)
