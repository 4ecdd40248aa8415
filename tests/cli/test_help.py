"""What ``--help`` says."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys

import pytest
import typer.main
from typer.core import TyperArgument

from odinw_bench.cli import app
from odinw_bench.cli._console import Unpadded


def commands(command=None, path=()):
    """Every command of the program: its words, and itself."""
    command = command or typer.main.get_command(app)
    yield path, command
    for name, part in getattr(command, "commands", {}).items():
        yield from commands(part, (*path, name))


def examples(text: str) -> list[str]:
    """The lines of the fenced blocks of a help text."""
    return [line for block in text.split("```")[1::2] for line in block.strip("\n").splitlines()]


COMMANDS = dict(commands())
EVERY = {path: inspect.cleandoc(one.help or "") for path, one in COMMANDS.items()}
"""The help of every command as it is written in the code."""

ARGUMENTS = {
    path: found
    for path, one in COMMANDS.items()
    if (found := [part for part in one.params if isinstance(part, TyperArgument)])
}


@pytest.mark.parametrize("path", [path for path, text in EVERY.items() if "odinw-bench" in text], ids="-".join)
def test_examples_are_shown_as_written(path, cli, monkeypatch):
    """Lines joined, and ``*`` was taken for emphasis."""
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 80)
    shown = cli(*path, "--help").out
    lines = examples(EVERY[path])
    assert lines, "examples belong into a fenced block"
    for line in lines:
        assert line in [one[2:] for one in shown.split("\n")], line  # no blank after a backslash


def test_every_command_has_help():
    assert all(EVERY.values())
    assert len(EVERY) == 1 + 17 + 5 + 6 + 3


def test_the_help_of_every_argument_is_shown(cli, monkeypatch):
    """Typer and click lost it together."""
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 200)
    for path, arguments in ARGUMENTS.items():
        shown = " ".join(cli(*path, "--help").out.replace("│", " ").split())
        for argument in arguments:
            assert argument.help
            assert argument.help in shown, (path, argument.help)
    assert len(ARGUMENTS) > 10


@pytest.mark.integration
def test_no_verb_brings_heavy_packages_with_its_help():
    code = "import sys, odinw_bench.cli\nprint(sorted({'torch', 'numpy', 'pandas', 'rich.table'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "[]"


def test_the_earlier_name_of_an_option_is_read_but_not_shown(cli):
    search = typer.main.get_command(app).commands["search"]
    for arguments, value in ((["--no-luck"], False), (["--luck"], True), ([], None)):
        assert search.make_context("search", ["--dataset", "pothole", *arguments]).params["old_control"] is value
    shown = cli("search", "--help").out
    assert "--no-control" in shown
    assert "--luck" not in shown


def test_padding_goes_and_colours_stay(capsys):
    out = Unpadded(sys.stdout)
    out.write("\x1b[1mrun \\\x1b[0m\x1b[40m    \x1b[0m  \n   --x  1   \nend ")
    assert capsys.readouterr().out == "\x1b[1mrun \\\x1b[0m\x1b[40m\x1b[0m\n   --x  1\nend"
    assert out.encoding == sys.stdout.encoding
