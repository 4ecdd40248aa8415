"""Tasks found and splits opened once for many runs."""

from __future__ import annotations

from pathlib import Path

from glip_core.errors import InputError
from odinw_bench.datasets.coco import Split
from odinw_bench.datasets.duplicates import leaked
from odinw_bench.datasets.fewshot import Shots
from odinw_bench.datasets.registry import load_task
from odinw_bench.datasets.retained import RetainedTasks
from odinw_bench.datasets.sources import draw_shots, few_shot_subset, open_split
from odinw_bench.datasets.task import Task
from odinw_bench.utils.text import shorten


class SplitStore:
    """Finds tasks and opens splits; cells of one dataset that follow each other share its splits.

    Args:
        data_root: see :func:`odinw_bench.datasets.sources.open_split`.

    Attributes:
        retained: what tuned detectors are asked again, opened once.
    """

    def __init__(self, data_root: Path | str | None = None) -> None:
        self.data_root = data_root
        self.retained = RetainedTasks(data_root)
        self._tasks: dict[tuple[str, str], Task] = {}
        self._task: tuple[str, str, str | None] | None = None
        self._splits: dict[str, Split] = {}
        self._leaks: dict[tuple[str, str], list[tuple[str, str]]] = {}

    def task(self, dataset: str, suite: str) -> Task:
        """A task, found once; see :func:`odinw_bench.datasets.registry.load_task`."""
        key = (dataset, suite)
        if key not in self._tasks:
            self._tasks[key] = load_task(dataset, suite)
        return self._tasks[key]

    def open(self, task: Task, name: str) -> Split:
        """A whole split; see :func:`odinw_bench.datasets.sources.open_split`."""
        key = (task.suite, task.name, task.place)
        if key != self._task:
            self._task, self._splits, self._leaks = key, {}, {}
        if name not in self._splits:
            self._splits[name] = open_split(task, name, self.data_root)
        return self._splits[name]

    def leaks(self, task: Task, tested: str, learnt: str = "train") -> int:
        """How many pictures of the training split, or another that is learnt from, are in another, byte for byte.

        Frames of one colour do not count. Official data are taken as they are, and the record says so; one's own can be
        corrected.

        Raises:
            InputError: there are any, and the data are the user's own.
        """
        return self._in_both(task, learnt, tested, "tuning on them")

    def selection_leaks(self, task: Task, tested: str) -> int | None:
        """How many pictures that the best epoch is selected on are in the split that is tested on, byte for byte.

        See :meth:`leaks`. Who asks for the very split that is selected on, such as ``--eval-split val``, wants that.

        Returns:
            None where there is nothing to compare: selection is on the training split, the split was asked for, or the
            pictures are drawn.

        Raises:
            InputError: there are any, and the data are the user's own.
        """
        selected = task.selection_split
        if selected == "train" or selected == tested != task.split_named("test"):
            return None
        if any(self.open(task, name).folder is None for name in (selected, tested)):
            return None
        return self._in_both(task, selected, tested, "selecting the best epoch on them")

    def _in_both(self, task: Task, first: str, tested: str, doing: str) -> int:
        """The number of equal pictures of two splits, found once; an error where it can be corrected."""
        splits = self.open(task, first), self.open(task, tested)  # of another task they forget what was found
        if (first, tested) not in self._leaks:
            self._leaks[first, tested] = leaked(*splits)
        pairs = self._leaks[first, tested]
        if pairs and task.root is not None:
            name, other = pairs[0]
            remedy = "take them out of one" if first != tested else "name another eval_split in its task file"
            raise InputError(
                f"'{task.name}': {len(pairs)} pictures of '{first}' are in '{tested}' too, such as {shorten(name)} "
                f"(there {shorten(other)}), byte for byte; {doing} would make the numbers worthless: {remedy}"
            )
        return len(pairs)

    def subset(self, task: Task, name: str, shots: Shots, seed: int, *, shuffled: bool = True) -> tuple[Split, str]:
        """A k-shot subset, and how it was made; see :func:`odinw_bench.datasets.sources.few_shot_subset`.

        Not ``shuffled`` it is ``unshuffled``: images in the order of their ids, whatever the seed and the files. The
        images that a benchmark itself gives for a number of shots are ``given``, whatever seed and order.
        """
        if name == "train" and task.learnt_from(shots) != name:
            return self.open(task, task.learnt_from(shots)), "given"
        split = self.open(task, name)
        if not shuffled:
            return split.subset(draw_shots(task, split, shots, 0)), "unshuffled"
        return few_shot_subset(task, name, split, shots, seed, self.data_root)
