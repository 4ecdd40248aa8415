"""A detector as a run left it: its weights, what was tuned, and the prompt it was tuned for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, overload

from glip_core import Detections, Prompt
from glip_core.checkpoint import read_state_dict
from glip_core.errors import InputError
from glip_core.images import load_image
from odinw_bench.datasets.prompts import prompt_from_json
from odinw_bench.models import UNTUNED, TunableModel, find_mode, find_model
from odinw_bench.models.base import Model
from odinw_bench.runs.record import TUNED, RunRecord, read_record
from odinw_bench.runs.seal import open_sealed
from odinw_bench.utils.hardware import pick_device
from odinw_bench.utils.io import read_json

Wanted = Prompt | str | Sequence[str]
"""What people write for a prompt: one, a line that is parsed as one, or class names."""


class TunedDetector:
    """The detector of a run, ready to predict.

    Attributes:
        record: of the run.
        model: with what was tuned.
        prompt: that it was tuned for, or tested with.

    Args:
        record: see above.
        model: likewise.
        prompt: likewise.
    """

    def __init__(self, record: RunRecord, model: Model, prompt: Prompt) -> None:
        self.record, self.model, self.prompt = record, model, prompt

    def __repr__(self) -> str:
        spec = self.record.spec
        return f"TunedDetector({spec.model}, {spec.mode} on {spec.dataset}, classes: {', '.join(self.prompt.names)})"

    @overload
    def predict(
        self, image: list[Any], prompt: Wanted | None = None, *, threshold: float = 0.0
    ) -> list[Detections]: ...
    @overload
    def predict(self, image: Any, prompt: Wanted | None = None, *, threshold: float = 0.0) -> Detections: ...
    def predict(
        self, image: Any, prompt: Wanted | None = None, *, threshold: float = 0.0
    ) -> Detections | list[Detections]:
        """Detections in a photo, or in each of several.

        Args:
            image: what :func:`glip_core.images.load_image` takes, or a list of that.
            prompt: None: the run's own. Another one (a line, class names, a :class:`glip_core.Prompt`) is looked for
                with the tuned weights, but without what was tuned for the run's prompt alone.
            threshold: the least score that is kept, 0 to 1.

        Returns:
            Detections with boxes in the photo's own pixels; a list of them for a list of images.

        Raises:
            InputError: an image cannot be read, or the model knows only the classes that it was tuned for.
        """
        wanted = self.prompt if prompt is None else Prompt.of(prompt)
        own = wanted.caption == self.prompt.caption
        if not own and not self.model.facts().has_text:
            raise InputError(
                f"'{self.record.spec.model}' has a class layer for {', '.join(self.prompt.names)}: leave the prompt out"
            )
        with nullcontext() if own else self.model.without_tuned_prompt():
            encoded = self.model.encode(wanted)
            many = isinstance(image, list | tuple)
            found = []
            for one in image if many else [image]:
                photo = load_image(one)
                boxes = self.model.predict(photo, encoded)
                named = Detections(boxes.boxes, boxes.scores, boxes.labels, tuple(wanted.names), photo)
                found.append(named.above(threshold))
        return found if many else found[0]


def load_run(
    run: Path | str | RunRecord, device: str = "auto", *, weights: str | None = None, model: str | None = None
) -> TunedDetector:
    """The detector of a finished run.

    A model or a mode of another package is imported by the name of its class, which the record holds.

    Args:
        run: the folder of a record, the path of its ``run.json``, or the record that :func:`odinw_bench.run` gave.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        weights: the file of the base's weights, where it lies elsewhere than when the run was made.
        model: the model as it is called here, where it cannot be found by what the record says of it.

    Raises:
        InputError: the folder holds no finished run, its files are missing or were changed, the model cannot be found
            or is another, or the base weights are others than the run's.
    """
    record = run if isinstance(run, RunRecord) else read_record(Path(run))
    where = record.folder
    if not record.is_done:
        raise InputError(f"the run in '{where}' failed: {record.error}")
    spec = record.spec
    words = prompt_from_json(read_json(open_sealed(record, "prompt.json"), what="prompt"))
    found = find_model(model or spec.model_source or spec.model_class or spec.model)
    if model is not None and found.facts().name != spec.model:
        raise InputError(f"the run in '{where}' is of {spec.model}, and '{model}' is {found.facts().name}")
    weights = spec.weights if weights is None else weights
    if not found.is_known_as(weights, str(record.get("weights_sha256"))):
        raise InputError(f"the weights of '{spec.model}' here are not those that '{where}' was tuned from")
    load = found.load_lenient if record.get("ignored_weights") else found.load
    detector = load(weights, pick_device(device), classes=len(words), seed=spec.seed)
    if spec.mode not in UNTUNED and isinstance(detector, TunableModel):
        tuned = open_sealed(record, TUNED)
        used = {"adapter_rank": 0, "adapter_alpha": 0.0, "adapter_where": ""} | record["protocol"]["hyperparameters"]
        mode = find_mode(spec.mode_class or spec.mode).configured(SimpleNamespace(**used))
        detector.apply_tuned(mode, words, read_state_dict(tuned), source=str(tuned))
    return TunedDetector(record, detector, words)
