"""What is exported: the detector of a run, or a model with a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from glip_core import Detector, Prompt
from glip_core.config import PRESETS
from glip_core.errors import InputError, nearest
from odinw_bench.models import find_model
from odinw_bench.models.glip import GlipModel
from odinw_bench.runs.loading import load_run
from odinw_bench.utils.text import shorten


@dataclass(frozen=True)
class Exportable:
    """A detector to export.

    Attributes:
        detector: on the CPU, with what a run tuned.
        prompt: its classes; None: any.
        source: where it comes from, for people.
    """

    detector: Detector
    prompt: Prompt | None
    source: str


def exportable(
    source: str, *, prompt: str | None = None, dynamic: bool = False, weights: str | None = None
) -> Exportable:
    """The detector of a run's folder or of a model's name.

    Args:
        source: a folder of a run, or a preset.
        prompt: a line of classes; None: that of the run.
        dynamic: for any prompt.
        weights: of a preset; see :func:`glip_core.load`.

    Raises:
        InputError: there is no such run or model, the run failed, it cannot be exported, or the prompt is missing or
            does not go with what was tuned.
    """
    if prompt is not None and dynamic:
        raise InputError("give --prompt or --dynamic-prompt, not both")
    words = None if prompt is None else Prompt.parse(prompt)
    if source in PRESETS and not Path(source).is_dir():
        return _of_preset(source, words, dynamic, weights)
    if not Path(source).exists():
        raise InputError(
            f"{shorten(source)} is neither a run's folder nor a model{nearest(source, PRESETS)}; see odinw-bench models"
        )
    if weights is not None:
        raise InputError("a run brings its weights: leave --weights out")
    return _of_run(Path(source), words, dynamic)


def _of_preset(name: str, words: Prompt | None, dynamic: bool, weights: str | None) -> Exportable:
    if not PRESETS[name].has_text:
        raise InputError(f"the class layer of '{name}' is untrained: export a run that tuned it")
    if words is None and not dynamic:
        raise InputError('say what the detector is to look for: --prompt "fish. stingray", or --dynamic-prompt')
    model = find_model(name).load(weights, "cpu")
    assert isinstance(model, GlipModel)
    return Exportable(model.network, words, name)


def _of_run(folder: Path, words: Prompt | None, dynamic: bool) -> Exportable:
    tuned = load_run(folder, "cpu")
    model, own = tuned.model, tuned.prompt
    if not isinstance(model, GlipModel):
        raise InputError(f"'{tuned.record.spec.model}' cannot be exported here; GLIP and DyHead can")
    other = words is not None and (words.caption, words.spans) != (own.caption, own.spans)
    if other and (not model.facts().has_text or getattr(model.network, "prompt_offset", None) is not None):
        raise InputError(f"the run in '{folder}' was tuned for its own prompt alone: leave --prompt out")
    prompt = None if dynamic else words if other else own
    return Exportable(model.network, prompt, str(folder))
