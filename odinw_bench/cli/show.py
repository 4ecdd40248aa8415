"""``odinw-bench show``: one record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odinw_bench.cli._console import console, number, print_json, table, write_line
from odinw_bench.cli._options import Debug, Json

if TYPE_CHECKING:
    from odinw_bench.runs.record import RunRecord

app = typer.Typer()


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="RECORD", help="Folder of a run record.")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """One run record: metrics per class, cost, data, environment."""
    from odinw_bench.runs.record import read_record

    record = read_record(folder)
    if as_json:
        print_json(record.to_json())
        return
    spec = record.spec
    write_line(f"{spec.model} on {spec.suite}/{spec.dataset}")
    write_line(f"{spec.mode}, {spec.shots} shots, seed {spec.seed}")
    write_line(f"status: {record.status}" + (f" ({record.error})" if record.error else ""))
    for title, rows in (
        ("Metrics, percent", _metrics(record)),
        ("What was known before, AP in percent", _retention(record)),
        ("Cost", _plain(record.cost)),
    ):
        if rows:
            console().print(table(title, ["", ""], rows))
    write_line(f"files: {_files(record)}")
    if record.is_sealed and not record.seals_itself:
        write_line("record: not sealed itself (an early one of schema 2): an edit of it would not be noticed")
    if not record.is_sealed and record.spec.suite != "mini":
        write_line("pictures: not sealed (a record of schema 1 says nothing of them)")
    console().print(table("Data", ["", ""], _plain(record.data)))
    console().print(table("Environment", ["", ""], _plain(record.environment)))


def _files(record: RunRecord) -> str:
    from odinw_bench.runs.seal import find_damage

    if not record.is_sealed:
        return "not sealed (a record of schema 1 does not list them)"
    damage = find_damage(record)
    return f"{len(record.files)}, of the sizes that the run wrote" if damage is None else f"damaged: {damage}"


def _metrics(record: RunRecord) -> list[list[str]]:
    rows = []
    for name, value in record.metrics.items():
        if name == "per_class":
            continue
        if isinstance(value, Mapping):  # such as the recalls of each type of phrase
            rows += [[f"{name} {part}", number(inner)] for part, inner in value.items()]
        else:
            rows.append([name, number(value)])
    return rows + [[f"AP {name}", number(value)] for name, value in record.per_class.items()]


def _retention(record: RunRecord) -> list[list[str]]:
    parts = {"mean": record.retention, **record.retention.get("by_task", {})} if record.retention else {}
    return [
        [f"{name}: before, after", f"{number(one.get('base_AP'))}, {number(one.get('retained_AP'))}"]
        for name, one in parts.items()
    ]


def _plain(values: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for name, value in values.items():
        if name == "annotation_notes":
            rows += [[f"annotations {key}", text] for key, texts in value.items() for text in texts]
        elif isinstance(value, Mapping):
            rows += [[f"{name} {key}", str(inner)[:16]] for key, inner in value.items()]
        else:
            rows.append([name.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value)])
    return rows
