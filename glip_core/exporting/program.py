"""Exported detectors as ``torch.export`` programs: FILE, and for a dynamic prompt the text's graph beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glip_core.errors import InputError
from glip_core.exporting.facts import KEY, ExportFacts
from glip_core.exporting.inspecting import check_program
from glip_core.exporting.replay import ExportedDetector, Graph
from glip_core.exporting.traced import Traced


def text_file(path: Path) -> Path:
    """Where the text's graph of a dynamic prompt lies: ``glip.onnx`` -> ``glip.text.onnx``."""
    return path.with_name(f"{path.stem}.text{path.suffix}")


def write_program(traced: Traced, path: Path) -> list[Path]:
    """Write the graphs; returns the files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.export.save(traced.network, path, extra_files={KEY: traced.facts.dumps()})
    if traced.text is None:
        return [path]
    torch.export.save(traced.text, text_file(path))
    return [path, text_file(path)]


def open_program(path: Path) -> ExportedDetector:
    """The detector that :func:`write_program` wrote.

    Raises:
        InputError: a file is missing, is no such program, or would run code of its own (see :mod:`.inspecting`).
    """
    extra: dict[str, Any] = {KEY: ""}
    network = _load(path, extra)
    facts = ExportFacts.loads(extra[KEY] or None, where=str(path))
    return ExportedDetector(facts, network, _load(text_file(path), {}) if facts.vocabulary else None)


def _load(path: Path, extra: dict[str, Any]) -> Graph:
    if not path.is_file():
        raise InputError(f"'{path}' not found: export it again")
    try:
        check_program(path)
        program = torch.export.load(path, extra_files=extra)
    except InputError:
        raise
    except Exception as error:  # whatever unpickling and unzipping raise
        raise InputError(f"'{path}' is no torch.export program that can be read: export it again") from error
    # The guards say "no size is 1", which is how torch traces, not what the graph can do; small images have such maps.
    module = program.module(check_guards=False)

    def run(*inputs: Tensor) -> list[Tensor]:
        with torch.no_grad():
            found = module(*inputs)
        return [found] if isinstance(found, Tensor) else list(found)

    return run
