"""``odinw-bench models list`` and ``models card``; ``models convert`` is in :mod:`odinw_bench.cli.hub`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from odinw_bench.cli._console import console, print_json, table, write_line
from odinw_bench.cli._options import Debug, Json, Listed, split_list
from odinw_bench.cli.hub import convert

if TYPE_CHECKING:
    from glip_core.config import DetectorConfig

app = typer.Typer()
_verbs = typer.Typer(no_args_is_help=True, help="The detectors: list them, read their cards, convert them.")
app.add_typer(_verbs, name="models")
_verbs.command("convert")(convert)


@_verbs.command("list")
def list_(as_json: Json = False, debug: Debug = False) -> None:
    """The detectors: what they are, where their weights come from and whether they are here."""
    from glip_core.config import PRESETS
    from odinw_bench.models import BUILT_IN

    rows = [_row(config) for config in PRESETS.values()] + [_adapter_row(name) for name in BUILT_IN]
    if as_json:
        print_json(rows)
        return
    columns = ["name", "what it is", "fusion", "classes by", "image", "weights", "licence", "here"]
    keys = ["name", "title", "fusion", "classes", "image", "weights", "licence", "present"]
    console().print(table("Models", columns, [[str(row[key]) for key in keys] for row in rows]))


@_verbs.command("card")
def card(
    model: Annotated[Listed, typer.Option("--model", help="Embedded models, or 'all'.")] = ["all"],
    results: Annotated[
        Path | None, typer.Option("--results", help="Folder of run records: the test numbers come from them.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for one Markdown file each; default: print.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Model cards of the embedded models: architecture, recipe, time, and what they reach in the records given."""
    from odinw_bench.pretraining import RECIPES
    from odinw_bench.pretraining.modelcard import model_card
    from odinw_bench.runs.record import find_records
    from odinw_bench.utils.io import write_text

    models = split_list(model)
    records = [record for _, record in find_records(results)] if results else []
    for name in RECIPES if "all" in models else models:
        text = model_card(name, records)
        if out is None:
            typer.echo(text)
        else:
            write_text(out / f"{name}.md", text)
            write_line(out / f"{name}.md")


def _row(config: DetectorConfig) -> dict[str, str]:
    from glip_core.checkpoint import EMBEDDED, HUB_REPOSITORY

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
        "licence": "Apache-2.0" if config.family == "nano" else "none stated (its code: MIT)",
        "present": present,
    }


def _adapter_row(name: str) -> dict[str, str]:
    from odinw_bench.models import BUILT_IN

    adapter = BUILT_IN[name]
    row = {"name": name, "title": adapter.title, "fusion": "-", "classes": adapter.classes, "image": "its own"}
    if adapter.nano:
        weights, here = "embedded", (Path(adapter.repository) / "model.safetensors").is_file()
    else:
        weights, here = adapter.repository, _cached("config.json", adapter.repository)
    return row | {"weights": weights, "licence": adapter.licence, "present": "yes" if here else "no"}


def _cached(file: str, repository: str | None = None) -> bool:
    """Whether a file of a repository on the hub, by default the official GLIP's, is in the local cache."""
    from huggingface_hub import try_to_load_from_cache

    from glip_core.checkpoint import HUB_REPOSITORY

    return isinstance(try_to_load_from_cache(repository or HUB_REPOSITORY, file), str)
