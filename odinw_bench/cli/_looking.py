"""What ``predict`` looks for in a photo: the classes of a prompt, or the phrases of a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from glip_core.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

    from glip_core import Detections, Prompt
    from odinw_bench.models import Model

GIVEN = "given"
"""In place of the parser's name where the user marked the phrases."""


class Search(Protocol):
    """Finds, draws and writes down."""

    def __call__(self, photo: Image) -> Detections:
        """The detections in a photo, in its own pixels."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """Of each label of the detections: the class, or the words of the phrase."""
        ...

    def draw(self, photo: Image, found: Detections) -> Image:
        """A picture of them, as large as the photo."""
        ...

    def to_json(self, found: Detections) -> dict[str, Any]:
        """All of them, for a file."""
        ...


@dataclass(frozen=True)
class ClassSearch:
    """The classes of a prompt."""

    detector: Model
    words: Prompt

    @cached_property
    def _encoded(self) -> Any:
        return self.detector.encode(self.words)  # once for all photos

    def __call__(self, photo: Image) -> Detections:
        """See :class:`Search`."""
        return self.detector.predict(photo, self._encoded)

    @property
    def names(self) -> Sequence[str]:
        """See :class:`Search`."""
        return self.words.names

    def draw(self, photo: Image, found: Detections) -> Image:
        """See :class:`Search`."""
        from glip_core.detection.drawing import draw_detections

        return draw_detections(photo, found, self.words.names)

    def to_json(self, found: Detections) -> dict[str, Any]:
        """See :class:`Search`."""
        return {
            "caption": self.words.caption,
            "classes": list(self.words.names),
            "detections": [{"class": self.words.names[one.label], **_scored(one)} for one in found],
        }


@dataclass(frozen=True)
class Sentence:
    """What the user asks for by a sentence.

    Attributes:
        text: without brackets.
        phrases: the character spans of each.
        parser: what found them; :data:`GIVEN`: the user.
    """

    text: str
    phrases: Sequence[Sequence[tuple[int, int]]]
    parser: str

    @classmethod
    def of(cls, text: str, phrases: str | None, parser: Any) -> Sentence:
        """The sentence with its phrases.

        Args:
            text: may have its phrases in brackets.
            phrases: those wanted, separated by ``;``; None: those in brackets, or those that the parser finds.
            parser: see :func:`glip_core.detector.noun_phrases.noun_phrases`.

        Raises:
            InputError: there is no phrase, or one that does not stand in the sentence.
        """
        from glip_core.detector.grounding import find_phrases, phrase_spans

        sentence, marked = find_phrases(text, parser)
        if phrases is not None:
            wanted = [phrase_spans(sentence, part.strip()) for part in phrases.split(";") if part.strip()]
        else:
            wanted = [(span,) for span in marked]
        if not wanted:
            raise InputError(
                f"no noun phrase found in '{text[:60]}': name the phrases with --phrases, or put them into [brackets]"
            )
        return cls(sentence, wanted, parser if phrases is None and sentence == text else GIVEN)


@dataclass(frozen=True)
class PhraseSearch:
    """The phrases of a sentence."""

    detector: Model
    sentence: Sentence

    def __call__(self, photo: Image) -> Detections:
        """See :class:`Search`."""
        with self.detector.without_tuned_prompt():
            return self.detector.ground(photo, self.sentence.text, self.sentence.phrases)

    @property
    def names(self) -> Sequence[str]:
        """See :class:`Search`."""
        text = self.sentence.text
        return [" ... ".join(text[start:end] for start, end in spans) for spans in self.sentence.phrases]

    def draw(self, photo: Image, found: Detections) -> Image:
        """See :class:`Search`."""
        from glip_core.detection.drawing import draw_phrases

        return draw_phrases(photo, found, self.sentence.text, self.sentence.phrases)

    def to_json(self, found: Detections) -> dict[str, Any]:
        """See :class:`Search`."""
        text = self.sentence.text
        return {
            "sentence": text,
            "phrases_by": self.sentence.parser,
            "phrases": [
                {
                    "text": self.names[label],
                    "spans": [list(span) for span in spans],
                    "boxes": [_scored(one) for one in found if one.label == label],
                }
                for label, spans in enumerate(self.sentence.phrases)
            ],
        }


def _scored(one: Any) -> dict[str, Any]:
    """Score and COCO box, with inclusive corners' width."""
    x1, y1, x2, y2 = one.box
    return {"score": one.score, "bbox": [x1, y1, x2 - x1 + 1, y2 - y1 + 1]}
