"""Tables on screen, and progress that fits a terminal or a pipe."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from odinw_bench.utils.escape import for_json, one_line, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


_PADDING = re.compile(r"(?:[ ]|\x1b\[[0-9;]*m)*[ ](?:[ ]|\x1b\[[0-9;]*m)*(?=\n|\Z)")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Unpadded:
    """A stream whose lines end where their text ends; colours stay.

    Rich fills the lines of an example up to the width of the screen. A blank after a backslash makes of it another
    command when it is pasted.

    Args:
        stream: that is written to, whole lines at a time.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write without the blanks at the ends of lines."""
        return self.stream.write(_PADDING.sub(lambda found: "".join(_COLOURS.findall(found[0])), text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def console() -> Console:
    """Standard output; wide enough for a table when it is no terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 150, highlight=False)


def print_json(data: Any) -> None:
    """JSON on standard output."""
    print(for_json(json.dumps(data, indent=1, ensure_ascii=False)))


def write_line(text: object, *, file: TextIO | None = None, flush: bool = False) -> None:
    """One line with names from data in it, line ends and control characters shown as symbols.

    Args:
        text: the line.
        file: where to; None: standard output.
        flush: at once.
    """
    print(visible(str(text)), file=file, flush=flush)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = ()) -> Table:
    """A table; columns named in ``numbers`` are aligned to the right.

    All is shown as it is: brackets and colons are no markup, control characters are symbols.
    """
    from rich.table import Table
    from rich.text import Text

    made = Table(title=Text(visible(title), style="table.title"), title_justify="left", header_style="bold")
    for column in columns:
        heading = Text(visible(column))
        made.add_column(heading, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(visible(cell)) for cell in row))
    return made


def number(value: float | None, digits: int = 1) -> str:
    """A number for a table; None is a dash."""
    return "-" if value is None else f"{value:.{digits}f}"


def fail(error: Exception) -> int:
    """Print one line on standard error; returns the exit code for unusable input."""
    print(f"error: {one_line(' '.join(str(error).split()))}", file=sys.stderr)
    return 2
