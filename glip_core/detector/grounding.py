"""Phrase grounding: which boxes of an image the phrases of a sentence mean (GLIP, section 3.1; Flickr30k Entities).

The sentence is the prompt; the tokens inside a phrase's spans stand for it as a class name's tokens do for a class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from glip_core.detector.glip import GLIP
from glip_core.detector.noun_phrases import Parser, Span, bracketed, noun_phrases
from glip_core.errors import InputError
from glip_core.images import load_image
from glip_core.postprocess import PostprocessConfig, postprocess
from glip_core.preprocess import pad_batch, resized_hw, scale_boxes, to_tensor
from glip_core.prompt import CharacterMap, Prompt
from glip_core.types import Detections, RawOutputs

PHRASE_LIMIT = 100
"""Boxes of all phrases of a sentence together, as in the official evaluation; ties with the last are kept too."""


@dataclass(frozen=True)
class GroundedPhrase:
    """A phrase and the boxes it may mean.

    Attributes:
        text: the phrase as it stands in the sentence.
        spans: half-open character ranges of it.
        boxes: float ``[N, 4]``, inclusive corners in pixels of the photo, best first; none where nothing was found.
        scores: float ``[N]`` in 0..1.
    """

    text: str
    spans: tuple[Span, ...]
    boxes: Tensor
    scores: Tensor

    def __len__(self) -> int:
        return len(self.scores)


def ground(
    detector: GLIP,
    image: Any,
    sentence: str,
    phrases: Sequence[str | Span | Sequence[Span]] | None = None,
    *,
    parser: Parser = "rules",
) -> list[GroundedPhrase]:
    """Find what the phrases of a sentence mean in a photo.

    Args:
        detector: a GLIP; it is put into evaluation mode meanwhile.
        image: a path, a PIL image or an array ``[H, W, 3]`` of RGB bytes.
        sentence: read as it is; the phrases see each other's words.
        phrases: each a text that stands in the sentence (the first place counts), a half-open character span, or
            several spans of one phrase. None: the parts in brackets, ``"[a dog] left of [two balls]"``, which the
            model then reads without them; without brackets the noun phrases.
        parser: what finds noun phrases, see :func:`~glip_core.detector.noun_phrases.noun_phrases`.

    Returns:
        one per phrase, in the order given.

    Raises:
        InputError: a phrase does not stand in the sentence, the sentence is longer than the model reads, or the image
            cannot be read.
    """
    if phrases is None:
        sentence, phrases = find_phrases(sentence, parser)
    spans = [phrase_spans(sentence, phrase) for phrase in phrases]
    if not spans:
        return []
    photo = load_image(image)
    config = detector.config
    hw = resized_hw(photo.size, config.image_short, config.image_long)
    training = detector.training
    detector.eval()
    try:
        with torch.no_grad():
            detector.language.tokenize(Prompt.from_caption(sentence, ()))  # too long: before the image is encoded
            pixels, _ = pad_batch([to_tensor(photo, hw)])
            levels = detector.encode_image(pixels.to(detector.device))
            found = ground_features(detector, levels, hw, sentence, spans).to("cpu")
    finally:
        detector.train(training)
    boxes = scale_boxes(found.boxes, hw, (photo.height, photo.width))
    grounded = []
    for number, parts in enumerate(spans):
        mine = found.labels == number
        text = " ... ".join(sentence[start:end] for start, end in parts)
        grounded.append(GroundedPhrase(text, parts, boxes[mine], found.scores[mine]))
    return grounded


def ground_features(
    detector: GLIP,
    levels: list[Tensor],
    hw: tuple[int, int],
    sentence: str,
    phrases: Sequence[Sequence[Span]],
    *,
    apart: bool = False,
) -> Detections:
    """The boxes of all phrases of a sentence, where the image's features are known: they serve all its sentences.

    Args:
        detector: in evaluation mode.
        levels: what ``encode_image`` made of one image.
        hw: (height, width) of the network input before padding.
        sentence: read as it is.
        phrases: the spans of each.
        apart: the limit holds for each phrase, not for all together.

    Returns:
        at most :data:`PHRASE_LIMIT` and ties, best first, boxes in pixels of the network input; labels are positions
        in ``phrases``.

    Raises:
        InputError: the sentence is longer than the model reads.
    """
    prompt = Prompt.from_caption(sentence, [parts[0] for parts in phrases])
    characters = detector.language.tokenize(prompt)
    tokens = [phrase_tokens(characters, sentence, parts) for parts in phrases]
    raw = detector.run_heads(*detector.run_tower(levels, detector.encode_text(prompt)))
    settings = replace(detector.postprocessing, per_image=PHRASE_LIMIT)
    anchors = detector.anchors(raw)
    if not apart:
        return rank_phrases(raw, anchors, hw, tokens, settings)
    found = [rank_phrases(raw, anchors, hw, [one], settings) for one in tokens]
    boxes, scores = torch.cat([one.boxes for one in found]), torch.cat([one.scores for one in found])
    labels = torch.cat([one.labels + label for label, one in enumerate(found)])
    order = scores.argsort(descending=True, stable=True)
    return Detections(boxes[order], scores[order], labels[order])


def find_phrases(sentence: str, parser: Parser = "rules") -> tuple[str, list[Span]]:
    """A sentence without its brackets, and the spans in brackets; without brackets those of its noun phrases.

    Raises:
        InputError: see :func:`~glip_core.detector.noun_phrases.bracketed` and
            :func:`~glip_core.detector.noun_phrases.noun_phrases`.
    """
    return bracketed(sentence) if {"[", "]"} & set(sentence) else (sentence, noun_phrases(sentence, parser))


def rank_phrases(
    raw: RawOutputs,
    anchors: Sequence[Tensor],
    image_size: tuple[int, int],
    tokens: Sequence[Sequence[int]],
    settings: PostprocessConfig,
) -> Detections:
    """The boxes of all phrases of one image, best first; labels are positions in ``tokens``.

    Args:
        raw: outputs for one image.
        anchors: per level ``[H*W, 4]``.
        image_size: (height, width) before padding.
        tokens: of each phrase; a phrase without tokens is never found.
        settings: thresholds; ``per_image`` counts over all phrases.
    """
    return postprocess(raw, anchors, [image_size], tokens, settings)[0]


def phrase_tokens(characters: CharacterMap, sentence: str, spans: Sequence[Span]) -> list[int]:
    """The tokens of a phrase: those of all its spans, each once, ascending."""
    parts = Prompt.from_caption(sentence, spans).token_map(characters)
    return sorted({token for part in parts for token in part})


def phrase_spans(sentence: str, phrase: str | Span | Sequence[Span]) -> tuple[Span, ...]:
    """The character spans of a phrase that is given as text, as a span or as several.

    Raises:
        InputError: it does not stand in the sentence.
    """
    if isinstance(phrase, str):
        start = sentence.lower().find(phrase.lower()) if phrase.strip() else -1
        if start < 0:
            raise InputError(f"the phrase '{phrase[:60]}' does not stand in the sentence '{sentence[:60]}'")
        return ((start, start + len(phrase)),)
    listed: Sequence[Any] = [phrase] if phrase and isinstance(phrase[0], int) else phrase
    spans = tuple((int(start), int(end)) for start, end in listed)
    if not spans or not all(0 <= start < end <= len(sentence) for start, end in spans):
        raise InputError(f"{phrase!r} is no character span of a sentence of {len(sentence)} characters")
    return spans
