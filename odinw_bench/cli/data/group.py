"""The verbs of ``odinw-bench data`` under their common name."""

from __future__ import annotations

import typer

from odinw_bench.cli.data import check, convert, download, listing, render

app = typer.Typer()
_verbs = typer.Typer(no_args_is_help=True, help="The data sets: list, download, convert, check; draw the miniature.")
for _verb in (listing, download, convert, check, render):
    _verbs.add_typer(_verb.app)
app.add_typer(_verbs, name="data")
