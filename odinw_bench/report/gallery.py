"""Test images with ground truth and detections side by side: the worst cases first, then the best."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from glip_core.errors import InputError
from odinw_bench.datasets.annotations import ImageId
from odinw_bench.metrics.coco import Predictions, check_pair, match
from odinw_bench.report.averages import AS_PUBLISHED, Config, Suite
from odinw_bench.report.document import Box, Gallery, Picture, format_number
from odinw_bench.report.testdata import PREDICTIONS, TestData, open_test_data, read_predictions

_LONGEST = 640  # pixels of an embedded picture
_ORDINALS = {2: "second", 3: "third"}


@dataclass
class _Seen:
    """What became of one image: its boxes, and which of them were found or right."""

    truth: list[tuple[dict[str, Any], float]] = field(default_factory=list)  # box, score of the detection it matched
    found: list[tuple[dict[str, Any], bool]] = field(default_factory=list)  # detection, right at IoU 0.5

    def counts(self, threshold: float) -> tuple[int, int, int]:
        """Right, wrong and missed, with detections from a score on."""
        kept = [right for box, right in self.found if box["score"] >= threshold]
        right = sum(kept)
        return right, len(kept) - right, len(self.truth) - sum(score >= threshold for _, score in self.truth)

    def f1(self, threshold: float) -> float | None:
        """F1 at IoU 0.5; None where there is nothing to find and nothing was found."""
        right, wrong, missed = self.counts(threshold)
        total = 2 * right + wrong + missed
        return 2 * right / total if total else None


def gallery(
    suite: Suite,
    task: str,
    results: Path,
    *,
    count: int,
    data_root: Path | None = None,
    data: Sequence[Path] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Gallery:
    """The pictures of one data set, by the best of the runs that have kept their predictions.

    Args:
        suite: the runs.
        task: the data set.
        results: folder of the records.
        count: pictures of each kind, worst and best.
        data_root: folder of the official data.
        data: folders of the user's own data sets.
        say: called with the reason where there is no gallery.

    Returns:
        the pictures; where there are none the text says why.
    """
    try:
        config, row = _best_run(suite, task, results)
        place = (suite.base, row["task"], row["eval_split"], row["test_sha256"])
        test = open_test_data(*place, data_root=data_root, data=data, folder=row["data_folder"])
        predictions = read_predictions(results / row["folder"])
        text, pictures = _choose(test, predictions, count)
    except InputError as error:
        say(f"no gallery of {suite.name}/{task}: {error}")
        return Gallery([f"No gallery: {error}."])
    what = f"{config.name}, seed {row['seed']}, AP {format_number(row['AP'])}: {_standing(suite, task, row)}. {text}"
    return Gallery([what], pictures)


def _standing(suite: Suite, task: str, row: dict[str, Any]) -> str:
    """Where a run stands among those of its task."""
    runs = suite.runs[suite.runs["dataset"] == task]
    if len(runs) == 1:
        return "the only run of this task"
    best = runs.sort_values(["AP", "folder"], ascending=[False, True]).to_dict("records")[0]
    if row["AP"] >= best["AP"]:
        alone = int((runs["AP"] == row["AP"]).sum()) == 1
        return (
            f"the best of this task's {len(runs)} runs" if alone else f"none of this task's {len(runs)} runs is better"
        )
    leader = Config(best["model"], best["variant"], best["mode"], best["shots"])
    better = int((runs["AP"] > row["AP"]).sum())
    verb = "is" if better == 1 else "are"
    return (
        f"no run that kept its {PREDICTIONS} is better, but {better} of this task's {len(runs)} runs {verb} better "
        f"({leader.name}, seed {best['seed']}, has AP {format_number(best['AP'])})"
    )


def _best_run(suite: Suite, task: str, results: Path) -> tuple[Config, dict[str, Any]]:
    runs = suite.runs[suite.runs["dataset"] == task].sort_values(["AP", "folder"], ascending=[False, True])
    for place, folder in enumerate(runs["folder"]):
        if (results / folder / PREDICTIONS).is_file():
            (row,) = runs.iloc[[place]].to_dict("records")
            config = Config(row["model"], row["variant"], row["mode"], row["shots"])
            assert config.mode != AS_PUBLISHED
            return config, {str(name): value for name, value in row.items()}
    raise InputError(f"no run has kept its {PREDICTIONS}")


def _choose(test: TestData, predictions: Predictions, count: int) -> tuple[str, list[Picture]]:
    images = _score(test, predictions)
    threshold = _best_threshold(images)
    scored = {image: f1 for image, seen in images.items() if (f1 := seen.f1(threshold)) is not None}

    def order(image: ImageId) -> tuple[float, int, str]:
        right, wrong, missed = images[image].counts(threshold)
        return scored[image], right - wrong - missed, test.split.file_name(image)  # among equals: the more, the worse

    ranked = sorted(scored, key=order)
    half = min(count, len(ranked) // 2) if len(ranked) > 1 else len(ranked)
    alike = len(ranked) == 1 or scored[ranked[0]] == scored[ranked[-1]]
    worst, best = ranked[:half], ranked[max(half, len(ranked) - half) :][::-1]
    chosen = [(_rank("worst", place, alike), image) for place, image in enumerate(worst)]
    chosen += [(_rank("best", place, alike), image) for place, image in enumerate(best)]
    pictures = [_picture(test, image, images[image], threshold, verdict) for verdict, image in chosen]
    text = (
        f"Detections of score {threshold:.2f} or more, where F1 at IoU 0.5 is highest over the whole split; pictures "
        "are ranked by their own F1, equal ones by their boxes. Solid boxes: right, or found; dashed: wrong, or missed."
    )
    return text, pictures


def _rank(kind: str, place: int, alike: bool) -> str:
    """What a picture is called: ``best`` and ``worst`` are those alone that are."""
    if alike:
        return "as good as all"
    return kind if place == 0 else f"{_ORDINALS.get(place + 1, f'{place + 1}th')} {kind}"


def _score(test: TestData, predictions: Predictions) -> dict[ImageId, _Seen]:
    """Match detections at IoU 0.5 by the reference evaluator."""
    annotations, results = check_pair(test.split.annotations, predictions)
    images = {image["id"]: _Seen() for image in annotations["images"]}
    boxes = {box["id"]: box for box in annotations["annotations"]}
    detections = {result["id"]: result for result in results}
    evaluator = match(annotations, results)
    areas = len(evaluator.params.areaRng)
    of_all_sizes = np.arange(len(evaluator.evalImgs)) // len(evaluator.params.imgIds) % areas == 0
    for entry, wanted in zip(evaluator.evalImgs, of_all_sizes, strict=True):
        if entry is None or not wanted:
            continue
        seen = images[entry["image_id"]]
        scores = dict(zip(entry["dtIds"], entry["dtScores"], strict=True))
        for box, by, ignored in zip(entry["gtIds"], entry["gtMatches"][0], entry["gtIgnore"], strict=True):
            if not ignored:
                seen.truth.append((boxes[box], scores.get(int(by), -np.inf) if by > 0 else -np.inf))
        matches = zip(entry["dtIds"], entry["dtMatches"][0], entry["dtIgnore"][0], strict=True)
        seen.found += [(detections[found], by > 0) for found, by, ignored in matches if not ignored]
    return images


def _best_threshold(images: dict[ImageId, _Seen]) -> float:
    """The score from which on detections count, so that F1 over all images is highest."""
    found = [(box["score"], right) for seen in images.values() for box, right in seen.found]
    total = sum(len(seen.truth) for seen in images.values())
    if not found:
        return 0.0
    scores, right = (np.array(column) for column in zip(*sorted(found, reverse=True), strict=True))
    f1 = 2 * np.cumsum(right) / (np.arange(1, len(found) + 1) + total)
    last_of_score = np.append(scores[1:] != scores[:-1], True)
    return float(scores[int(np.argmax(np.where(last_of_score, f1, -1)))])


def _picture(test: TestData, image: ImageId, seen: _Seen, threshold: float, verdict: str) -> Picture:
    label_of = {category: label for label, category in enumerate(test.split.category_ids)}
    names = test.split.class_names
    truth = [
        Box(tuple(box["bbox"]), names[label_of[box["category_id"]]], label_of[box["category_id"]], score >= threshold)
        for box, score in seen.truth
    ]
    found = [
        Box(
            tuple(box["bbox"]),
            f"{names[label_of[box['category_id']]]} {box['score']:.2f}",
            label_of[box["category_id"]],
            right,
        )
        for box, right in sorted(seen.found, key=lambda item: item[0]["score"])
        if box["score"] >= threshold
    ]
    right, wrong, missed = seen.counts(threshold)
    caption = f"{verdict}: F1 {seen.f1(threshold):.2f}, {right} right, {wrong} wrong, {missed} missed"
    return Picture(
        test.split.file_name(image), caption, test.split.size(image), _data_uri(test.picture(image)), truth, found
    )


def _data_uri(picture: Any) -> str:
    """A small WebP inside a URI."""
    small = picture.copy()
    small.thumbnail((_LONGEST, _LONGEST))
    out = io.BytesIO()
    small.save(out, "WEBP", quality=82, method=4)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode("ascii")
