"""Photos and annotations -> the model's input, and its output -> boxes: the image processor of transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers.image_processing_utils import BaseImageProcessor, BatchFeature

from glip_core.config import DetectorConfig
from glip_core.detection.boxes import clip
from glip_core.errors import InputError
from glip_core.hf.outputs import detections
from glip_core.images import load_image
from glip_core.postprocess import PostprocessConfig
from glip_core.preprocess import pad_batch, resized_hw, scale_boxes, to_tensor


class GlipImageProcessor(BaseImageProcessor):
    """GLIP's test-time transform: PIL's bilinear resize, BGR, minus mean, over standard deviation, padded.

    Args:
        size: ``shortest_edge`` and ``longest_edge``, in pixels.
        postprocessing: fields of :class:`glip_core.postprocess.PostprocessConfig`; None: the official ones.
        kwargs: of transformers.
    """

    model_input_names: ClassVar[list[str]] = ["pixel_values", "pixel_mask"]

    def __init__(
        self, size: Mapping[str, int] | None = None, postprocessing: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.size = {"shortest_edge": 800, "longest_edge": 1333} if size is None else dict(size)
        self.postprocessing = asdict(PostprocessConfig()) if postprocessing is None else dict(postprocessing)

    @classmethod
    def from_config(cls, config: DetectorConfig, postprocessing: PostprocessConfig) -> GlipImageProcessor:
        """The one that brings images to a detector as :mod:`glip_core` does."""
        edges = {"shortest_edge": config.image_short, "longest_edge": config.image_long}
        return cls(edges, asdict(postprocessing))

    def preprocess(
        self, images: Any, annotations: Any = None, return_tensors: str = "pt", **kwargs: Any
    ) -> BatchFeature:
        """Images, resized, normalised and padded to one size.

        Padding is seen by attention and global means: images of different size in one batch change each other's
        results slightly. Give one at a time where the numbers must be glip_core's.

        Args:
            images: one of what :func:`glip_core.images.load_image` takes, or a list of them.
            annotations: COCO annotations of the image, or a list of them: ``{"image_id": ..., "annotations":
                [{"bbox": [x, y, width, height], "category_id": ...}]}``, the category being the class's place in the
                prompt, from 0. As in odinw-bench's own training boxes are clipped to the photo, and left out are
                crowds (``iscrowd``) and boxes of at most a pixel's width or height.
            return_tensors: torch's alone, ``"pt"``.
            kwargs: nothing else is known.

        Returns:
            ``pixel_values`` float ``[B, 3, H, W]``; ``pixel_mask`` int64 ``[B, H, W]``, 1 where there is an image;
            with annotations also ``labels``, per image ``class_labels`` int64 ``[M]`` and ``boxes`` float ``[M, 4]``:
            centre x, centre y, width and height in shares of the image.

        Raises:
            InputError: an image cannot be read, annotations are of another form, or an unknown argument.
        """
        if return_tensors not in ("pt", None) or kwargs:
            unknown = next(iter(kwargs), f"return_tensors={return_tensors}")
            raise InputError(f"GlipImageProcessor does not take '{unknown}': images, annotations, return_tensors='pt'")
        photos = [load_image(one) for one in (images if isinstance(images, list | tuple) else [images])]
        sizes = [resized_hw(photo.size, self.size["shortest_edge"], self.size["longest_edge"]) for photo in photos]
        pixels, _ = pad_batch([to_tensor(photo, hw) for photo, hw in zip(photos, sizes, strict=True)])
        mask = torch.zeros(len(photos), *pixels.shape[-2:], dtype=torch.int64)
        for row, (height, width) in zip(mask, sizes, strict=True):
            row[:height, :width] = 1
        made: dict[str, Any] = {"pixel_values": pixels, "pixel_mask": mask}
        if annotations is not None:
            given = [annotations] if isinstance(annotations, Mapping) else list(annotations)
            if len(given) != len(photos):
                raise InputError(f"{len(photos)} images but annotations of {len(given)}; give one of each")
            made["labels"] = [
                _label(one, hw, (photo.height, photo.width))
                for one, hw, photo in zip(given, sizes, photos, strict=True)
            ]
        return BatchFeature(made)

    def post_process_object_detection(
        self,
        outputs: Mapping[str, Any],
        threshold: float = 0.0,
        target_sizes: Tensor | Sequence[tuple[int, int]] | None = None,
    ) -> list[dict[str, Tensor]]:
        """Detections after non-maximum suppression.

        Args:
            outputs: of :class:`glip_core.hf.GlipForObjectDetection`.
            threshold: the least score that is kept, 0 to 1; scores of at most 0.05 per class are never given.
            target_sizes: (height, width) of each photo; None: boxes stay in pixels of the network's input.

        Returns:
            per image ``scores`` ``[N]``, ``labels`` int64 ``[N]`` and ``boxes`` ``[N, 4]``, best first; corners
            x1, y1, x2, y2 are inclusive, as everywhere in glip_core.
        """
        found = detections(outputs, target_sizes, PostprocessConfig(**self.postprocessing))
        kept = [one.above(threshold) for one in found]
        return [{"scores": one.scores, "labels": one.labels, "boxes": one.boxes} for one in kept]


def _label(annotation: Mapping[str, Any], hw: tuple[int, int], photo_hw: tuple[int, int]) -> dict[str, Tensor]:
    """COCO's boxes as transformers' detectors take them, so that :func:`to_corners` gives GLIP's own back."""
    try:
        taken = [one for one in annotation["annotations"] if not one.get("iscrowd")]
        rows = [(*map(float, one["bbox"]), int(one["category_id"])) for one in taken]
        values = torch.tensor(rows, dtype=torch.float64).reshape(-1, 5)
        if bool((values[:, 4] < 0).any()):
            raise ValueError("a category_id is negative")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(
            "annotations must be {'image_id': ..., 'annotations': [{'bbox': [x, y, width, height], "
            f"'category_id': ...}}]}}, not {str(annotation)[:60]} ({error})"
        ) from None
    corners = torch.cat([values[:, :2], values[:, :2] + (values[:, 2:4] - 1).clamp(min=0)], dim=1)
    corners = clip(corners, photo_hw)
    learnable = (corners[:, 2:] > corners[:, :2]).all(dim=1)
    corners, values = scale_boxes(corners[learnable], photo_hw, hw), values[learnable]
    extent = corners[:, 2:] + 1 - corners[:, :2]
    boxes = torch.cat([corners[:, :2] + extent / 2, extent], dim=1) / values.new_tensor([hw[1], hw[0]] * 2)
    return {"class_labels": values[:, 4].long(), "boxes": boxes.float()}


def to_corners(boxes: Tensor, hw: Tensor) -> Tensor:
    """Boxes ``[M, 4]`` (centre, width and height in shares of an image) as inclusive corners in its pixels.

    Args:
        boxes: see above.
        hw: int64 ``[2]``, the image's height and width.
    """
    scale = hw.flip(0).repeat(2).to(boxes)
    centre, extent = (boxes * scale).split(2, dim=1)
    return torch.cat([centre - extent / 2, centre + extent / 2 - 1], dim=1)
