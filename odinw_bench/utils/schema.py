"""Schemas of YAML files: pydantic models whose errors are one line in the words of this program."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from glip_core.errors import InputError, nearest
from odinw_bench.utils.text import is_text, shorten

Model = TypeVar("Model", bound="Schema")


class Schema(BaseModel):
    """A mapping with known keys. Fields without a default are required; every other key is refused."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, value: Any) -> Any:
        fields = cls.model_fields
        for key in _mapping(value):
            if key not in fields:
                raise ValueError(f"unknown key {shorten(key)}{nearest(str(key), fields)}")
        for name, field in fields.items():
            if field.is_required() and name not in value:
                raise ValueError(f"key '{name}' is missing")
        return value


def check(schema: type[Model], data: Any, where: str) -> Model:
    """Check what a file holds.

    Args:
        schema: the model that describes it.
        data: plain values, as YAML or JSON gives them.
        where: how the message calls the file, for example ``task file 'zoo.yaml'``.

    Raises:
        InputError: something is missing, unknown or wrong; the message names the file, the place in it and what is
            needed there. Where several things are wrong it names the first.
    """
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
    raise InputError(_joined(where, _path(first["loc"]), str(first.get("ctx", {}).get("error", first["msg"]))))


def _path(place: tuple[int | str, ...]) -> str:
    """A place in a file as people write it: ``classes[0].name``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


def _joined(where: str, place: str, message: str) -> str:
    """The parts of a message; a sentence about the place itself needs no colon before it."""
    subject = f"{where}: {place}" if place else where
    return f"{subject} {message}" if message.startswith(("must ", "is ")) else f"{subject}: {message}"


def _mapping(value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"must be a mapping of keys to values, not {shorten(value)}")
    return value


def list_of(what: str = "", *, least: int = 0) -> Callable[[Any], list[Any]]:
    """A validator of lists.

    Args:
        what: what they are of, for the message.
        least: the fewest entries.
    """

    def validate(value: Any) -> list[Any]:
        if not isinstance(value, list) or len(value) < least:
            fewest = f", at least {least}" if least else ""
            raise ValueError(f"must be a list{what and f' of {what}'}{fewest}, not {shorten(value)}")
        return value

    return validate


def number(least: float, *, whole: bool = False) -> Callable[[Any], float]:
    """A validator of finite numbers of at least ``least``."""

    def validate(value: Any) -> float:
        good = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not good or not math.isfinite(value) or value < least:
            kind = "whole number" if whole else "number"
            raise ValueError(f"must be a {kind} of at least {least:g}, not {shorten(value)}")
        return value

    return validate


def numbers(count: int, least: float, *, whole: bool = False) -> Callable[[Any], tuple[float, ...]]:
    """A validator of lists of so many numbers of at least ``least`` each."""
    one = number(least, whole=whole)

    def validate(value: Any) -> tuple[float, ...]:
        if not isinstance(value, list | tuple) or len(value) != count:
            raise ValueError(f"must be a list of {count} numbers, not {shorten(value)}")
        return tuple(map(one, value))

    return validate


def span(least: float, *, whole: bool = False) -> Callable[[Any], tuple[float, ...]]:
    """A validator of two numbers, the smallest and the largest."""
    two = numbers(2, least, whole=whole)

    def validate(value: Any) -> tuple[float, ...]:
        low, high = two(value)
        if low > high:
            raise ValueError(f"{low:g} exceeds {high:g}")
        return low, high

    return validate


def _text(value: Any) -> str:
    if not is_text(value):
        raise ValueError(f"must be a text, not {shorten(value)}; put it in quotes")
    return str(value)


def _filled(value: Any) -> str:
    if not _text(value):
        raise ValueError("is empty")
    return str(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {shorten(value)}")
    return value


AnyText = Annotated[str, BeforeValidator(_text)]
Text = Annotated[str, BeforeValidator(_filled)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(list_of())]
Flag = Annotated[bool, BeforeValidator(_flag)]
Count = Annotated[int, BeforeValidator(number(0, whole=True))]
Key = Annotated[str, BeforeValidator(str)]
AsMapping = BeforeValidator(_mapping)
