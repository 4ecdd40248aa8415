"""One split of a task: COCO annotations with their pictures, and the targets a detector trains on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import Annotations, ImageId, read_annotations, trainable_ids
from odinw_bench.datasets.task import TaskClass
from odinw_bench.utils.io import canonical_json, sha256_bytes
from odinw_bench.utils.text import shorten

if TYPE_CHECKING:
    from PIL.Image import Image


class Split:
    """The images of one split, in a fixed order, with their boxes.

    Attributes:
        annotations: the COCO dict in the form of :func:`odinw_bench.datasets.annotations.check_annotations`.
        image_ids: the ids of the images in the order of this split: ascending, or as a subset gave them.
        category_ids: COCO category id of each label: label 0 is the category with the smallest id.
        class_names: name of each label.
        sha256: what the annotations are, as a hash: of the annotation file's bytes; of a subset, over the hash
            of the whole and the ids taken.
        folder: where the pictures are files; None: they are not.
        load_image: from a ``file_name`` to its RGB picture.
    """

    def __init__(
        self,
        annotations: Annotations,
        load_image: Callable[[str], Image],
        *,
        sha256: str,
        image_ids: Iterable[ImageId] | None = None,
        folder: Path | None = None,
    ) -> None:
        """Put annotations and pictures together.

        Args:
            annotations: in the form of :func:`odinw_bench.datasets.annotations.check_annotations`.
            load_image: from a ``file_name`` to its RGB picture; called each time a picture is asked for.
            sha256: hash of the annotations.
            image_ids: the order of the images; None: ascending ids.
            folder: where the pictures are files; None: they are not.
        """
        self.annotations = annotations
        self.sha256 = sha256
        self.folder = folder
        self.load_image = load_image
        self._images = {image["id"]: image for image in annotations["images"]}
        self.image_ids: list[ImageId] = sorted(self._images) if image_ids is None else list(image_ids)
        self.category_ids: list[int] = [category["id"] for category in annotations["categories"]]
        self.class_names: list[str] = [category["name"] for category in annotations["categories"]]
        self._label_of = {category_id: label for label, category_id in enumerate(self.category_ids)}
        self._boxes: dict[ImageId, list[dict[str, Any]]] = {image_id: [] for image_id in self._images}
        for box in annotations["annotations"]:
            self._boxes[box["image_id"]].append(box)

    @property
    def classes(self) -> dict[str, str]:
        """Name of each category by its id, as text: what records name the keys of ``per_class`` by."""
        return {str(key): name for key, name in zip(self.category_ids, self.class_names, strict=True)}

    def task_classes(self) -> tuple[TaskClass, ...]:
        """The categories as a task's classes, for a task that takes them from its annotations."""
        return tuple(TaskClass(name, key) for key, name in zip(self.category_ids, self.class_names, strict=True))

    @property
    def notes(self) -> list[str]:
        """What is odd in the annotation file and was accepted, in words."""
        return list(self.annotations.get("info", {}).get("notes", []))

    def __len__(self) -> int:
        return len(self.image_ids)

    def image(self, image_id: ImageId) -> Image:
        """The picture, RGB, decoded again at each call. A camera's EXIF orientation is not applied.

        Raises:
            InputError: the file is missing or not an image; the message names it.
        """
        return self.load_image(self._entry(image_id)["file_name"])

    def file_name(self, image_id: ImageId) -> str:
        """The picture's path relative to the image folder."""
        return str(self._entry(image_id)["file_name"])

    def size(self, image_id: ImageId) -> tuple[int, int]:
        """(width, height) as the annotations state it: the pixels that boxes are given in.

        A picture whose file has another size is scaled from and to this one, like any resized picture.
        """
        entry = self._entry(image_id)
        return entry["width"], entry["height"]

    def targets(self, image_id: ImageId) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The ground truth a detector trains on, in pixels of :meth:`size`.

        COCO's (x, y, width, height) becomes inclusive corners (x, y, x + width - 1, y + height - 1), clipped to
        0..width-1 and 0..height-1 of the image. Crowd boxes are dropped, and so are those that are left without
        extent (x2 <= x1 or y2 <= y1).

        Returns:
            boxes ``[M, 4]`` and labels ``[M]``, positions in :attr:`category_ids`.
        """
        width, height = self.size(image_id)
        entries = [box for box in self._boxes[image_id] if not box["iscrowd"]]
        # float32 throughout, like the tensors of the official loader: the last bit decides what counts as empty
        boxes = np.array([box["bbox"] for box in entries], dtype=np.float32).reshape(-1, 4)
        labels = np.array([self._label_of[box["category_id"]] for box in entries], dtype=np.int64)
        boxes[:, 2:] = boxes[:, :2] + np.maximum(boxes[:, 2:] - 1, 0)  # (x, y, w, h) -> (x1, y1, x2, y2)
        limit = np.array([width - 1, height - 1, width - 1, height - 1], dtype=np.float32)
        boxes = np.clip(boxes, 0, limit)
        keep = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        return boxes[keep], labels[keep]

    def trainable_ids(self) -> list[ImageId]:
        """The images training keeps, in this split's order: those with a box of more than 1 pixel each way."""
        usable = set(trainable_ids(self.annotations))
        return [image_id for image_id in self.image_ids if image_id in usable]

    def subset(self, image_ids: Iterable[ImageId]) -> Split:
        """Some of the images with all of their boxes, in the order given. Classes stay as they are.

        Raises:
            InputError: an id is not in this split or comes twice.
        """
        ids = list(image_ids)
        taken = set(ids)
        if len(taken) < len(ids):
            raise InputError("a subset cannot hold an image twice")
        for image_id in ids:
            self._entry(image_id)
        annotations = {
            **self.annotations,
            "images": [self._images[image_id] for image_id in ids],
            "annotations": [box for box in self.annotations["annotations"] if box["image_id"] in taken],
        }
        sha256 = sha256_bytes(canonical_json([self.sha256, ids]))
        return Split(annotations, self.load_image, sha256=sha256, image_ids=ids, folder=self.folder)

    def noted(self, note: str) -> Split:
        """The same split with one more of its :attr:`notes`."""
        annotations = {**self.annotations, "info": {**self.annotations.get("info", {}), "notes": [*self.notes, note]}}
        return Split(annotations, self.load_image, sha256=self.sha256, image_ids=self.image_ids, folder=self.folder)

    def with_classes(self, classes: Iterable[tuple[int, str]], *, where: str) -> Split:
        """The same split under a task's classes: their ids, their names, their order.

        Args:
            classes: (category id, name) of each class.
            where: how an error calls the annotations: their path.

        Raises:
            InputError: a box is of a category that the task does not have, or the file gives a class of the task
                another id.
        """
        classes = list(classes)
        categories = [{"id": category_id, "name": name} for category_id, name in sorted(classes)]
        ids_of: dict[str, list[int]] = {}  # a data set may have two categories of one name
        for category_id, name in sorted(classes):
            ids_of.setdefault(name, []).append(category_id)
        name_of = {category["id"]: category["name"] for category in categories}
        used = {box["category_id"] for box in self.annotations["annotations"]}
        for category in self.annotations["categories"]:
            if category["id"] in used and category["id"] not in name_of:
                raise InputError(
                    f"{where}: category {category['id']} ({shorten(category['name'])}) has boxes but is no class "
                    f"of the task; its classes are {shorten(name_of, 200)}"
                )
            if category["id"] not in ids_of.get(category["name"], [category["id"]]):
                raise InputError(
                    f"{where}: category {shorten(category['name'])} has the id {category['id']}, in the task it is "
                    f"{ids_of[category['name']][0]}: this is another version of the data set"
                )
        annotations = {**self.annotations, "categories": categories}
        return Split(annotations, self.load_image, sha256=self.sha256, image_ids=self.image_ids, folder=self.folder)

    def _entry(self, image_id: ImageId) -> dict[str, Any]:
        try:
            return self._images[image_id]
        except (KeyError, TypeError):
            raise InputError(f"image id {shorten(image_id)} is not in this split of {len(self)} images") from None


def annotation_notes(splits: Mapping[str, Split | None]) -> dict[str, list[str]]:
    """By split: what is odd in its annotation file and was accepted, in words; only splits with anything odd."""
    return {name: split.notes for name, split in splits.items() if split is not None and split.notes}


def open_folder(annotations: Path, images: Path) -> Split:
    """A split from a COCO annotation file and the folder of its pictures.

    Raises:
        InputError: the annotation file is missing or not COCO, or the folder is missing.
    """
    data, sha256 = read_annotations(annotations)
    if not images.is_dir():
        raise InputError(f"image folder '{images}' not found; the annotations '{annotations}' need it")
    return Split(data, load_from(images), sha256=sha256, folder=images)


def load_from(images: Path) -> Callable[[str], Image]:
    """What opens the pictures of a folder by their names; it can be pickled."""
    return functools.partial(load_picture, images.absolute())  # a worker on another node may start in another folder


def load_picture(folder: Path, file_name: str) -> Image:
    """A picture of a folder, RGB.

    Raises:
        InputError: it is missing or no picture.
    """
    from glip_core.images import load_image

    return load_image(folder / file_name)
