"""What mkdocs cannot do by itself for the site: pages made from other files, and links that leave ``docs/``."""

from __future__ import annotations

import json
import posixpath
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = "https://github.com/odinw-bench/odinw-bench/blob/main/"
PAGES = {"CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md", "CHANGELOG.md": "changelog.md"}
_TARGET = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_ROLE = re.compile(r":(?:class|func|meth|attr|data|mod|exc):(?=<code>)(<code>)~?")


def public_names(package: str) -> dict[str, str]:
    """Public name of a package -> where it is defined, ``package.module`` for a module."""
    module = import_module(package)
    return {name: f"{package}.{module._HOME[name]}" if name in module._HOME else package for name in module.__all__}


def reference(package: str) -> str:
    """A page of every public name, in mkdocstrings' form."""
    entries = "\n".join(f"::: {home}.{name}\n" for name, home in public_names(package).items())
    return f"# {package}\n\n{import_module(package).__doc__.splitlines()[0]}\n\n{entries}"


def command_line() -> str:
    """A page of what every command's ``--help`` says."""
    import typer

    from odinw_bench.cli import app

    def texts(command: Any, path: str) -> list[str]:
        found = [f"## {path}\n\n````text\n{_help(command, path)}\n````\n"]
        for name, part in getattr(command, "commands", {}).items():
            found += texts(part, f"{path} {name}")
        return found

    return "# Command line\n\n" + "\n".join(texts(typer.main.get_command(app), "odinw-bench"))


def _help(command: Any, path: str) -> str:
    """Usage, text and options, without the terminal's frames."""
    context = command.context_class(command, info_name=path, terminal_width=100)
    formatter = context.make_formatter()
    command.format_usage(context, formatter)
    formatter.write(f"\n{command.help or ''}\n")
    rows = [record for one in command.get_params(context) if (record := one.get_help_record(context))]
    if rows:
        formatter.write("\n")
        formatter.write_dl(rows)
    return formatter.getvalue().replace("\b", "").rstrip()


def notebook(path: Path) -> str:
    """A notebook as Markdown: its texts and its code."""
    texts = [f"*This page is the notebook [{path.name}]({REPOSITORY}docs/notebooks/{path.name}).*\n"]
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        texts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    title, *rest = texts[1:]
    return "\n\n".join([title, texts[0], *rest])


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from other files."""
    made = {page: (ROOT / name).read_text(encoding="utf-8") for name, page in PAGES.items()}
    made |= {f"api/{package}.md": reference(package) for package in ("glip_core", "odinw_bench")}
    made["api/cli.md"] = command_line()
    for path in sorted((ROOT / "docs/notebooks").glob("*.ipynb")):
        made[f"notebooks/{path.stem}.md"] = notebook(path)
    for uri, content in made.items():
        files.append(File.generated(config, uri, content=content))
    for picture in sorted((ROOT / "reports/example/figures").glob("*.png")):
        uri = f"figures/{picture.name}"
        files.append(File.generated(config, uri, abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to files outside ``docs/`` into links to their pages, or to the repository."""
    uri = page.file.src_uri
    root_pages = {made: name for name, made in PAGES.items()}
    here = posixpath.dirname(root_pages.get(uri, f"docs/{uri}"))

    def moved(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(here, match[1]))
        if target == "README.md" and match[2]:  # a section of it; the site's first page is another
            return REPOSITORY + target + match[2]
        return _address(target, posixpath.dirname(uri), files) + (match[2] or "")

    parts = _FENCE.split(markdown)
    return "".join(part if part.startswith("```") else _TARGET.sub(moved, part) for part in parts)


def _address(target: str, folder: str, files: Files) -> str:
    """Where the site has a file of the repository: a path from the page's folder, or an address."""
    if target.startswith("reports/example/figures/") and target.endswith(".png"):
        inside = f"figures/{posixpath.basename(target)}"
    else:
        inside = PAGES.get(target) or ("index.md" if target == "README.md" else target.removeprefix("docs/"))
    inside = re.sub(r"(?<=^notebooks/)(.*)\.ipynb$", r"\1.md", inside)
    if inside.endswith(".jsonl"):
        return REPOSITORY + target
    if inside != target or files.get_file_from_path(inside):
        return posixpath.relpath(inside, folder or ".")
    return REPOSITORY + target


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Docstrings name things by Sphinx' roles: keep the name alone."""
    return _ROLE.sub(r"\1", html)
