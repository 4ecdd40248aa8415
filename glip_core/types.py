"""Data that the parts of a detector pass to each other: small dataclasses of tensors.

Boxes are ``(x1, y1, x2, y2)`` with *inclusive* corners, the legacy convention of the official checkpoints:
a box that covers one pixel has ``x1 == x2``, and a width is ``x2 - x1 + 1``.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from glip_core.prompt import Prompt


@dataclass(frozen=True)
class Targets:
    """The ground truth of one image, in pixels of the resized (not yet padded) network input.

    Attributes:
        boxes: float ``[M, 4]``, inclusive corners.
        labels: int64 ``[M]``, class indices from 0 in the order of the prompt.
    """

    boxes: Tensor
    labels: Tensor

    def to(self, device: torch.device | str) -> Targets:
        """The same targets on another device."""
        return Targets(self.boxes.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Detection:
    """One detection.

    Attributes:
        box: inclusive corners x1, y1, x2, y2 in pixels.
        score: 0 to 1.
        label: class index from 0 in the order of the prompt.
        name: of the class; None where the detections do not know their classes.
    """

    box: tuple[float, float, float, float]
    score: float
    label: int
    name: str | None = None


@dataclass(frozen=True, repr=False)
class Detections:
    """The detections in one image, best first.

    ``len(found)``, ``for one in found``, ``found[0]``, ``found[:5]`` and ``found[found.scores > 0.5]`` work as one
    expects; in a notebook it shows itself as a picture where it knows its photo.

    Attributes:
        boxes: float ``[N, 4]``, inclusive corners in pixels of the image that the caller meant (the unpadded
            network input for ``detect``, the original photo for ``predict``).
        scores: float ``[N]`` in 0..1.
        labels: int64 ``[N]``, class indices from 0 in the order of the prompt.
        classes: the prompt's class names; empty where they are not known.
        photo: the PIL image they are of, for pictures; may be None.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    classes: tuple[str, ...] = ()
    photo: Any = field(default=None, compare=False)

    @property
    def names(self) -> list[str]:
        """The class name of each detection; its number where the classes are not known."""
        return [self.classes[label] if label < len(self.classes) else str(label) for label in self.labels.tolist()]

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[Detection]:
        rows = zip(self.boxes.tolist(), self.scores.tolist(), self.labels.tolist(), self.names, strict=True)
        for (x1, y1, x2, y2), score, label, name in rows:
            yield Detection((x1, y1, x2, y2), score, label, name if self.classes else None)

    @overload
    def __getitem__(self, key: int | np.integer[Any]) -> Detection: ...
    @overload
    def __getitem__(self, key: slice | Sequence[int] | Tensor) -> Detections: ...
    def __getitem__(self, key: int | np.integer[Any] | slice | Sequence[int] | Tensor) -> Detection | Detections:
        """One detection by its position; several by a slice, positions, or a mask ``[N]``; none by an empty sequence.

        A position may be NumPy's or a tensor ``[]``, too.

        Raises:
            IndexError: there is no such position.
        """
        if hasattr(key, "__index__") and getattr(key, "ndim", 0) == 0:  # arrays have it, whatever their shape
            position = range(len(self))[key]  # an IndexError beyond the end, and negative positions
            return next(iter(self[position : position + 1]))
        rows = key if isinstance(key, slice) else torch.as_tensor(key, device=self.scores.device)
        if isinstance(rows, Tensor) and rows.shape == (0,):
            rows = rows.long()  # of an empty list torch makes float
        return replace(self, boxes=self.boxes[rows], scores=self.scores[rows], labels=self.labels[rows])

    def __repr__(self) -> str:
        counts = Counter(self.names)
        kinds = ", ".join(f"{count} {name}" for name, count in counts.most_common(6))
        more = f", {len(counts) - 6} more classes" if len(counts) > 6 else ""
        best = f", best {float(self.scores.max()):.2f}" if len(self) else ""
        return f"Detections({len(self)}{f': {kinds}{more}' if kinds else ''}{best})"

    def above(self, score: float) -> Detections:
        """Those of at least this score, 0 to 1."""
        return self[self.scores >= score]

    def to(self, device: torch.device | str) -> Detections:
        """The same detections on another device."""
        boxes, scores, labels = (one.to(device) for one in (self.boxes, self.scores, self.labels))
        return replace(self, boxes=boxes, scores=scores, labels=labels)

    def to_coco(self, image_id: int | str = 0, category_ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """COCO results: ``bbox`` is x, y, width, height with the inclusive width x2 - x1 + 1, as GLIP is evaluated.

        Args:
            image_id: of all rows.
            category_ids: id of each label; None: the label plus 1.
        """
        return [
            {
                "image_id": image_id,
                "category_id": one.label + 1 if category_ids is None else category_ids[one.label],
                "bbox": [one.box[0], one.box[1], one.box[2] - one.box[0] + 1, one.box[3] - one.box[1] + 1],
                "score": one.score,
            }
            for one in self
        ]

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` with the columns name, score, x1, y1, x2, y2, label, best first."""
        import pandas as pd

        rows = [(name, one.score, *one.box, one.label) for one, name in zip(self, self.names, strict=True)]
        return pd.DataFrame(rows, columns=["name", "score", "x1", "y1", "x2", "y2", "label"])

    def to_supervision(self) -> Any:
        """A ``supervision.Detections``, which ``pip install supervision`` brings.

        Its corners are exclusive, x2 + 1 and y2 + 1; its data hold ``class_name``.
        """
        import supervision

        return supervision.Detections(
            xyxy=(self.boxes.cpu() + self.boxes.new_tensor([0, 0, 1, 1]).cpu()).float().numpy(),
            confidence=self.scores.cpu().float().numpy(),
            class_id=self.labels.cpu().numpy().astype(int),
            data={"class_name": np.array(self.names)},
        )

    def draw(self, photo: Any = None) -> Any:
        """A copy of the photo with the boxes on it, a PIL image.

        Args:
            photo: a PIL image; None: the one these detections are of.

        Raises:
            ValueError: none is known.
        """
        from glip_core.detection.drawing import draw_detections

        photo = self.photo if photo is None else photo
        if photo is None:
            raise ValueError("these detections do not know their photo: give draw() one")
        names = self.classes or [str(label) for label in range(int(self.labels.max()) + 1 if len(self) else 0)]
        return draw_detections(photo, self.to("cpu"), names)

    def _repr_png_(self) -> bytes | None:
        """For notebooks: the photo with its boxes; None (then the text is shown) where no photo is known."""
        if self.photo is None:
            return None
        held = io.BytesIO()
        self.draw().save(held, format="PNG")
        return held.getvalue()


@dataclass(frozen=True)
class TextFeatures:
    """A batch of encoded prompts, real tokens only ([CLS] ... [SEP]).

    The leading size P is 1 when all images share one prompt, else the number of images.

    Attributes:
        embedded: ``[P, T, D]``, what a head without fusion compares pixels to.
        hidden: ``[P, T, D]``, what deep fusion starts from.
        mask: bool ``[P, T]``, False where a shorter prompt was padded to the longest of the batch.
    """

    embedded: Tensor
    hidden: Tensor
    mask: Tensor

    def to(self, device: torch.device | str) -> TextFeatures:
        """The same features on another device."""
        return TextFeatures(self.embedded.to(device), self.hidden.to(device), self.mask.to(device))


@dataclass(frozen=True, eq=False)
class EncodedPrompt:
    """A prompt with the output of the language backbone, which then need not run for every image.

    Made by :meth:`glip_core.Detector.encode` and accepted wherever a detector takes a prompt. It stays valid as long
    as the weights of the language backbone do; a tuned offset is added on each use and may change.

    Attributes:
        prompt: the prompt.
        text: the features of its tokens without a tuned offset; None for a detector without text, and for a prompt
            that is read in parts.
        parts: of a prompt longer than the model reads, consecutive parts that fit, else empty.
    """

    prompt: Prompt
    text: TextFeatures | None
    parts: tuple[EncodedPrompt, ...] = ()

    def __len__(self) -> int:
        return len(self.prompt)


@dataclass(frozen=True)
class RawOutputs:
    """The outputs of the heads before any decoding, one entry per level, P3 first.

    Attributes:
        logits: ``[B, H*W, T]`` per level: alignment of each position (row-major) with each token of the
            prompt; for a class-head detector T is the number of classes.
        box_deltas: ``[B, 4, H, W]`` per level, offsets from the anchors in the coder's units.
        centerness: ``[B, 1, H, W]`` per level, a logit.
    """

    logits: list[Tensor]
    box_deltas: list[Tensor]
    centerness: list[Tensor]
