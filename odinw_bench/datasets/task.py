"""What a task is: classes, splits, where the data come from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

PromptStyle = Literal["names", "written"]
"""Prompts: the plain class names, or the hand-written attributes where a task has them."""

Exif = Literal["apply", "ignore"]
"""A camera's EXIF orientation: pictures are turned as viewers show them, or left as they are stored."""

PROMPT_STYLES: tuple[PromptStyle, ...] = get_args(PromptStyle)

BUILT_IN_SUITES = (
    *("mini", "odinw13", "odinw35"),
    *("coco", "lvis-minival", "lvis", "flickr30k", "refcoco", "refcoco+", "refcocog"),
    *("mini-coco", "mini-lvis", "mini-flickr", "mini-refexp"),
    *("rf100vl", "rf20vl"),
)
"""The suites that come with the program: ODinW's two lists and their drawn miniature, the paper's others, and more."""


def is_split_name(text: str) -> bool:
    """Whether a text can name a split: folders are called like it, so it must not lead elsewhere."""
    return re.fullmatch(r"[A-Za-z0-9]+([-_][A-Za-z0-9]+)*", text) is not None


@dataclass(frozen=True)
class TaskClass:
    """A class of a task.

    Attributes:
        name: as the official task calls it; the prompt of the ``zero-shot`` mode.
        category_id: its id in the annotations.
        manual: hand-written prompt ``{"prefix", "name", "suffix"}``, spaces included; None: none was written.
        synonyms: other names that a prompt search may try.
    """

    name: str
    category_id: int
    manual: Mapping[str, str] | None = None
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """A split that nobody made: some of the pictures of a larger one, drawn by a rule.

    Attributes:
        name: of this part.
        weights: (name, parts of the whole) of all that the pictures are divided into, in the order they are filled.
        seed: of the order in which the pictures are taken.
    """

    name: str
    weights: tuple[tuple[str, int], ...]
    seed: int


@dataclass(frozen=True)
class SplitPaths:
    """Where a split lies, relative to the data root.

    Attributes:
        annotations: the COCO annotation file, or what holds the annotations in another form; empty for the miniature,
            which is drawn.
        images: the folder of its pictures.
        count: number of images as published; None: not known.
        part: which of these pictures it is; None: all.
        elsewhere: other places that it may lie at, (annotation file, folder of pictures), tried in this order.
    """

    annotations: str
    images: str
    count: int | None = None
    part: Part | None = None
    elsewhere: tuple[tuple[str, str], ...] = ()

    def found_in(self, root: Path) -> SplitPaths:
        """The same at the first of its places whose annotation file is there; unchanged where none is."""
        places = [(self.annotations, self.images), *self.elsewhere]
        found = next((place for place in places if (root / place[0]).is_file()), None)
        return self if found is None else replace(self, annotations=found[0], images=found[1])


@dataclass(frozen=True)
class HubFile:
    """A zip on the Hugging Face hub."""

    repo: str
    file: str

    @property
    def url(self) -> str:
        """Where it can be downloaded."""
        return f"https://huggingface.co/{self.repo}/resolve/main/{self.file}"


@dataclass(frozen=True)
class Roboflow:
    """An export of Roboflow; None where a part is not known."""

    workspace: str
    project: str
    version: int | None = None


@dataclass(frozen=True)
class Source:
    """Where a task's data come from.

    Attributes:
        kind: ``official`` (files under a data root), ``folder`` (a folder of the user's) or ``miniature`` (drawn).
        hub: the official zip.
        roboflow: the export it was made from.
        page: its public web page.
        format: of the annotation files; a name of :data:`odinw_bench.datasets.sources.FORMATS`.
    """

    kind: Literal["official", "folder", "miniature"] = "official"
    hub: HubFile | None = None
    roboflow: Roboflow | None = None
    page: str | None = None
    format: str = "coco"


@dataclass(frozen=True)
class Task:
    """One data set of a suite: its classes, its splits and where they come from.

    Attributes:
        name: short name, used in commands and folders.
        title: name for tables.
        suite: the suite it was loaded for.
        classes: in the order of their ids, which is the order of labels and of the prompt.
        splits: by name: ``train``, ``val``, ``test``, for some ``minival``.
        eval_split: the split that the official task file evaluates on, and that tuning selects on.
        config: name of the official task file; None for the user's own.
        aliases: further names it answers to.
        licence: of the data; None: not known.
        source: where the data come from.
        fewshot: by split: path of the ready-made subsets, with ``{shots}`` and ``{seed}`` to fill in.
        root: the folder that paths are relative to, for the user's own; None: the data root.
        notes: what to know about the data.
        form: how annotations are written, by name (see :mod:`odinw_bench.datasets.forms`).
        exif: what a camera's EXIF orientation does; None: what the stated sizes of the pictures say.
        file: that the user named in place of a folder: a task file, a COCO file; else None.
        prompt_style: the prompt of the suite's official task file: ``names``, or ``written`` where that file has a
            hand-written caption, which it then uses zero-shot and in tuning.
        attributes: words for the prompt search beside its own, by what they describe (``colour``, ``place`` ...).
        evaluation: how it is tested; a name of :data:`odinw_bench.evaluation.EVALUATIONS`.
        given_shots: by number of shots: the split that holds the images which the benchmark itself gives for them; they
            take the place of a draw.
        tested_on: the split that is reported where ``test`` is asked for: some data sets have no labels for theirs.
        selected_on: the split that tuning selects on; empty: ``eval_split``.
    """

    name: str
    title: str
    suite: str
    classes: tuple[TaskClass, ...]
    splits: Mapping[str, SplitPaths]
    eval_split: str
    config: str | None = None
    aliases: tuple[str, ...] = ()
    licence: str | None = None
    source: Source = field(default_factory=Source)
    fewshot: Mapping[str, str] = field(default_factory=dict)
    root: Path | None = None
    notes: tuple[str, ...] = ()
    prompt_style: PromptStyle = "names"
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    evaluation: str = "coco"
    given_shots: Mapping[int, str] = field(default_factory=dict)
    tested_on: str = "test"
    selected_on: str = ""
    form: str = "coco"
    exif: Exif | None = None
    file: Path | None = None

    @property
    def selection_split(self) -> str:
        """The split that tuning selects on."""
        return self.selected_on or self.eval_split

    def learnt_from(self, shots: object) -> str:
        """The split that a number of shots (or ``"all"``) is taken from."""
        return self.given_shots.get(shots, "train") if isinstance(shots, int) else "train"

    def split_named(self, name: str) -> str:
        """The split that is reported where one of this name is asked for."""
        return self.tested_on if name == "test" and "test" not in self.splits else name

    @property
    def place(self) -> str | None:
        """The path that the user's own data set opens by; None: it is no data set of the user's own."""
        return None if self.root is None else str(self.file or self.root)

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of their ids."""
        return [entry.name for entry in self.classes]

    @property
    def has_manual(self) -> bool:
        """Whether a hand-written prompt exists for any class."""
        return any(entry.manual is not None for entry in self.classes)

    def prompt_parts(self) -> list[dict[str, str]]:
        """The parts for ``Prompt.from_parts``: hand-written where given, else the plain name."""
        return [{"prefix": "", "name": entry.name, "suffix": "", **(entry.manual or {})} for entry in self.classes]

    @property
    def names(self) -> tuple[str, ...]:
        """Everything it answers to, in any case."""
        return (self.name, self.title, *self.aliases, *([self.config] if self.config else []))
