"""The labelled images as data sets of their own: what candidates learn from, and what they are tested on.

The test split has no part in them, see :mod:`odinw_bench.advice.parts`. Where there are enough validation images they
are halved: each half is tested on by models that were selected on the other, and all of the training images are learnt
from. Where there are few, all labelled images are divided into folds. Copies of a picture, byte for byte, stay
together: else what is learnt from would be tested on.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from glip_core.errors import InputError
from glip_core.files import file_sha256
from odinw_bench.advice.parts import labelled_parts
from odinw_bench.advice.settings import AdviceSettings
from odinw_bench.datasets.coco import Split
from odinw_bench.datasets.picture_hashes import hashes_of, pictures_sha256
from odinw_bench.datasets.task import Task
from odinw_bench.utils.io import canonical_json, replacing, sha256_bytes, write_json, write_text
from odinw_bench.utils.text import slug

ENOUGH = 20
"""Validation images from which on they alone are tested on."""

MOST = 200
"""Images that are tested on at most: more would cost time and tell little."""

FEW = 40
"""Images that are learnt from at most where there is no time for more."""

HALVES, FOLDS = 2, 3
Members = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Fold:
    """One division of the labelled images.

    Attributes:
        name: of the data set, as records call it.
        file: its task file, which ``run --dataset`` takes.
        tested: numbers of the images that are tested on.
        trained: numbers of the images that are learnt from.
        selected: numbers of the images that the best epoch is selected on; none: on those that are learnt from.
    """

    name: str
    file: Path
    tested: tuple[int, ...]
    trained: tuple[int, ...]
    selected: tuple[int, ...]


class Labelled:
    """The labelled images of a task, numbered from 1, and their folds, written below a folder.

    Attributes:
        task: whose they are.
        annotations: COCO annotations of all of them.
        names: file name in the user's data by number.
        train: numbers of the training images.
        folder: of the files.
        folds: the divisions.
        note: how they were divided, in words.
        notes: what was left out, in words.

    Args:
        task: with a training split.
        settings: shots, seed, and where to write.

    Raises:
        InputError: there is no training split, or too few images; or a picture cannot be read.
    """

    def __init__(self, task: Task, settings: AdviceSettings) -> None:
        if "train" not in task.splits:
            raise InputError(f"'{task.name}' has no training split: there is nothing to learn from, and so no advice")
        self.task = task
        parts, self.notes = labelled_parts(task, settings)
        train = parts[0]
        known: list[Any] = [task.suite, task.name, settings.seed, *(part.sha256 for part in parts)]
        pictures = [sha256 for part in parts if (sha256 := pictures_sha256(part)) is not None]
        digest = sha256_bytes(canonical_json([*known, pictures] if pictures else known))
        self.folder = settings.results / "advice" / f"{slug(task.suite)}-{slug(task.name)}-{digest[:8]}"
        self.names: dict[int, str] = {}
        images: list[dict[str, Any]] = []
        boxes: list[dict[str, Any]] = []
        members: list[list[int]] = []
        self._first: dict[int, int] = {}  # number of the first image with the same picture
        first_of: dict[str, int] = {}
        for part in parts:
            hashes = hashes_of(part)
            ids = part.trainable_ids() if part is train else part.image_ids
            numbers = {image_id: len(self.names) + place for place, image_id in enumerate(ids, start=1)}
            members.append(list(numbers.values()))
            for image_id, number in numbers.items():
                self.names[number] = part.file_name(image_id)
                width, height = part.size(image_id)
                sha256 = hashes[part.file_name(image_id)]
                self._first[number] = number if sha256 is None else first_of.setdefault(sha256, number)
                written = self._picture(part, image_id, number, sha256)
                images.append({"id": number, "file_name": written, "width": width, "height": height})
            boxes += [
                {**box, "image_id": numbers[box["image_id"]]}
                for box in part.annotations["annotations"]
                if box["image_id"] in numbers
            ]
        boxes = [{**box, "id": number} for number, box in enumerate(boxes, start=1)]
        self.annotations = {"images": images, "annotations": boxes, "categories": train.annotations["categories"]}
        self.train = members[0]
        self.folds, self.note = self._divide(members[0], members[1] if len(members) > 1 else [], settings.seed)

    @property
    def pictures(self) -> Path:
        """The folder of the pictures, named by number."""
        return self.folder / "pictures"

    def truth(self, numbers: Sequence[int]) -> dict[str, Any]:
        """COCO annotations of some images."""
        taken = set(numbers)
        return {
            "images": [image for image in self.annotations["images"] if image["id"] in taken],
            "annotations": [box for box in self.annotations["annotations"] if box["image_id"] in taken],
            "categories": self.annotations["categories"],
        }

    def few(self, seed: int) -> Fold:
        """The first fold with :data:`FEW` images to learn from at most."""
        fold = self.folds[0]
        return fold if len(fold.trained) <= FEW else self.smaller(fold, "few", FEW, seed)

    def smaller(self, fold: Fold, name: str, count: int, seed: int) -> Fold:
        """The first fold with some of the images to learn from; the images to select on and to test on are the same."""
        kept = sorted(self.in_order(fold.trained, seed)[:count])
        file = self.write(f"fold1-{name}", {"train": kept, "val": fold.selected, "test": fold.tested})
        return replace(fold, name=f"{fold.name}-{name}", file=file, trained=tuple(kept))

    def write(self, name: str, splits: Members) -> Path:
        """Write a data set of some of the images; returns its task file.

        Args:
            name: of the data set, after the task's.
            splits: by split, the numbers of its images; ``train`` and ``test`` at least.
        """
        kept = {split: numbers for split, numbers in splits.items() if numbers}
        for split, numbers in kept.items():
            write_json(self.folder / name / f"{split}.json", self.truth(numbers), indent=None)
        content: dict[str, Any] = {
            "name": f"{slug(self.task.name)}-{name}",
            "root": ".",
            "classes": [
                {"id": entry.category_id, "name": entry.name}
                | ({} if entry.manual is None else {"manual": dict(entry.manual)})
                for entry in self.task.classes
            ],
            "splits": {split: {"annotations": f"{name}/{split}.json", "images": "pictures"} for split in kept},
            "eval_split": "val" if "val" in kept else "train",
        }
        if self.task.exif is not None:
            content["exif"] = self.task.exif
        file = self.folder / f"{name}.yaml"
        write_text(file, yaml.safe_dump(content, sort_keys=False))
        return file

    def _picture(self, part: Split, image_id: Any, number: int, sha256: str | None) -> str:
        """Put a picture among ours: the file itself where there is one, else without loss; returns its name."""
        source = None if part.folder is None else part.folder / part.file_name(image_id)
        turned = any("EXIF" in note for note in part.notes)  # then the picture is not what the file shows
        self.pictures.mkdir(parents=True, exist_ok=True)
        if source is None or turned or sha256 is None:
            place = self.pictures / f"{number:06d}.png"
            if not place.is_file():
                with replacing(place) as fresh:
                    part.image(image_id).save(fresh, format="PNG", compress_level=1)
            return place.name
        place = self.pictures / f"{number:06d}{source.suffix.lower()}"
        if place.is_file() and (place.samefile(source) or file_sha256(place) == sha256):
            return place.name
        place.unlink(missing_ok=True)  # it may be a link to a file that was changed since
        try:
            os.link(source.resolve(), place)
        except OSError:  # another disk, or one without links
            with replacing(place) as fresh:
                shutil.copyfile(source, fresh)
        return place.name

    def _divide(self, train: list[int], val: list[int], seed: int) -> tuple[tuple[Fold, ...], str]:
        if len(self._different(val)) >= ENOUGH:
            tested = self._deal(self._sample(val, seed), HALVES, seed)
            members = [(train, [one for one in val if one not in part], part) for part in tested]
            note = (
                f"each half of {sum(map(len, tested))} validation images is tested on by models that learnt from the "
                f"{len(train)} training images and were selected on the other validation images"
            )
        else:
            whole = [*train, *val]
            count = min(FOLDS, len(self._different(train)))
            if count < 2:
                raise InputError(
                    f"'{self.task.name}' has {count} different training images with boxes; advice needs at least 2"
                )
            # Each of its own, so that something to learn from is left everywhere; rests go to different parts.
            learnt_parts, chosen_parts = self._deal(train, count, seed), self._deal(val, count, seed)[::-1]
            dealt = [sorted([*a, *b]) for a, b in zip(learnt_parts, chosen_parts, strict=True)]
            members = [
                ([one for one in train if one not in part], [one for one in val if one not in part], part)
                for part in dealt
            ]
            note = (
                f"cross-validation: {len(whole)} labelled images in {count} parts, each tested on by models that did "
                "not learn from it"
            )
        folds = []
        for number, (learnt, chosen, part) in enumerate(members, start=1):
            name = f"fold{number}"
            file = self.write(name, {"train": learnt, "val": chosen, "test": part})
            folds.append(Fold(f"{slug(self.task.name)}-{name}", file, tuple(part), tuple(learnt), tuple(chosen)))
        return tuple(folds), note

    def in_order(self, numbers: Sequence[int], seed: int) -> list[int]:
        """By chance, the same for the same images and seed."""
        return sorted(numbers, key=lambda one: sha256_bytes(f"{seed} {self.names[one]} {one}".encode()))

    def _different(self, numbers: Sequence[int]) -> list[int]:
        """One image of each picture: the first."""
        return sorted({self._first[one] for one in numbers})

    def _sample(self, numbers: Sequence[int], seed: int) -> list[int]:
        """At most :data:`MOST` pictures, with all of their copies."""
        taken = set(self.in_order(self._different(numbers), seed)[:MOST])
        return [one for one in numbers if self._first[one] in taken]

    def _deal(self, numbers: Sequence[int], count: int, seed: int) -> list[list[int]]:
        """Parts of equal size, in which each class is as frequent: pictures in turn by their rarest class."""
        different = self._different(numbers)
        classes: dict[int, set[int]] = {number: set() for number in different}
        for box in self.annotations["annotations"]:
            if box["image_id"] in classes:
                classes[box["image_id"]].add(box["category_id"])
        images_of = {
            category["id"]: sum(category["id"] in found for found in classes.values())
            for category in self.annotations["categories"]
        }
        rarest = {number: min(((images_of[c], c) for c in found), default=(0, -1)) for number, found in classes.items()}
        ordered = sorted(self.in_order(different, seed), key=lambda one: rarest[one])
        parts = [set(ordered[start::count]) for start in range(count)]
        return [sorted(one for one in numbers if self._first[one] in part) for part in parts]
