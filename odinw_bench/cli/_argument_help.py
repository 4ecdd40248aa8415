"""The help of positional arguments, which typer 0.25 and click 8.5 lose together."""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

import typer.models
from typer.core import TyperArgument, TyperGroup


class WithArgumentHelp(TyperGroup):
    """A group whose commands, and those of groups in it, have the help of their arguments.

    Typer up to 0.25 keeps it as an attribute that click's class, since 8.5 one with a help of its own, sets to none.
    Other versions of the two keep it, and nothing is changed.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        for command in self.commands.values():
            _give_help(command)


def _give_help(command: Any) -> None:
    for inner in getattr(command, "commands", {}).values():
        _give_help(inner)
    lost = [one for one in command.params if isinstance(one, TyperArgument) and not one.help]
    hints = get_type_hints(inspect.unwrap(command.callback), include_extras=True) if lost else {}
    for argument in lost:
        stated = getattr(hints.get(str(argument.name)), "__metadata__", ())
        argument.help = next((one.help for one in stated if isinstance(one, typer.models.ArgumentInfo)), None)
