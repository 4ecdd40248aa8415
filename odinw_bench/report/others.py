"""What other commands left below a results folder, checked before a report is made of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.runs import record_fields as fields
from odinw_bench.utils.io import parse_json, read_bytes
from odinw_bench.utils.text import shorten

FOUND = {"prompt": "prompts", "tuning": "recipes"}
"""By what was searched for: under which key a search says what it found."""

_COMPARED = {"prompts": ("plain names", "best found"), "recipes": ("the protocol's", "best found")}


def find_content(
    results: Path, pattern: str, kind: str, check: Callable[[Mapping[str, Any]], None], notes: list[str]
) -> list[dict[str, Any]]:
    """The files of one kind below the results folder, sorted by place; files of other kinds are passed over.

    Args:
        results: the folder.
        pattern: of the files, for ``Path.glob``.
        kind: what their ``kind`` must be.
        check: raises ``InputError`` for content that cannot be shown.
        notes: gets a line for each file that cannot be read, with the reason.
    """
    found = []
    for path in sorted(results.glob(pattern)):
        place = path.relative_to(results)
        try:
            content = parse_json(read_bytes(path), place)
            if not isinstance(content, dict) or content.get("kind") != kind:
                continue
            if content.get("schema") != 1:
                raise InputError("it is of another schema than 1")
            fields.check_encodable(content)
            check(content)
        except InputError as error:
            notes.append(f"passed over {place}: {error}")
            continue
        found.append(content)
    return found


def check_search(search: Mapping[str, Any]) -> None:
    """Check what ``odinw-bench search`` wrote.

    Raises:
        InputError: a part is missing or cannot be; the message names it.
    """
    space = FOUND.get(fields.text(search, "space"))
    if space is None:
        raise InputError(f"space must be {' or '.join(FOUND)}")
    spec = fields.mapping(search, "spec")
    for name in ("suite", "dataset", "model", "mode"):
        fields.text(spec, name, "spec.")
    if spec.get("shots") != "all":
        fields.count(spec, "shots", "spec.")
    trials = search.get("trials")
    if not isinstance(trials, list):
        raise InputError("trials must be a list")
    for place, trial in enumerate(trials):
        where = f"trials[{place}]"
        if not isinstance(trial, Mapping) or "AP" not in trial:
            raise InputError(f"{where} must be an object with an AP")
        fields.count(trial, "number", f"{where}.")
        fields.number(trial, "AP", f"{where}.", high=100)
        fields.optional_text(trial, "given", f"{where}.")
    found = fields.mapping(search, space)
    for name in {*_COMPARED[space], *found}:
        _check_found(fields.mapping(found, name, f"{space}."), f"{space}.{name}.")
    words = search.get("single_words")
    if not isinstance(words, list | None):
        raise InputError(f"single_words must be a list, not {shorten(words)}")
    for place, word in enumerate(words or ()):
        if not isinstance(word, Mapping) or not isinstance(word.get("kept"), bool):
            raise InputError(f"single_words[{place}] must be an object that says whether it was kept")
        fields.text(word, "word", f"single_words[{place}].")
    for name in ("shuffled_control", "luck"):
        control = fields.mapping(search, name)
        if control and fields.number(control, "gain", f"{name}.", low=-100, high=100) is None:
            raise InputError(f"{name}.gain is missing")
    for name, value in fields.mapping(fields.mapping(found, "best found"), "overrides").items():
        if fields.number({name: value}, name, "overrides.", low=-math.inf) is None:
            raise InputError(f"overrides.{name} must be a number")
    if space == "recipes" and fields.mapping(found, "best found").get("overrides") is None:
        raise InputError("recipes.best found.overrides is missing")


def _check_found(entry: Mapping[str, Any], where: str) -> None:
    for name in ("search_AP", "test_AP"):
        if name not in entry:
            raise InputError(f"{where}{name} is missing")
        fields.number(entry, name, where, high=100)


def check_profile(profile: Mapping[str, Any]) -> None:
    """Check what ``odinw-bench profile`` wrote.

    Raises:
        InputError: a part is missing or cannot be; the message names it.
    """
    measured = profile.get("measured")
    if not isinstance(measured, list):
        raise InputError("measured must be a list")
    for place, row in enumerate(measured):
        where = f"measured[{place}]"
        if not isinstance(row, Mapping):
            raise InputError(f"{where} must be an object")
        if "error" in row:
            continue
        settings = fields.mapping(row, "settings", f"{where}.")
        for name in ("model", "phase", "precision"):
            fields.text(settings, name, f"{where}.settings.")
        if settings["phase"] not in ("inference", "training"):
            raise InputError(f"{where}.settings.phase must be inference or training")
        fields.count(settings, "batch", f"{where}.settings.")
        if not isinstance(settings.get("fusion"), bool):
            raise InputError(f"{where}.settings.fusion must be true or false")
        for name in ("images_per_second", "peak_memory_bytes"):
            if fields.number(row, name, f"{where}.") is None:
                raise InputError(f"{where}.{name} is missing")
        fields.number(row, "gflops", f"{where}.")
        if "gflops" not in row:
            raise InputError(f"{where}.gflops is missing")
        fields.text(fields.mapping(row, "environment", f"{where}."), "device_name", f"{where}.environment.")
