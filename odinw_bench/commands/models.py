"""``odinw-bench models list`` and ``models card``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from glip_core.checkpoint import EMBEDDED, HUB_REPOSITORY
from glip_core.config import PRESETS, DetectorConfig
from odinw_bench.commands.output import console, print_json, table
from odinw_bench.models import BUILT_IN, find_adapter


def command(as_json: bool) -> None:
    """Print the detectors."""
    rows = [_row(config) for config in PRESETS.values()] + [_adapter_row(name) for name in BUILT_IN]
    if as_json:
        print_json(rows)
        return
    columns = ["name", "what it is", "fusion", "classes by", "image", "weights", "here"]
    keys = ["name", "title", "fusion", "classes", "image", "weights", "present"]
    console().print(table("Models", columns, [[str(row[key]) for key in keys] for row in rows]))


def _row(config: DetectorConfig) -> dict[str, str]:
    if config.family == "nano":
        weights, present = "embedded", "yes" if (EMBEDDED / f"{config.name}.safetensors").is_file() else "no"
    elif config.checkpoint:
        weights, present = f"{HUB_REPOSITORY}/{config.checkpoint}", "yes" if _cached(config.checkpoint) else "no"
    else:
        weights, present = "--weights FILE or glip-t-a", "-"
    return {
        "name": config.name,
        "title": config.title,
        "fusion": "yes" if config.fusion else "no",
        "classes": "prompt" if config.has_text else "index",
        "image": f"{config.image_short}/{config.image_long}",
        "weights": weights,
        "present": present,
    }


def _adapter_row(name: str) -> dict[str, str]:
    adapter = find_adapter(name)
    assert adapter is not None
    repository = getattr(adapter, "repository", "")
    here = "yes" if repository and _cached("config.json", repository) else "no"
    row = {"name": name, "title": adapter.title, "fusion": "-", "classes": "prompt", "image": "its own"}
    return row | {"weights": repository or "--weights", "present": here}


def _cached(file: str, repository: str = HUB_REPOSITORY) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(repository, file), str)


def card_command(models: Sequence[str], results: Path | None, out: Path | None) -> None:
    """Print model cards, or write one file each."""
    from odinw_bench.pretraining import RECIPES
    from odinw_bench.pretraining.modelcard import model_card
    from odinw_bench.runs.record import find_records
    from odinw_bench.utils.io import write_text

    records = [record for _, record in find_records(results)] if results else []
    for model in RECIPES if "all" in models else models:
        text = model_card(model, records)
        if out is None:
            print(text)
        else:
            write_text(out / f"{model}.md", text)
            print(out / f"{model}.md")
