"""Reading the Markdown documents: their links, code blocks and the commands in them."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]\n]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+\s+(?P<title>.+)$", re.MULTILINE)
_CODE = re.compile(r"`(?P<text>[^`\n]+)`")
_OPERATORS = frozenset({">", "&&", "||", ";", "|", "do", "done", "then"})


@dataclass(frozen=True)
class Block:
    """A fenced code block.

    Attributes:
        language: the first word after the fence.
        name: the file that the block is, from ``title="..."`` after the language; empty: none.
        text: what is in it.
    """

    language: str
    name: str
    text: str


def documents() -> list[Path]:
    """The documents that people write: not the generated reports, nor files that git does not know."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    names = listed.split() or ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"]  # no git: a release
    return [ROOT / name for name in names if not name.startswith(("reports/", "results/", "."))]


def section(text: str, title: str) -> str:
    """What stands below a heading, up to the next heading of its rank or a higher one."""
    _, rank, rest = re.split(rf"^(#+) {re.escape(title)}$", text, maxsplit=1, flags=re.MULTILINE)
    return re.split(rf"^#{{1,{len(rank)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def blocks(text: str, language: str | None = None) -> list[Block]:
    """The fenced code blocks, in order; of one language alone where one is given."""
    found = []
    for match in _FENCE.finditer(text):
        kind, _, rest = match["info"].strip().partition(" ")
        title = re.search(r'title="([^"]+)"', rest)
        found.append(Block(kind, title[1] if title else "", match["body"]))
    return [block for block in found if language in (None, block.language)]


def prose(text: str) -> str:
    """A document without its code blocks."""
    return _FENCE.sub("", text)


def links(text: str) -> list[str]:
    """Targets of the links and images outside code blocks."""
    return [match["target"] for match in _LINK.finditer(prose(text))]


def inline_code(text: str) -> list[str]:
    """What stands between single backticks outside code blocks."""
    return [match["text"] for match in _CODE.finditer(prose(text))]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives a document's headings, and those that it sets itself."""
    titles = [match["title"] for match in _HEADING.finditer(prose(text))]
    given = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    return given | set(re.findall(r'<a id="([^"]+)">', text))


def commands(text: str, program: str = "odinw-bench") -> list[list[str]]:
    """Arguments of each call of the program in shell blocks."""
    lines = [line for block in blocks(text, "bash") for line in _joined(block.text)]
    return _calls(lines, program)


def mentioned_commands(text: str, program: str = "odinw-bench") -> list[list[str]]:
    """Arguments of each call of the program in backticks: these may lack what the command requires."""
    return _calls([code for code in inline_code(text) if "..." not in code], program)


def _calls(lines: list[str], program: str) -> list[list[str]]:
    found = []
    for line in lines:
        words = shlex.split(line, comments=True)
        for start in (i for i, word in enumerate(words) if word.rpartition("/")[2] == program):
            rest = words[start + 1 :]
            end = next((i for i, word in enumerate(rest) if word in _OPERATORS), len(rest))
            found.append(rest[:end])
    return found


def _joined(text: str) -> list[str]:
    """Lines of a shell script, with those that a backslash continues in one."""
    return re.sub(r"\\\n\s*", " ", text).splitlines()
