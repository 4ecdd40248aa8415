"""Text from data is data: what it needs so that no output takes it for commands.

Names of classes, data sets, models and files, captions and error texts come from other people. Every output writes them
by one of these functions; a number or a text of the program's own comes through unchanged.
"""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # what drives terminals
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what turns the direction of the text around it
    "\u2028\u2029"  # line ends that few programs know
    "\ud800-\udfff\ufffe\uffff"  # what no file may hold as text: halves of characters, and XML's exceptions
    "]"
)
_DELETE, _SYMBOLS = 0x7F, 0x2400  # where Unicode's pictures of the control characters begin
_FORMULA = tuple("=+-@＝＋－＠\t\r")  # spreadsheets take the wide signs, too
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "–": "--",
    "±": r"$\pm$",
    "×": r"$\times$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "⁹": r"\textsuperscript{9}",
    "[": "{[}",  # after a line's end it would begin an optional argument
    "*": "{*}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
_LATEX_SIGNS = str.maketrans(_LATEX)
_MARKDOWN = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", **{sign: f"\\{sign}" for sign in "\\`*_[]|#$~"}})


def visible(text: str, *, keep: str = "") -> str:
    r"""Text whose control characters are symbols: an escape is ``␛``, a line end ``␊``.

    Args:
        text: any text, halves of characters included.
        keep: control characters that stay, such as ``"\n"``.

    Returns:
        text that can be encoded, moves no cursor and keeps its direction to itself.
    """
    if text.isprintable():  # none of them is; a report asks for each of its cells
        return text
    return _UNSEEN.sub(lambda found: found[0] if found[0] in keep else _symbol(found[0]), text)


def _symbol(sign: str) -> str:
    code = ord(sign)
    if code < 0x20:
        return chr(_SYMBOLS + code)
    if code == _DELETE:
        return "\u2421"
    return f"<U+{code:04X}>"


def _in_ascii(text: str) -> str:
    if text.isprintable():
        return text
    return _UNSEEN.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)


def one_line(text: str) -> str:
    """Visible text with single spaces."""
    return " ".join(visible(text).split())


def for_json(text: str) -> str:
    """JSON as a terminal or a pipe may get it: what is not visible is written as JSON's own escapes."""
    return _UNSEEN.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


def for_markdown(text: str) -> str:
    """Text on one line without a meaning in Markdown, GitHub's mathematics, or HTML."""
    line = one_line(text).translate(_MARKDOWN)
    if not line.startswith(("-", "+", "=")) and not line[:1].isdecimal():
        return line  # nothing that lists, rules and underlines begin with
    return re.sub(r"^(?:([-+=])|(\d+)([.)]))(?=\s|\1|$)", r"\2\\\1\3", line)  # lists, rules and underlines


def for_latex(text: str) -> str:
    """Text on one line as LaTeX's text mode; symbols are ASCII there, which every engine has."""
    return " ".join(_in_ascii(text).split()).translate(_LATEX_SIGNS)


def for_csv(text: str) -> str:
    """Text as a cell that no spreadsheet computes: one like a formula gets an apostrophe, numbers stay as they are."""
    if text.lstrip(" ").startswith(_FORMULA) and not _is_number(text):
        text = f"'{text}"
    return visible(text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def for_figure(text: str) -> str:
    """Text in a drawing, whose font has no symbols; the drawing's mathematics must be off (``text.parse_math``).

    A name that begins with an underscore would have no place in a legend.
    """
    shown = _in_ascii(text)
    return f" {shown}" if shown.startswith("_") else shown
