"""A cell: one run with every name looked up, which is all that the work on it needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from glip_core.prompt import Prompt
from odinw_bench.datasets.coco import Split
from odinw_bench.datasets.retained import RetainedTask
from odinw_bench.datasets.task import PromptStyle, Task
from odinw_bench.engine.length import Length
from odinw_bench.engine.recipes import Hyperparameters
from odinw_bench.models import Model, ModelFacts, find_model
from odinw_bench.runs.spec import RunSpec


@dataclass(frozen=True)
class Cell:
    """What a :class:`~odinw_bench.runs.spec.RunSpec` stands for; :func:`odinw_bench.runs.prepare.prepare` makes it.

    It can be pickled, so a worker process gets what its parent has looked up and reads no annotations again.

    Attributes:
        spec: what the user asked for.
        facts: of the model.
        task: the dataset.
        prompt: its classes as the model is given them.
        prompt_style: ``names`` or ``written``, as in force.
        settings: hyper-parameters, None where nothing is tuned.
        train: images to learn from; None where nothing is tuned.
        validation: images to select on; None where nothing is tuned.
        test: images to report on.
        leaks: pictures of the training split that are in the test split too; None where nothing is tuned.
        selection_leaks: pictures of the split that is selected on that are in the test split too; None where nothing is
            compared, see :meth:`odinw_bench.datasets.store.SplitStore.selection_leaks`.
        few_shot: how the training subset was made, ``official-file``, ``rule``, ``given`` or ``unshuffled``; None where
            nothing is tuned.
        few_shot_validation: likewise, of the subset that is selected on; None: all of the split.
        weights: what the model loads; None: its own weights.
        weights_sha256: their hash.
        pictures_sha256: by split, what its pictures are; empty where they are drawn.
        digest: of everything that can change the numbers.
        folder: of the record.
        label: what to call the data set beside others of its name; empty: by its name.
        retained: data sets that the tuned detector is asked again, with the classes of each.
    """

    spec: RunSpec
    facts: ModelFacts
    task: Task
    prompt: Prompt
    prompt_style: PromptStyle
    settings: Hyperparameters | None
    train: Split | None
    validation: Split | None
    test: Split
    few_shot: str | None
    few_shot_validation: str | None
    leaks: int | None
    selection_leaks: int | None
    weights: str | None
    weights_sha256: str
    pictures_sha256: Mapping[str, str]
    digest: str
    folder: Path
    label: str = ""
    retained: tuple[RetainedTask, ...] = ()

    @property
    def model(self) -> type[Model]:
        """The class of the model, imported already; a class made from a preset cannot be pickled with the cell."""
        return find_model(self.spec.model)

    @property
    def dataset(self) -> str:
        """The data set, for people."""
        return self.label or self.task.name

    @property
    def name(self) -> str:
        """Model, task, mode and subset, for people."""
        spec = self.spec
        shots = "" if spec.shots == 0 else f" {spec.shots}-shot seed {spec.seed}"
        return f"{spec.model} {self.dataset} {spec.mode}{shots}"

    @property
    def most_passes(self) -> int:
        """Training images that are shown to the model at most."""
        if self.settings is None or self.train is None:
            return 0
        return Length.of(len(self.train.trainable_ids()), self.settings).total * self.settings.batch
