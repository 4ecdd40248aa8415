"""The named protocols: YAML files in the folder ``protocols``, which of them is meant by a name, and the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from odinw_bench.datasets.fewshot import Shots

_FOLDER = Path(__file__).with_name("protocols")


@cache
def contents() -> dict[str, dict[str, Any]]:
    """The files' contents by protocol, in the order that they state; what a file extends is filled in."""
    read = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in _FOLDER.glob("*.yaml")}
    found = {name: _extended(content, read) for name, content in read.items()}
    return dict(sorted(found.items(), key=lambda item: item[1]["place"]))


def _extended(content: dict[str, Any], read: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    base = _extended(read[content["extends"]], read) if "extends" in content else {}
    return {
        key: base[key] | content.get(key, {}) if isinstance(base.get(key), dict) else content.get(key, base.get(key))
        for key in {**base, **content}
    }


PROTOCOLS: Mapping[str, str] = {name: content["title"] for name, content in contents().items()}
"""Versioned names of the recipes; without its version a name means the newest."""


def newest_protocol(name: str) -> str:
    """A protocol's full name: ``quick`` is ``quick-1``; unknown names stay as they are."""
    return {full.rpartition("-")[0]: full for full in PROTOCOLS}.get(name, name)


def official_protocol(shots: Shots) -> str:
    """The official recipe, the default for all but the embedded models.

    Where nothing is tuned (0 shots) no recipe counts: there the first one's name stays, which is part of the digest.
    """
    return "odinw-glip-1" if shots == 0 else newest_protocol("odinw-glip")


def nano_protocol(shots: Shots) -> str:
    """The default for the embedded models; see :func:`official_protocol`."""
    return "mini-1" if shots == 0 else newest_protocol("mini")


def full_protocol_name(name: str, shots: Shots) -> str:
    """A protocol's full name as a record holds it; see :func:`newest_protocol` and :func:`official_protocol`."""
    default = {"odinw-glip": official_protocol, "mini": nano_protocol}.get(name)
    return default(shots) if default else newest_protocol(name)


def lineage(protocol: str) -> list[str]:
    """A protocol, what it extends, and so on."""
    base = contents()[protocol].get("extends")
    return [protocol, *(lineage(base) if base else [])]
