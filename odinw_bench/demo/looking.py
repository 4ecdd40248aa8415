"""What the page does, without the page: pictures with boxes for several prompts, with and without attributes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from glip_core import Detections, Prompt
from glip_core.errors import InputError
from odinw_bench.models import find_model
from odinw_bench.models.base import Model
from odinw_bench.runs.loading import TunedDetector, load_run
from odinw_bench.runs.record import read_record

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PROMPTS = 4
MOST_RUNS = 200  # in the list of the page, the newest


@dataclass(frozen=True)
class Shown:
    """One picture of the page.

    Attributes:
        picture: RGB, with boxes.
        caption: what was looked for.
        found: what is drawn, boxes in the photo's own pixels.
    """

    picture: Image
    caption: str
    found: Detections


@dataclass
class Detectors:
    """The base model and the tuned runs of a results folder, loaded when they are first chosen.

    Attributes:
        model: name of the base model.
        weights: see ``--weights``.
        device: ``cpu``, ``cuda``, ...
        runs: folder of each run by its name on the page.
    """

    model: str = "glip-nano"
    weights: str | None = None
    device: str = "cpu"
    runs: dict[str, Path] = field(default_factory=dict)
    _base: Model | None = field(default=None, init=False, repr=False)
    _tuned: tuple[str, TunedDetector] | None = field(default=None, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, model: str, weights: str | None, device: str, results: Path | None) -> Detectors:
        """Find the runs, the newest first.

        Raises:
            InputError: the model reads no prompts, is not known, or the results folder is missing.
        """
        if not find_model(model).facts().has_text:
            raise InputError(f"'{model}' reads no prompts; the demo wants a model such as glip-nano or glip-t")
        return cls(model, weights, device, {} if results is None else _runs(results))

    @property
    def names(self) -> list[str]:
        """What can be chosen: the base model, then the runs."""
        return [self.model, *self.runs]

    def detect(self, name: str, photo: Image, prompt: Prompt | None) -> Detections:
        """Detections in a photo; of several threads one at a time: loading and a prompt of one's own change the models.

        Args:
            name: one of :attr:`names`.
            photo: RGB.
            prompt: None: the run's own.

        Raises:
            InputError: no such detector, the base model without a prompt, or a run that cannot be loaded.
        """
        with self._lock:
            return self._detect(name, photo, prompt)

    def _detect(self, name: str, photo: Image, prompt: Prompt | None) -> Detections:
        if name in self.runs:
            if self._tuned is None or self._tuned[0] != name:  # one at a time: a full model may take gigabytes
                self._tuned = (name, load_run(self.runs[name], self.device))
            return self._tuned[1].predict(photo, prompt)
        if name != self.model:
            raise InputError(f"no detector '{name}' on this page; reload it")
        if prompt is None:
            raise InputError('say what to look for, for example "fish. stingray, which is flat and round"')
        if self._base is None:
            self._base = find_model(self.model).load(self.weights, self.device)
        found = self._base.predict(photo, self._base.encode(prompt))
        return replace(found, classes=tuple(prompt.names))


def _runs(results: Path) -> dict[str, Path]:
    if not results.is_dir():
        raise InputError(f"results folder '{results}' not found; leave --results out, or make runs with 'run'")
    files = sorted(results.rglob("run.json"), key=lambda file: file.stat().st_mtime, reverse=True)
    found = {}
    for file in files:
        try:
            record = read_record(file)
        except InputError:
            continue  # `report` says what is wrong with it
        if record.is_done and (file.parent / "prompt.json").is_file():
            found[str(file.parent.relative_to(results))] = file.parent
        if len(found) == MOST_RUNS:
            break
    return found


def with_prompts(detectors: Detectors, name: str, photo: Image, text: str, threshold: float) -> list[Shown]:
    """A picture for each prompt; a class has one colour in all of them.

    Args:
        detectors: see :class:`Detectors`.
        name: of the detector.
        photo: RGB.
        text: a prompt a line, at most :data:`MOST_PROMPTS`; empty: a run's own.
        threshold: the least score that is drawn, 0 to 1.

    Raises:
        InputError: too many prompts, or see :meth:`Detectors.detect`.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > MOST_PROMPTS:
        raise InputError(f"{len(lines)} prompts; at most {MOST_PROMPTS} fit side by side")
    prompts: list[Prompt | None] = [Prompt.parse(line) for line in lines] or [None]
    found = [detectors.detect(name, photo, prompt).above(threshold) for prompt in prompts]
    return _drawn(photo, found, lines or ["the run's own prompt"])


def what_words_add(detectors: Detectors, name: str, photo: Image, text: str, threshold: float) -> list[Shown]:
    """The first prompt with its attributes, and the same classes by their names alone.

    Raises:
        InputError: there is no prompt, or it has no attributes.
    """
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    prompt = Prompt.parse(line)
    plain = Prompt.from_parts([{"name": class_name} for class_name in prompt.names])
    if plain.caption == prompt.caption:
        raise InputError('no attributes in the first prompt: write them after a comma, "fish, which is blue"')
    found = [detectors.detect(name, photo, one).above(threshold) for one in (prompt, plain)]
    return _drawn(photo, found, [prompt.caption, f"names alone: {plain.caption}"])


def _drawn(photo: Image, found: Sequence[Detections], captions: Sequence[str]) -> list[Shown]:
    from glip_core.detection.drawing import draw_detections

    names = list(dict.fromkeys(name for one in found for name in one.classes))
    shown = []
    for one, caption in zip(found, captions, strict=True):
        places = one.labels.new_tensor([names.index(name) for name in one.classes])
        coloured = replace(one, labels=places[one.labels], classes=tuple(names))
        shown.append(Shown(draw_detections(photo, coloured, names), caption, one))
    return shown


def counts(shown: Sequence[Shown]) -> list[list[str]]:
    """Rows of a table: class, then for each picture how many were found and the best score."""
    names = list(dict.fromkeys(name for one in shown for name in one.found.classes))
    rows = []
    for name in names:
        row = [name]
        for one in shown:
            scores = [box.score for box in one.found if box.name == name]
            row.append(f"{len(scores)}, best {max(scores):.2f}" if scores else "none")
        rows.append(row)
    return rows
