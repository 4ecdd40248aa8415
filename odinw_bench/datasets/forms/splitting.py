"""Splits that nobody made, made by a rule: the same pictures fall into the same split, whatever their form and names.

The rule: pictures are put into the order of SHA-256(seed, SHA-256 of the file), and divided from there. The bytes of a
picture decide, so copies of one stay together, and neither a file's name nor its place in a list changes a split.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from odinw_bench.datasets.forms.base import WHOLE
from odinw_bench.datasets.task import Part, SplitPaths
from odinw_bench.utils.io import sha256_bytes

if TYPE_CHECKING:
    from odinw_bench.datasets.annotations import ImageId
    from odinw_bench.datasets.coco import Split

SPLIT_SEED = 3
THREE_WAYS = (("test", 20), ("val", 20), ("train", 60))
TWO_HALVES = (("test", 50), ("val", 50))


def complete(splits: Mapping[str, SplitPaths], seed: int = SPLIT_SEED) -> tuple[dict[str, SplitPaths], list[str]]:
    """The splits that runs need, out of those that are there.

    - no splits, or ``train`` alone: 60 % to train on, 20 % to select on, 20 % to test on;
    - ``train`` and ``val``: ``val`` is halved into ``val`` and ``test``; what somebody set aside stays set aside;
    - ``val`` alone is ``test`` as well;
    - anything with a ``test`` stays as it is; without ``val``, tuned models are selected on ``train``.

    Args:
        splits: by name; ``all`` for what nobody divided.
        seed: of the order.

    Returns:
        the splits, and what was done in words.
    """
    names = set(splits) & {WHOLE, "train", "val", "minival", "test"}
    if "test" in names or not names or names == {"minival"}:
        return dict(splits), []
    if names <= {WHOLE, "train"}:
        whole = splits.get("train") or splits[WHOLE]
        made = _parts(whole, THREE_WAYS, seed, ("train", "val", "test"))
        return made, [f"no splits are given: 60 % train, 20 % val, 20 % test by the pictures' hashes and seed {seed}"]
    if "train" not in names:
        held = splits.get("val") or splits["minival"]
        return {**splits, "test": held}, ["no test split is given: it is the same as val"]
    source = splits.get("val") or splits["minival"]
    made = _parts(source, TWO_HALVES, seed, ("val", "test"))
    note = f"no test split is given: val is halved into val and test by the pictures' hashes and seed {seed}"
    return {**{name: paths for name, paths in splits.items() if name in ("train", "minival")}, **made}, [note]


def split_note(part: Part) -> str:
    """How a part came about, in words, for the record of a run."""
    total = sum(weight for _, weight in part.weights)
    weight = dict(part.weights)[part.name]
    return (
        f"no such split was given: this is {100 * weight // total} % of the pictures, in the order of "
        f"SHA-256(seed {part.seed}, picture)"
    )


def divide(split: Split, part: Part) -> list[ImageId]:
    """The images of one part, in the order of the split.

    Args:
        split: the whole.
        part: which; see the module for the rule. Each part gets its share rounded, the last one the rest; where there
            are too few pictures for all, the first and the last one go before those between.
    """
    from odinw_bench.datasets.picture_hashes import hashes_of  # brings numpy

    hashes = hashes_of(split)
    keys = {image_id: hashes[split.file_name(image_id)] or split.file_name(image_id) for image_id in split.image_ids}
    order = {key: sha256_bytes(f"{part.seed} {key}".encode()) for key in keys.values()}
    groups: dict[str, list[ImageId]] = {}
    for image_id in sorted(split.image_ids, key=lambda one: order[keys[one]]):
        groups.setdefault(keys[image_id], []).append(image_id)
    parts: dict[str, list[ImageId]] = {name: [] for name, _ in part.weights}
    total = sum(weight for _, weight in part.weights)
    wanted = {name: max(1, round(len(split) * weight / total)) for name, weight in part.weights[:-1]}
    if len(split) < len(part.weights):
        wanted = dict(list(wanted.items())[:1])
    waiting = list(groups.values())
    for name in wanted:
        while waiting and len(parts[name]) < wanted[name]:
            parts[name] += waiting.pop(0)
    for group in waiting:
        parts[part.weights[-1][0]] += group
    taken = set(parts[part.name])
    return [image_id for image_id in split.image_ids if image_id in taken]


def _parts(
    paths: SplitPaths, weights: tuple[tuple[str, int], ...], seed: int, names: tuple[str, ...]
) -> dict[str, SplitPaths]:
    return {name: SplitPaths(paths.annotations, paths.images, None, Part(name, weights, seed)) for name in names}
