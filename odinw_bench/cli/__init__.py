"""The command line: a file per verb, with its arguments and its work; heavy imports wait until a verb is called."""

from odinw_bench.cli.main import app, main

__all__ = ["app", "main"]
