"""A run's low-rank updates in the format of the library ``peft``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from torch import nn

from glip_core import GLIP
from glip_core.errors import InputError
from glip_core.modeling import low_rank
from glip_core.modeling.low_rank import LowRank
from glip_core.modes.adapters import LoRA
from odinw_bench.exporting import LowRankUpdates, write_peft
from odinw_bench.models import find_mode
from odinw_bench.models.base import Model
from odinw_bench.models.glip import GlipModel
from odinw_bench.models.hub.closed import ClosedSetModel
from odinw_bench.models.hub.tuned import TunableHubModel
from odinw_bench.runs.loading import TunedDetector, load_run
from odinw_bench.runs.record import read_record
from odinw_bench.utils.escape import for_markdown
from odinw_bench.utils.io import write_text

_EMBEDDINGS = "base.get_input_embeddings = base.model.text_backbone.get_input_embeddings  # peft asks for them\n"
_SHARED = (
    "Do not merge them: layers that share a weight have an adapter each, and merging would add all of them to it.\n\n"
)


def export_peft(run: Path, out: Path) -> list[str]:
    """Write what a run tuned as ``peft`` would, and a README.md that says how it is used.

    Args:
        run: the folder of a run of the mode ``lora`` or ``dora``.
        out: the folder to write, new or empty.

    Returns:
        the names of the files.

    Raises:
        InputError: there is no such run, it tuned something else than low-rank updates, its base is no model of
            transformers, ``peft`` is not installed, or ``out`` holds something.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"'{out}' exists and is not an empty folder; give another one with --out")
    record = read_record(run)
    spec = record.spec
    mode = find_mode(spec.mode_class or spec.mode)
    if not isinstance(mode, LoRA):
        raise InputError(
            f"the run in '{run}' tuned '{spec.mode}'; peft's format is for low-rank updates: lora and dora"
        )
    if mode.tunes_offset:
        raise InputError(
            f"the run in '{run}' tuned a prompt offset too, which peft's format has no place for: "
            "odinw-bench export hub writes both"
        )
    tuned = load_run(record, "cpu")
    updates = _updates(tuned)
    write_peft(updates, out)
    write_text(out / "README.md", _card(tuned, updates))
    return sorted(path.name for path in out.iterdir())


def _updates(tuned: TunedDetector) -> LowRankUpdates:
    used, model = tuned.record.protocol["hyperparameters"], tuned.model
    base, name, layers = _base(model, tuned.record.spec.weights)
    return LowRankUpdates(base, layers, int(used["adapter_rank"]), float(used["adapter_alpha"]), name)


def _base(model: Model, weights: str | None) -> tuple[Any, str, dict[str, LowRank]]:
    """The base in transformers, its name, and its layers' updates; the model loses them."""
    if isinstance(model, GlipModel) and isinstance(model.network, GLIP):
        from glip_core.hf import GlipForObjectDetection

        layers = {f"detector.{name}": update for name, update in _taken(model.network).items()}
        return GlipForObjectDetection.from_detector(model.network), model.network.config.name, layers
    if isinstance(model, TunableHubModel) and not isinstance(model, ClosedSetModel):
        base = model.base_network(weights)
        # peft (0.21) asks for them, and Grounding DINO in transformers (5.24) does not know where they are.
        base.get_input_embeddings = base.get_submodule(model.language).get_input_embeddings
        return base, weights or model.repository, _for_twins(base, _taken(model.network))
    or_model = ", or export model," if isinstance(model, GlipModel) else ""  # which knows GLIP and DyHead alone
    raise InputError(
        f"'{model.facts().name}' has a class layer that was made for the run's classes and is no low-rank update: "
        f"odinw-bench export hub{or_model} writes all of it"
    )


def _taken(network: nn.Module) -> dict[str, LowRank]:
    """The updates of a network's layers, by the layers' names; then the network is what it was before."""
    layers = {name: low_rank.update_of(one) for name, one in network.named_modules() if low_rank.is_adapted(one)}
    low_rank.remove(network)
    return layers


def _for_twins(base: nn.Module, layers: Mapping[str, LowRank]) -> dict[str, LowRank]:
    """The updates for all layers of a base that share an adapted weight.

    A run adapts the weight. peft adapts layers, each alone, and some layers of Grounding DINO hold one weight together.
    """
    weights = {name: getattr(module, "weight", None) for name, module in base.named_modules()}
    by_weight = {id(weights[name]): update for name, update in layers.items()}
    return {name: by_weight[id(weight)] for name, weight in weights.items() if id(weight) in by_weight}


def _card(tuned: TunedDetector, updates: LowRankUpdates) -> str:
    """The folder's model card."""
    spec = tuned.record.spec
    kind = type(updates.base).__name__
    glip = isinstance(tuned.model, GlipModel)
    model, mode, dataset = map(for_markdown, (spec.model, spec.mode, spec.dataset))
    base = for_markdown(updates.base_name)
    where = f"what `odinw-bench models convert MODEL --out BASE` writes, MODEL being {base}" if glip else base
    header = yaml.safe_dump(
        {"library_name": "peft", "tags": ["object-detection", spec.mode]}, sort_keys=False, allow_unicode=True
    )
    return f"""---
{header}---

# {model}, {mode} on {dataset}

Low-rank updates. BASE is {where}; its weights have SHA-256 {for_markdown(str(tuned.record.get("weights_sha256")))}.

```python
from {"glip_core.hf" if glip else "transformers"} import {kind}
from peft import PeftModel

base = {kind}.from_pretrained("BASE")
{"" if glip else _EMBEDDINGS}model = PeftModel.from_pretrained(base, "FOLDER").eval()
```

{_SHARED if len(set(updates.layers.values())) < len(updates.layers) else ""}\
The prompt that they were tuned for: {for_markdown(tuned.prompt.caption)}
"""
