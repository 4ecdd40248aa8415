"""The images a record was tested on, found again from what the record says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glip_core.errors import InputError
from odinw_bench.datasets.coco import Split
from odinw_bench.datasets.folder import is_data_set
from odinw_bench.datasets.registry import SUITES, load_suite, load_task
from odinw_bench.datasets.sources import open_split
from odinw_bench.datasets.task import Task
from odinw_bench.metrics.coco import Predictions
from odinw_bench.runs.record import read_record
from odinw_bench.runs.seal import open_sealed
from odinw_bench.utils.io import read_json
from odinw_bench.utils.text import shorten

if TYPE_CHECKING:
    from PIL.Image import Image

PREDICTIONS = "predictions.json"


@dataclass(frozen=True)
class TestData:
    """A test split with its pictures.

    Attributes:
        split: annotations.
        folder: of the picture files; None for the miniature, which is drawn.
    """

    split: Split
    folder: Path | None

    def picture(self, image_id: int | str) -> Image:
        """A picture, RGB.

        Raises:
            InputError: it is missing or no picture.
        """
        return self.split.image(image_id)


def open_test_data(
    suite: str,
    dataset: str,
    eval_split: str,
    sha256: str,
    *,
    data_root: Path | None = None,
    data: Sequence[Path] = (),
    folder: str = "",
) -> TestData:
    """Open the split that a record was tested on.

    Args:
        suite: of the record.
        dataset: of the record.
        eval_split: the split that was tested.
        sha256: hash of its annotations as recorded; empty: not known.
        data_root: folder of the official data.
        data: folders of the user's own data sets, or of suites of them.
        folder: path of the data set as recorded, which decides where two of ``data`` have its name, and which is tried
            where none has; empty: not known.

    Raises:
        InputError: the data are not here, or are not those of the record.
    """
    task = _find_task(suite, dataset, data, folder, known=bool(sha256))
    split = open_split(task, eval_split, data_root)
    if sha256 and split.sha256 != sha256:
        raise InputError(
            f"the data of {suite}/{dataset} here are not those of the record: its '{eval_split}' annotations have the "
            f"hash {split.sha256[:12]}, the record says {sha256[:12]}"
        )
    return TestData(split, split.folder)


def read_predictions(folder: Path) -> Predictions:
    """The detections of a record.

    Raises:
        InputError: it has none, or others than the run made.
    """
    path = open_sealed(read_record(folder), PREDICTIONS)
    found: list[Mapping[str, Any]] = read_json(path, what="predictions")
    return found


def _find_task(suite: str, dataset: str, data: Sequence[Path], recorded: str, *, known: bool) -> Task:
    found: list[Task] = []
    for folder in data:
        tasks = [load_task(folder)] if is_data_set(folder) else load_suite(folder)
        found += [task for task in tasks if task.name == dataset or task.place == recorded]
    if found:
        return min(found, key=lambda task: task.place != recorded)  # the first, if none lies there
    if suite in SUITES:
        return load_task(dataset, suite)
    why = ""
    if recorded and known:  # a record may be anybody's: only what has the hash that it states is shown
        try:
            return load_task(Path(recorded))
        except InputError as error:
            why = f"; it was tested at {shorten(recorded, 200)} ({error})"
    raise InputError(f"'{dataset}' is a data set of your own: give its folder with --data FOLDER{why}")
