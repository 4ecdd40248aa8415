"""``odinw-bench protocol``: the hyper-parameters of every mode as one table."""

from __future__ import annotations

from glip_core.errors import InputError
from odinw_bench.commands.options import parse_shots
from odinw_bench.commands.output import console, print_json, table
from odinw_bench.engine.recipes import hyperparameters
from odinw_bench.runs.spec import MODES, PROTOCOLS, UNTUNED, newest_protocol
from odinw_bench.utils.io import nearest


def command(name: str | None, shots: str, as_json: bool) -> None:
    """Print one protocol, or the names of all."""
    if name is None:
        if as_json:
            print_json(dict(PROTOCOLS))
        else:
            console().print(table("Protocols", ["name", "what it is"], [list(item) for item in PROTOCOLS.items()]))
        return
    known = newest_protocol(name)
    if known not in PROTOCOLS:
        raise InputError(f"unknown protocol '{name}'{nearest(name, PROTOCOLS)}")
    settings = {
        mode: hyperparameters(known, mode, parse_shots(shots)).to_json() for mode in MODES if mode not in UNTUNED
    }
    if as_json:
        print_json(settings)
        return
    fields = list(next(iter(settings.values())))
    rows = [[field, *(_show(values[field]) for values in settings.values())] for field in fields]
    console().print(table(f"{known}, shots {shots}: {PROTOCOLS[known]}", ["", *settings], rows))


def _show(value: object) -> str:
    if isinstance(value, list):
        return " ".join(f"{item:g}" for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
