"""One block of the head's tower: deep fusion of image and text, then DyConv over the pyramid."""

from __future__ import annotations

from torch import Tensor, nn

from glip_core.modeling.dyhead import DyConv
from glip_core.modeling.fusion import Fusion, LanguageLayer
from glip_core.types import TextFeatures


class Block(nn.Module):
    """One block of the head: deep fusion, a language layer, DyConv; without fusion DyConv alone."""

    def __init__(self, *, dyconv: DyConv, fusion: Fusion | None = None, language: LanguageLayer | None = None) -> None:
        super().__init__()
        self.fusion, self.language, self.dyconv = fusion, language, dyconv

    def forward(self, levels: list[Tensor], text: TextFeatures | None) -> tuple[list[Tensor], TextFeatures | None]:
        """Maps and text -> maps of the same shapes and the fused text."""
        if self.fusion is not None and self.language is not None and text is not None:
            levels, hidden = self.fusion(levels, text.hidden, text.mask)
            text = TextFeatures(text.embedded, self.language(hidden, text.mask), text.mask)
        return self.dyconv(levels), text
