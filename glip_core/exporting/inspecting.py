"""What a ``torch.export`` file may hold to be opened: tensors and a graph, nothing that opening it would run.

``torch.export.load`` unpickles, loads compiled libraries, evaluates the expressions of sizes, and makes Python source
of the inputs' names. A file that :func:`glip_core.exporting.write_program` wrote needs none of the first two, and of
the others sums and plain names alone.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from glip_core.errors import InputError

_COMPILED = "data/aotinductor/"
_GRAPH = "models/"
_TABLES = ("_weights_config.json", "_constants_config.json")
_PAYLOAD = re.compile(r"(weight|tensor)_\d+")
_NAME = re.compile(r"[\w.]*")
_SUM = re.compile(r"[\w\s(),.'=<>!*/+-]*")
_WORD = re.compile(r"\b[^\W\d]\w*")
_WORDS = re.compile(
    r"[suz]\d+|u?Symbol|Integer|Float|Rational|Half|One|Zero|NegativeOne|Add|Mul|Pow|Min|Max|Mod|PythonMod|FloorDiv|"
    r"CleanDiv|CeilDiv|ModularIndexing|Where|Eq|Ne|Equality|Unequality|Lt|Le|Gt|Ge|StrictLessThan|LessThan|"
    r"StrictGreaterThan|GreaterThan|And|Or|Not|ToFloat|TruncToInt|IntTrueDiv|FloatTrueDiv|positive|nonnegative|"
    r"integer|real|evaluate|True|False|true|false"
)
_TREES = ("in_spec", "out_spec")
_TYPES = (None, "builtins.tuple", "builtins.list", "builtins.dict")
_FREE = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "guards_code", "torch_version", "custom")
"""Texts that are kept for messages, or for guards, which are not compiled where a program is opened here."""


def check_program(path: Path) -> None:
    """Refuse a file whose opening would run more than PyTorch's reader of tensors and graphs.

    Args:
        path: a file of ``torch.export.save``.

    Raises:
        InputError: the file holds a pickle that is more than tensors, an object, a compiled library, or a graph whose
            names and sizes are more than that.
        RuntimeError: it is no such file, or damaged; as is a ValueError, and a BadZipFile.
    """
    with zipfile.ZipFile(path) as archive:  # the reader of files before 2.8, which is torch's second try, looks there
        if "version" in archive.namelist():
            raise _refused(path, "is of an old form, which is unpickled")
    reader = torch._C.PyTorchFileReader(str(path))  # torch's own: names mean here what they mean when it is opened
    for name in reader.get_all_records():
        if name.startswith(_COMPILED):
            raise _refused(path, "holds a compiled library")
        if name.lower().endswith(".pt"):
            _check_pickle(path, name, reader.get_record(name))
        elif name.endswith(_TABLES):
            _check_table(path, json.loads(reader.get_record(name)))
        elif name.startswith(_GRAPH):
            _check_graph(path, json.loads(reader.get_record(name)))


def _check_pickle(path: Path, name: str, content: bytes) -> None:
    """Sample inputs, and before torch 2.9 weights: torch reads them as tensors, and unpickles them if that fails."""
    if not content:
        return
    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except Exception as error:  # whatever a crafted pickle brings
        raise _refused(path, f"holds a pickle of more than tensors ('{name}')") from error


def _check_table(path: Path, table: Any) -> None:
    for entry in table["config"].values():
        if entry["use_pickle"] is not False or not _PAYLOAD.fullmatch(entry["path_name"]):
            raise _refused(path, "holds an object that is unpickled")


def _check_graph(path: Path, graph: Any) -> None:
    for key, text in _texts(graph):
        if key in _FREE:
            continue
        if key in _TREES:
            plain = _is_tree(json.loads(text))
        else:
            plain = bool(_NAME.fullmatch(text)) or (key in ("expr_str", "range_constraints") and _is_sum(text))
        if not plain:
            raise _refused(path, f"has a graph with code in it ({key})")


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """All texts in JSON, keys too, each with the key that it lies under."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one, key)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield key, name
            yield from _texts(one, name if key != "range_constraints" else key)


def _is_sum(text: str) -> bool:
    """Whether an expression has only sizes, numbers and their arithmetic: sympy evaluates it as Python."""
    words = (word.strip("'") for word in _WORD.findall(text))
    dotted = re.search(r"\.\s*[^\W\d]", text)  # an attribute
    return bool(_SUM.fullmatch(text)) and not dotted and all(_WORDS.fullmatch(word) for word in words)


def _is_tree(value: Any) -> bool:
    """Whether the structure of inputs or outputs has tuples, lists and dictionaries alone: others import modules."""
    if isinstance(value, list):
        return all(_is_tree(one) for one in value)
    if isinstance(value, dict):
        context = value.get("context")
        return (
            set(value) <= {"type", "context", "children_spec"}
            and value.get("type") in _TYPES
            and (context is None or (isinstance(context, str) and "{" not in context))
            and _is_tree(value.get("children_spec", []))
        )
    return isinstance(value, int)


def _refused(path: Path, what: str) -> InputError:
    return InputError(f"'{path}' {what}: only files that odinw-bench exported are opened")
