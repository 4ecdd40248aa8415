"""Sizes of every detector: frozen dataclasses and the named presets."""

from __future__ import annotations

from dataclasses import dataclass

from glip_core.errors import InputError, nearest


@dataclass(frozen=True)
class SwinConfig:
    """The vision backbone (Swin Transformer, Liu et al. 2021, table 7).

    Attributes:
        width: channels of the first stage; they double at each of the following three.
        depths: blocks in each of the four stages.
        heads: attention heads in each stage.
        window: side of an attention window, in patches.
        drop_path: stochastic depth of the last block; it grows linearly from 0 at the first.
    """

    width: int
    depths: tuple[int, int, int, int]
    heads: tuple[int, int, int, int]
    window: int
    drop_path: float


@dataclass(frozen=True)
class TextConfig:
    """The language backbone (BERT, Devlin et al. 2019). The defaults are bert-base-uncased."""

    width: int = 768
    layers: int = 12
    heads: int = 12
    feedforward: int = 3072
    vocabulary: int = 30522
    positions: int = 512
    max_tokens: int = 256
    dropout: float = 0.1


@dataclass(frozen=True)
class FusionConfig:
    """Language-aware deep fusion between the blocks of the head (GLIP paper, section 3.2)."""

    width: int = 2048
    heads: int = 8
    dropout: float = 0.1


@dataclass(frozen=True)
class DetectorConfig:
    """Everything that decides the shapes of one detector and how images are brought to it.

    Attributes:
        name: the preset's name.
        swin: the vision backbone.
        text: the language backbone; None for a detector with a class head (DyHead).
        fusion: deep fusion; None where image and text meet only in the alignment head.
        channels: channels of the pyramid and the head.
        blocks: DyHead blocks in the tower.
        deformable: whether the head's 3x3 convolutions are deformable.
        drop_block: share of the pyramid's maps that DropBlock zeroes when training.
        anchor_sizes: side of the one anchor a position has, per level P3..P7, in pixels.
        anchor_strides: pixels between neighbouring positions, per level.
        image_short: images are resized so that the shorter side has this many pixels ...
        image_long: ... unless the longer would exceed this.
        checkpoint: file of the official weights on the hub, None where there is none.
        family: ``official`` presets are full-size, ``nano`` ones are the embedded miniatures.
        title: one line for people.
    """

    name: str
    swin: SwinConfig
    text: TextConfig | None
    fusion: FusionConfig | None
    channels: int = 256
    blocks: int = 6
    deformable: bool = True
    drop_block: float = 0.3
    anchor_sizes: tuple[int, ...] = (64, 128, 256, 512, 1024)
    anchor_strides: tuple[int, ...] = (8, 16, 32, 64, 128)
    image_short: int = 800
    image_long: int = 1333
    checkpoint: str | None = None
    family: str = "official"
    title: str = ""

    @property
    def has_text(self) -> bool:
        """Whether classes are given by a prompt (GLIP) rather than by index (DyHead)."""
        return self.text is not None

    @property
    def max_tokens(self) -> int:
        """Longest prompt in tokens, [CLS] and [SEP] included; 0 for a detector without text."""
        return self.text.max_tokens if self.text else 0


_SWIN_T = SwinConfig(width=96, depths=(2, 2, 6, 2), heads=(3, 6, 12, 24), window=7, drop_path=0.2)
_SWIN_L = SwinConfig(width=192, depths=(2, 2, 18, 2), heads=(6, 12, 24, 48), window=12, drop_path=0.4)
_SWIN_NANO = SwinConfig(width=32, depths=(2, 2, 2, 1), heads=(2, 4, 8, 16), window=5, drop_path=0.0)
_BERT = TextConfig()
_BERT_NANO = TextConfig(
    width=80, layers=2, heads=4, feedforward=240, vocabulary=1024, positions=256, max_tokens=256, dropout=0.0
)
_FUSION = FusionConfig()
_FUSION_NANO = FusionConfig(width=128, heads=2, dropout=0.0)


def _nano(name: str, title: str, text: TextConfig | None, fusion: FusionConfig | None) -> DetectorConfig:
    return DetectorConfig(
        name=name,
        title=title,
        swin=_SWIN_NANO,
        text=text,
        fusion=fusion,
        channels=64,
        blocks=3,
        deformable=False,
        drop_block=0.0,
        anchor_sizes=(32, 64, 128, 256, 512),
        image_short=160,
        image_long=240,
        family="nano",
    )


PRESETS: dict[str, DetectorConfig] = {
    preset.name: preset
    for preset in (
        DetectorConfig(
            "glip-t-a",
            _SWIN_T,
            _BERT,
            None,
            checkpoint="glip_a_tiny_o365.pth",
            title="GLIP-T (A): no deep fusion, Objects365",
        ),
        DetectorConfig(
            "glip-t-b",
            _SWIN_T,
            _BERT,
            _FUSION,
            checkpoint="glip_tiny_model_o365.pth",
            title="GLIP-T (B): deep fusion, Objects365",
        ),
        DetectorConfig(
            "glip-t-c",
            _SWIN_T,
            _BERT,
            _FUSION,
            checkpoint="glip_tiny_model_o365_goldg.pth",
            title="GLIP-T (C): deep fusion, Objects365, GoldG",
        ),
        DetectorConfig(
            "glip-t",
            _SWIN_T,
            _BERT,
            _FUSION,
            checkpoint="glip_tiny_model_o365_goldg_cc_sbu.pth",
            title="GLIP-T: deep fusion, Objects365, GoldG, CC3M, SBU",
        ),
        DetectorConfig(
            "glip-l",
            _SWIN_L,
            _BERT,
            _FUSION,
            blocks=8,
            checkpoint="glip_large_model.pth",
            title="GLIP-L: Swin-L, deep fusion, FourODs, GoldG, CC3M+12M, SBU",
        ),
        DetectorConfig("dyhead-t", _SWIN_T, None, None, title="DyHead-T: the class-head baseline"),
        _nano("glip-nano-a", "miniature GLIP (A): no deep fusion, detection data", _BERT_NANO, None),
        _nano("glip-nano-b", "miniature GLIP (B): deep fusion, detection data", _BERT_NANO, _FUSION_NANO),
        _nano("glip-nano-c", "miniature GLIP (C): deep fusion, detection, grounding", _BERT_NANO, _FUSION_NANO),
        _nano("glip-nano", "miniature GLIP: deep fusion, detection, grounding, captions", _BERT_NANO, _FUSION_NANO),
        _nano("dyhead-nano", "miniature DyHead: the class-head baseline", None, None),
    )
}


def get_config(name: str) -> DetectorConfig:
    """The preset of that name.

    Raises:
        InputError: there is none; the message names the nearest one.
    """
    if name in PRESETS:
        return PRESETS[name]
    raise InputError(f"unknown model '{name}'{nearest(name, PRESETS)}")
