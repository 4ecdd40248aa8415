"""What one must know of an exported detector beside its graphs; it travels in the file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from glip_core.config import DetectorConfig, get_config
from glip_core.detector import GLIP, Detector
from glip_core.errors import InputError
from glip_core.postprocess import PostprocessConfig
from glip_core.preprocess import MEAN_BGR, PAD_MULTIPLE, STD_BGR
from glip_core.prompt import Prompt

KEY = "odinw_bench"
"""Under which the facts stand in a file's metadata, as JSON."""

VERSION = 1

_FROM_CONFIG = ("image_short", "image_long", "anchor_sizes", "anchor_strides")


@dataclass(frozen=True)
class ExportFacts:
    """The facts of one exported detector.

    Attributes:
        preset: the detector it was made of.
        precision: ``fp32``, ``fp16`` or ``int8``.
        prompt: whose features are constants of the graph, or whose classes are its columns; None: any.
        token_map: the logit columns of each class of that prompt; None where columns are classes, or for any prompt.
        class_head: columns are classes: the caption has no meaning.
        vocabulary: tokens in the order of their numbers, for any prompt; else empty.
        image: shorter and longer side, anchors, and how pixels are normalised.
        postprocessing: the thresholds.
        parameters: of the detector it was made of.
        weights_sha256: of the file its base weights came from; None: random.
        source: where it comes from, for people.
    """

    preset: str
    precision: str
    prompt: Prompt | None
    token_map: tuple[tuple[int, ...], ...] | None
    class_head: bool
    vocabulary: tuple[str, ...]
    image: Mapping[str, Any]
    postprocessing: PostprocessConfig
    parameters: int
    weights_sha256: str | None
    source: str

    @property
    def config(self) -> DetectorConfig:
        """The preset, with images and anchors as they were when it was exported."""
        kept = {name: self.image[name] for name in _FROM_CONFIG}
        kept = {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}
        return replace(get_config(self.preset), **kept)

    def with_precision(self, precision: str) -> ExportFacts:
        """The same with other arithmetic."""
        return replace(self, precision=precision)

    def dumps(self) -> str:
        """As JSON, on one line."""
        prompt = None if self.prompt is None else asdict(self.prompt)
        return json.dumps({"version": VERSION, **asdict(self), "prompt": prompt, "vocabulary": list(self.vocabulary)})

    @classmethod
    def loads(cls, text: str | None, *, where: str) -> ExportFacts:
        """Inverse of :meth:`dumps`.

        Args:
            text: of a file's metadata; None: there is none.
            where: the file, for the message.

        Raises:
            InputError: the file was not exported by this program, or by a later version of it.
        """
        if text is None:
            raise InputError(f"'{where}' was not exported by odinw-bench: make one with odinw-bench export model")
        try:
            found = json.loads(text)
            if found.pop("version") != VERSION:
                raise InputError(f"'{where}' was exported by another version of odinw-bench: export it again")
            found["prompt"] = None if found["prompt"] is None else _prompt(found["prompt"])
            if found["token_map"] is not None:
                found["token_map"] = tuple(tuple(map(int, tokens)) for tokens in found["token_map"])
            found["vocabulary"] = tuple(map(str, found["vocabulary"]))
            found["postprocessing"] = PostprocessConfig(**found["postprocessing"])
            facts = cls(**found)
            get_config(facts.preset)
            return facts
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"the metadata of '{where}' are damaged: export it again") from error


def prompt_facts(detector: Detector, prompt: Prompt | None, *, source: str) -> ExportFacts:
    """The facts of a detector that is exported for a prompt, or for any (None)."""
    config = detector.config
    tokens: Sequence[Sequence[int]] | None = None if prompt is None else detector.token_map(prompt)
    vocabulary: tuple[str, ...] = ()
    if prompt is None and isinstance(detector, GLIP):
        tokenizer = detector.language.tokens.tokenizer
        numbers = range(1 + max(tokenizer.get_vocab().values()))
        vocabulary = tuple(tokenizer.id_to_token(number) or f"[unused-{number}]" for number in numbers)
    image = {name: getattr(config, name) for name in _FROM_CONFIG}
    return ExportFacts(
        preset=config.name,
        precision="fp32",
        prompt=prompt,
        token_map=None if tokens is None else tuple(tuple(one) for one in tokens),
        class_head=not config.has_text,
        vocabulary=vocabulary,
        image=image | {"mean_bgr": MEAN_BGR, "std_bgr": STD_BGR, "multiple": PAD_MULTIPLE},
        postprocessing=detector.postprocessing,
        parameters=sum(p.numel() for p in detector.parameters()),
        weights_sha256=detector.weights_sha256,
        source=source,
    )


def _prompt(found: Mapping[str, Any]) -> Prompt:
    def pairs(spans: Any) -> tuple[tuple[int, int], ...]:
        return tuple((int(start), int(end)) for start, end in spans)

    segments = found["segments"]
    return Prompt(
        str(found["caption"]),
        pairs(found["spans"]),
        tuple(map(str, found["names"])),
        None if segments is None else pairs(segments),
    )
