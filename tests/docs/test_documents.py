"""What the documents point at exists, and the commands in them are commands of the program."""

from __future__ import annotations

import ast
import contextlib
import inspect
import re
from pathlib import Path

import click
import pytest
import typer

from odinw_bench.cli import app
from tests.docs.blocks import (
    ROOT,
    anchors,
    blocks,
    commands,
    documents,
    inline_code,
    links,
    mentioned_commands,
    section,
)

NAMES = [str(path.relative_to(ROOT)) for path in documents()]
GENERATED = ("results", "reports", "docs")
_PATH = re.compile(r"[\w./-]+/[\w.-]+\.(?:py|md|yaml|json|jsonl|png|html|gz)|[\w./-]+/")
_OURS = ("glip_core/", "odinw_bench/", "tests/", "tasks/", "docs/", "tools/", "results/example", "reports/example")


@pytest.fixture(params=NAMES)
def document(request) -> Path:
    return ROOT / request.param


def test_the_readme_is_read_in_five_minutes():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 160


def test_relative_links_lead_somewhere(document):
    for target in links(document.read_text()):
        if re.match(r"[a-z]+:", target):  # a web page, not asked for here
            continue
        name, _, anchor = target.partition("#")
        file = (document.parent / name).resolve() if name else document
        assert file.exists(), f"{document.name} links to {target}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file.read_text()), f"{document.name} links to {target}"


def test_files_that_are_named_exist(document):
    """The changelog may name what was."""
    if document.name == "CHANGELOG.md":
        return
    for code in inline_code(document.read_text()):
        if code.startswith(_OURS) and _PATH.fullmatch(code):
            assert (ROOT / code).exists(), f"{document.name} names {code}"


def test_tests_that_are_named_exist(document):
    for code in inline_code(document.read_text()):
        file, _, name = code.partition("::")
        if name and file.startswith("tests/"):
            assert f"\ndef {name}(" in (ROOT / file).read_text(), f"{document.name} names {code}"


def test_commands_parse(document, tmp_path, monkeypatch):
    """Every call of the program in a document has options and values of the right kind; nothing is run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grid.yaml").write_text("model: glip-nano\n")  # read while the options are
    (tmp_path / "grids").symlink_to(ROOT / "grids")  # likewise
    text = document.read_text()
    for arguments in commands(text):
        _parse(arguments)
    for arguments in mentioned_commands(text):
        with contextlib.suppress(click.MissingParameter):
            _parse(arguments)


def _parse(arguments: list[str]) -> None:
    """Raise a usage error unless the program takes these arguments."""
    command, context = typer.main.get_command(app), None
    while getattr(command, "commands", None) and arguments:
        name, *arguments = arguments
        assert name in command.commands, f"no command '{name}'"
        command = command.commands[name]
    if "--help" not in arguments and not getattr(command, "commands", None):
        context = command.make_context(command.name, list(arguments))
        assert not context.args, f"{command.name} does not take {context.args}"


def test_a_wrong_command_in_a_document_is_noticed():
    with pytest.raises(AssertionError, match="no command 'rum'"):
        _parse(["rum", "--mode", "prompt"])
    with pytest.raises(click.NoSuchOption):
        _parse(["run", "--mod", "prompt"])
    with pytest.raises(click.MissingParameter):
        _parse(["score"])


def test_python_of_the_readme_names_what_there_is():
    """Its imports are executed, its calls are bound to their signatures; no model is loaded."""
    import glip_core
    import odinw_bench

    block, _ = blocks((ROOT / "README.md").read_text(), "python")
    names = {"glip_core": glip_core, **{name: getattr(odinw_bench, name) for name in ("RunSpec", "load_run", "run")}}
    objects = {"detector": glip_core.Detector, "found": glip_core.Detections, "tuned": odinw_bench.TunedDetector}
    found = []
    for call in (node for node in ast.walk(ast.parse(block.text)) if isinstance(node, ast.Call)):
        function = eval(ast.unparse(call.func), names | objects)
        is_method = ast.unparse(call.func).split(".")[0] in objects
        arguments = [None] * (len(call.args) + is_method)
        inspect.signature(function).bind(*arguments, **{word.arg: None for word in call.keywords})
        found.append(ast.unparse(call.func))
    assert found
    exec("\n".join(line for line in block.text.splitlines() if line.startswith(("import ", "from "))), {})


@pytest.mark.parametrize("name", ["README.md", "docs/transformers.md"])
def test_blocks_about_transformers_run(name, tmp_path, monkeypatch, cli):
    """The commands of the section, then its Python, in one folder with a photo and nothing else."""
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Image.effect_noise((160, 120), 90).convert("RGB").save("photo.jpg")
    text = (ROOT / name).read_text()
    text = section(text, "In transformers") if name == "README.md" else text
    values: dict = {}
    for block in blocks(text):
        if block.language == "bash":
            for arguments in commands(f"```bash\n{block.text}```"):
                assert cli(*arguments).code == 0
        elif block.language == "python":
            exec(block.text, values)
    assert values


def test_modes_of_the_readme_are_those_of_the_program():
    from odinw_bench.models import MODES

    rows = re.findall(r"^\| `([a-z][a-z+-]*)` \|", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    assert rows == list(MODES)
