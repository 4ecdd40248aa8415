"""Pictures with sentences: what phrase grounding and referring expressions are tested on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odinw_bench.datasets.annotations import ImageId
from odinw_bench.datasets.coco import Split

if TYPE_CHECKING:
    from PIL.Image import Image

Span = tuple[int, int]
Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class TruePhrase:
    """A phrase of a sentence and what it means.

    Attributes:
        spans: half-open character ranges of it.
        boxes: corners x1, y1, x2, y2 in pixels; any of them is right.
        types: kinds it is counted among, such as ``people``.
    """

    spans: tuple[Span, ...]
    boxes: tuple[Corners, ...]
    types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sentence:
    """A sentence about a picture.

    Attributes:
        number: identifies it: within its picture (0 to 4 in Flickr30k), or in the whole data set (expressions).
        text: as the model reads it.
        phrases: those that are tested, in the sentence's order; of an expression the whole, and then its head noun
            phrase where that is known.
    """

    number: int
    text: str
    phrases: tuple[TruePhrase, ...]


class SentenceSplit(Split):
    """Pictures, each with its sentences; all that the phrases mean is of one category, ``phrase``.

    Attributes:
        sentences: by picture; every picture has at least one.
    """

    def __init__(
        self,
        images: Sequence[Mapping[str, Any]],
        sentences: Mapping[Any, Sequence[Sentence]],
        load_image: Callable[[str], Image],
        *,
        sha256: str,
        notes: Sequence[str] = (),
        folder: Path | None = None,
    ) -> None:
        """Put pictures and sentences together.

        Args:
            images: each with ``id``, ``file_name``, ``width`` and ``height``, in the order of the split.
            sentences: by the id of the picture; a picture without any is left out.
            load_image: from a ``file_name`` to its RGB picture.
            sha256: hash of the annotations.
            notes: what to know about the annotations.
            folder: where the pictures are files; None: they are not.
        """
        kept = [dict(image) for image in images if sentences.get(image["id"])]
        info = {"notes": list(notes)} if notes else {}
        ids = [image["id"] for image in kept]
        boxes = [(image_id, box) for image_id in ids for box in _boxes(sentences[image_id])]
        annotations = {
            "info": info,
            "images": kept,
            "annotations": [_annotation(number, *one) for number, one in enumerate(boxes, start=1)],
            "categories": [{"id": 1, "name": "phrase"}],
        }
        super().__init__(annotations, load_image, sha256=sha256, image_ids=ids, folder=folder)
        self.sentences: dict[ImageId, tuple[Sentence, ...]] = {image_id: tuple(sentences[image_id]) for image_id in ids}

    def subset(self, image_ids: Iterable[ImageId]) -> SentenceSplit:
        """See :class:`Split`; pictures keep their sentences."""
        part = super().subset(image_ids)
        return SentenceSplit(
            part.annotations["images"],
            {image_id: self.sentences[image_id] for image_id in part.image_ids},
            self.load_image,
            sha256=part.sha256,
            notes=self.notes,
            folder=self.folder,
        )


def _boxes(sentences: Sequence[Sentence]) -> list[Corners]:
    """Each box of a picture once."""
    return list(dict.fromkeys(box for one in sentences for phrase in one.phrases for box in phrase.boxes))


def _annotation(number: int, image_id: ImageId, box: Corners) -> dict[str, Any]:
    """COCO's form of a box."""
    x1, y1, x2, y2 = box
    sides = x2 - x1, y2 - y1
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "bbox": [x1, y1, *sides],
        "area": sides[0] * sides[1],
        "iscrowd": 0,
    }
