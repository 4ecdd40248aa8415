"""The published numbers that ship with the program, the caveats that belong to each, and what fusion costs."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Literal

Kind = Literal["paper", "released", "official-code", "state-of-the-art"]
"""Kinds of published numbers: the GLIP paper's; the README's of the released weights; the official code's with
the released weights, run by others; those of later models."""


@dataclass(frozen=True)
class PublishedCost:
    """A published cost.

    Attributes:
        images_per_second: on one GPU.
        gigabytes: of GPU memory.
        source: where it was read, and what it was measured on.
    """

    images_per_second: float
    gigabytes: float
    source: str


@lru_cache(maxsize=1)
def facts() -> dict[str, Any]:
    """The content of ``published.json``; every number in it names its source."""
    return _read("published.json")


@lru_cache(maxsize=1)
def official_code() -> dict[str, Any]:
    """Zero-shot AP of the released weights under the official code, in percent: ``rows`` by the paper's model name.

    A row has ``average`` (13 data sets), ``odinw35_average`` and ``per_dataset``; ``source`` and ``split`` are those
    of all rows.
    """
    return _read("published_official_code.json")


def paper_tables() -> dict[str, Any]:
    """The GLIP paper's tables 2, 3 and 4 as ``coco``, ``lvis`` and ``flickr``, lists of rows in the paper's order.

    A row has ``model``, ``data`` (of pre-training), ``preset`` (the model here with the weights of that row; None: they
    were not released), ``source``, maybe ``note``, and its numbers in percent: ``zero_shot`` and ``fine_tuned``; or by
    split (``minival``, ``val``, ``test``) those of ``APr``, ``APc``, ``APf``, ``AP`` or of ``R@1``, ``R@5``, ``R@10``.
    """
    return _read("published_paper.json")


@dataclass(frozen=True)
class PublishedRefexp:
    """A published precision on referring expressions.

    Attributes:
        suite: ``refcoco``, ``refcoco+`` or ``refcocog``.
        split: of it.
        model: as published.
        value: P@1 in percent.
        source: where it was read, and who measured it.
    """

    suite: str
    split: str
    model: str
    value: float
    source: str


def published_refexp() -> list[PublishedRefexp]:
    """P@1 of GLIP on RefCOCO, RefCOCO+ and RefCOCOg; there are no numbers by GLIP's authors."""
    content = _read("published_refexp.json")
    return [PublishedRefexp(**row, source=content["source"]) for row in content["rows"]]


@dataclass(frozen=True)
class PublishedModel:
    """A line of today's published results on ODinW.

    Attributes:
        model: its name.
        kind: what it was trained on or how it is prompted.
        odinw13: AP in percent by shots (``0``, ``1``, ``3``, ``5``, ``10``, ``full``) as printed, spread included;
            only what is known.
        odinw35: zero-shot AP over the 35 data sets; empty: not known.
        source: where it was read.
        note: what to know about the numbers.
    """

    model: str
    kind: str
    odinw13: dict[str, str]
    odinw35: str
    source: str
    note: str


@lru_cache(maxsize=1)
def state_of_the_art() -> tuple[PublishedModel, ...]:
    """Published results of 2021 to 2026, in the order of the file."""
    prefix = "odinw13_"
    return tuple(
        PublishedModel(
            model=row["model"],
            kind=row["kind"],
            odinw13={key.removeprefix(prefix): row[key] for key in row if key.startswith(prefix) and row[key]},
            odinw35=row["odinw35_0"],
            source=row["source"],
            note=row["note"],
        )
        for row in _read_csv("published_2026.csv")
    )


@lru_cache(maxsize=1)
def per_dataset_2026() -> tuple[dict[str, str], ...]:
    """The few later models whose AP per data set is known.

    Each row has ``model``, ``shots``, a column a data set, ``mean_published`` and ``source``.
    """
    return tuple(_read_csv("published_2026_per_dataset.csv"))


@dataclass(frozen=True)
class PublishedRF100VL:
    """A line of published results on Roboflow100-VL.

    Attributes:
        benchmark: ``RF100-VL`` or ``RF20-VL``.
        model: its name.
        ap: mean AP in percent over all data sets, by shots (``0``, ``10``, ``all``); only what is known.
        source: where it was read.
        note: what to know about the numbers.
    """

    benchmark: str
    model: str
    ap: dict[str, float]
    source: str
    note: str


@lru_cache(maxsize=1)
def published_rf100vl() -> tuple[PublishedRF100VL, ...]:
    """Published results on Roboflow100-VL, in the order of the file."""
    columns = {"0": "zero_shot", "10": "ten_shot", "all": "full"}
    return tuple(
        PublishedRF100VL(
            benchmark=row["benchmark"],
            model=row["model"],
            ap={shots: float(row[column]) for shots, column in columns.items() if row[column]},
            source=row["source"],
            note=row["note"],
        )
        for row in _read_csv("published_rf100vl.csv")
    )


def caveats(
    kind: Kind, *, model: str = "", mode: str = "", shots: str = "", datasets: Collection[str] = ()
) -> tuple[str, ...]:
    """What to know about a published number, in the order of importance.

    Args:
        kind: of the number.
        model: the name that the number is published under.
        mode: ``zero-shot`` or a tuning mode.
        shots: ``0``, images per class, or ``all``.
        datasets: the data sets that it is of, or a mean over.
    """
    found = []
    for entry in _read("published_caveats.json")["caveats"]:
        about = (("models", {model}), ("modes", {mode}), ("shots", {shots}), ("datasets", set(datasets)))
        if kind in entry["columns"] and all(key not in entry or values & set(entry[key]) for key, values in about):
            found.append(str(entry["text"]))
    return tuple(found)


@lru_cache(maxsize=8)
def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((resources.files(__package__) / name).read_text(encoding="utf-8"))
    return found


def _read_csv(name: str) -> list[dict[str, str]]:
    text = (resources.files(__package__) / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def published_cost(model: str, phase: str, *, fusion: bool) -> PublishedCost | None:
    """What the paper says a detector costs (arXiv 2112.03857, table 7); None for one it did not measure.

    Args:
        model: a preset; the lettered versions of GLIP-T have its size.
        phase: ``inference`` or ``training``.
        fusion: with deep fusion.
    """
    size = {"glip-t": "GLIP-T", "glip-l": "GLIP-L"}.get(model[:6])
    cost = facts()["cost"]
    for row in cost["rows"]:
        if (row["model"], row["fusion"]) == (size, fusion):
            kind = "train" if phase == "training" else "inference"
            source = f"published: {row['model']}, {cost['source']}; {cost['conditions'][phase]}"
            return PublishedCost(float(row[f"{kind}_fps"]), float(row[f"{kind}_gb"]), source)
    return None
