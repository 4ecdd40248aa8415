from __future__ import annotations

import pytest

from glip_core.errors import nearest
from odinw_bench.utils.text import shorten, slug


def test_shorten_keeps_one_short_line() -> None:
    assert shorten("a\nb") == r"'a\nb'"
    assert len(shorten(list(range(1000)))) == 60


@pytest.mark.parametrize(
    ("text", "name"), [("My  Zoo!", "my-zoo"), ("aquarium", "aquarium"), ("a_b", "a-b"), ("é", ""), ("--a--", "a")]
)
def test_a_slug_is_safe_everywhere(text: str, name: str) -> None:
    assert slug(text) == name


def test_unique_slugs_differ_where_the_texts_do() -> None:
    assert slug("aquarium", unique=True) == "aquarium"
    names = {slug(text, unique=True) for text in ("a b", "a_b", "A b", "é", "è", "\ud800")}
    assert len(names) == 6
    assert all(name == slug(name) for name in names)


def test_an_unknown_name_is_answered_with_the_most_similar() -> None:
    assert nearest("Promt", ["prompt", "full"]) == "; did you mean 'prompt'? (known: prompt, full)"
    assert nearest("zzz", ["prompt", "full"]) == " (known: prompt, full)"
    assert nearest("liner", ["full"], also=["linear"]) == "; did you mean 'linear'? (known: full)"
