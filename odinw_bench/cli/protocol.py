"""``odinw-bench protocol``: the hyper-parameters of every mode as one table."""

from __future__ import annotations

from typing import Annotated

import typer

from glip_core.errors import InputError
from odinw_bench.cli._console import console, print_json, table
from odinw_bench.cli._options import Debug, Json, parse_shots

app = typer.Typer()


@app.command()
def protocol(
    name: Annotated[str | None, typer.Argument(help="odinw-glip, quick or mini. Default: say what there is.")] = None,
    shots: Annotated[str, typer.Option("--shots", help="Images per class, or 'all'.")] = "5",
    model: Annotated[str, typer.Option("--model", help="With its own values, where the protocol has such.")] = "",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """The hyper-parameters of a protocol, by mode; `run --set NAME=VALUE` changes them."""
    from glip_core.errors import nearest
    from odinw_bench.engine.recipes import current_name, hyperparameters
    from odinw_bench.models import model_facts
    from odinw_bench.runs.spec import MODES, PROTOCOLS, UNTUNED, newest_protocol

    if name is None:
        if as_json:
            print_json(dict(PROTOCOLS))
        else:
            console().print(table("Protocols", ["name", "what it is"], [list(item) for item in PROTOCOLS.items()]))
        return
    known = newest_protocol(name)
    if known not in PROTOCOLS:
        raise InputError(f"unknown protocol '{name}'{nearest(name, PROTOCOLS)}")
    if model:
        model_facts(model)  # for its error
    settings = {
        mode: hyperparameters(known, mode, parse_shots(shots), model=model).to_json()
        for mode in MODES
        if mode not in UNTUNED
    }
    if as_json:
        print_json(settings)
        return
    fields = list(next(iter(settings.values())))
    rows = [[current_name(field), *(_show(values[field]) for values in settings.values())] for field in fields]
    console().print(
        table(f"{known}, shots {shots}{f', {model}' if model else ''}: {PROTOCOLS[known]}", ["", *settings], rows)
    )


def _show(value: object) -> str:
    if isinstance(value, list):
        return " ".join(f"{item:g}" for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
