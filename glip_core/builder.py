"""How a detector is assembled, from top to bottom, and where its weights come from."""

from __future__ import annotations

from pathlib import Path

import torch

from glip_core import checkpoint
from glip_core.config import DetectorConfig, get_config
from glip_core.detector import GLIP, Detector, DyHead
from glip_core.errors import InputError
from glip_core.memory import keep_freed_memory
from glip_core.modeling.bert import BERT_VOCABULARY, NANO_VOCABULARY, LanguageBackbone, load_tokenizer
from glip_core.modeling.block import Block
from glip_core.modeling.dyhead import DyConv
from glip_core.modeling.fpn import FeaturePyramid, VisionBackbone
from glip_core.modeling.fusion import Fusion, LanguageLayer
from glip_core.modeling.heads import AlignmentHead, BoxHead, ClassHead
from glip_core.modeling.swin import Swin
from glip_core.modes.base import CLASS_LAYER

DEFAULT_CLASSES = 80
RANDOM = "random"
TUNED = "tuned.safetensors"
"""The file of a run that holds what was tuned."""


def build(name: str, vocab: str | Path | None = None, *, num_classes: int | None = None) -> Detector:
    """A detector with random weights; nothing is downloaded.

    Args:
        name: a preset, such as ``"glip-t"`` (see :data:`glip_core.config.PRESETS`).
        vocab: another WordPiece ``vocab.txt``; by default the one that fits the preset, which is shipped.
        num_classes: width of the class layer, for the DyHead presets only (default 80).

    Raises:
        InputError: an unknown name, an unusable vocabulary, or ``num_classes`` for a GLIP.
    """
    return assemble(get_config(name), vocab, num_classes=num_classes)


def assemble(config: DetectorConfig, vocab: str | Path | None = None, *, num_classes: int | None = None) -> Detector:
    """The whole model of a configuration; see :func:`build`."""
    swin = Swin(config.swin)
    pyramid = FeaturePyramid(swin.channels[1:], config.channels, drop_block=config.drop_block)
    vision = VisionBackbone(swin=swin, pyramid=pyramid)
    boxes = BoxHead(config.channels, levels=len(config.anchor_sizes))

    def dyconv() -> DyConv:
        return DyConv(config.channels, deformable=config.deformable)

    if config.text is None:
        plain = [Block(dyconv=dyconv()) for _ in range(config.blocks)]
        classes = DEFAULT_CLASSES if num_classes is None else num_classes
        class_head = ClassHead(channels=config.channels, num_classes=classes, boxes=boxes)
        return DyHead(config, vision=vision, blocks=plain, head=class_head).eval()

    if num_classes is not None:
        raise InputError(f"'{config.name}' takes its classes from the prompt; num_classes is for dyhead models")
    vocabulary = Path(vocab) if vocab else (NANO_VOCABULARY if config.family == "nano" else BERT_VOCABULARY)
    known = load_tokenizer(vocabulary).get_vocab_size()
    if known > config.text.vocabulary:
        raise InputError(
            f"vocabulary '{vocabulary}' has {known} tokens, '{config.name}' has embeddings for "
            f"{config.text.vocabulary}: give the vocabulary that the model was trained with"
        )
    language = LanguageBackbone(config.text, vocabulary=vocabulary)
    blocks = []
    for _ in range(config.blocks):
        if config.fusion is None:
            blocks.append(Block(dyconv=dyconv()))
            continue
        fusion = Fusion(
            vision_width=config.channels,
            text_width=config.text.width,
            config=config.fusion,
            layer_scale=1 / config.blocks,
        )
        blocks.append(Block(fusion=fusion, language=LanguageLayer(config.text), dyconv=dyconv()))
    head = AlignmentHead(channels=config.channels, text_width=config.text.width, boxes=boxes)
    return GLIP(config, vision=vision, language=language, blocks=blocks, head=head).eval()


def load(
    name: str,
    weights: str | Path | None = None,
    *,
    vocab: str | Path | None = None,
    num_classes: int | None = None,
    device: str | torch.device = "cpu",
    lenient: bool = False,
    keep_memory: bool = True,
) -> Detector:
    """A detector with trained weights.

    Args:
        name: a preset.
        weights: a ``.pth`` or ``.safetensors`` file, or the name of another preset whose matching parts are taken
            (``dyhead-t`` from ``glip-t-a``, with a fresh class layer), or ``"random"`` (seed 0) to try the path and
            its cost without a download. By default the embedded weights of the nano models, or the official ones
            from the hub's cache, downloaded on first use.
        vocab: see :func:`build`.
        num_classes: classes of a DyHead; where the file has another number the class layer starts fresh.
        device: where to put the detector: ``auto`` (a GPU if there is one), ``cpu``, ``cuda[:N]`` or ``mps``.
        lenient: ignore weights in the file that the model has no use for, by default an error; their names are then
            in ``Detector.ignored_weights``.
        keep_memory: on a CPU let this process keep freed memory from now on, a setting of the whole process that
            makes GLIP-T a seventh faster; see :func:`glip_core.keep_freed_memory`.

    Raises:
        InputError: no such model, file or device, no network for a download, a checkpoint of another model, or a
            file of tuned parameters alone.
    """
    place = pick_device(device)
    if keep_memory and place.type == "cpu":
        keep_freed_memory()
    if weights == RANDOM:
        return _random(name, vocab, num_classes).to(place)
    detector = assemble(get_config(name), vocab, num_classes=num_classes)
    path = checkpoint.find_weights(detector.config, weights)
    if path.name == TUNED:
        raise InputError(
            f"'{path}' holds only what a run tuned, not a whole model: odinw_bench.load_run(\"{path.parent}\") gives "
            "the detector with it (predict --run on the command line)"
        )
    state = checkpoint.read_state_dict(path)
    fresh = (CLASS_LAYER,) if isinstance(detector, DyHead) else ()
    detector.ignored_weights = checkpoint.load_official_state_dict(
        detector, state, source=str(path), may_differ=fresh, lenient=lenient
    )
    detector.weights_sha256 = checkpoint.file_sha256(path)
    return detector.to(place).eval()


def pick_device(name: str | torch.device) -> torch.device:
    """The device of a name.

    Args:
        name: ``auto``: the first of cuda, mps and cpu that is there; else what torch calls it.

    Raises:
        InputError: there is no such device here.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True, "meta": True}
    if name == "auto":
        name = next(kind for kind, is_here in there.items() if is_here)
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise InputError(f"unknown device '{name}': use auto, cpu, cuda, cuda:N or mps") from None
    if not there.get(device.type, True):
        raise InputError(f"device '{name}' is not available here; use auto or cpu")
    if device.type == "cuda" and device.index is not None and device.index >= (count := torch.cuda.device_count()):
        raise InputError(f"device '{name}' is not available here: the last of {count} is cuda:{count - 1}")
    return device


def _random(name: str, vocab: str | Path | None, num_classes: int | None) -> Detector:
    """Random weights that find things: without the prior every score is near 0.5, so post-processing has its work."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        detector = assemble(get_config(name), vocab, num_classes=num_classes)
        head = detector.get_submodule("head")
        prior = head.bias0 if isinstance(head, AlignmentHead) else head.get_parameter("cls_logits.bias")
        prior.zero_()
    return detector
