from __future__ import annotations

import pytest

from glip_core.errors import nearest
from odinw_bench.utils.text import shorten, slug


def test_shorten_keeps_one_short_line() -> None:
    assert shorten("a\nb") == r"'a\nb'"
    assert len(shorten(list(range(1000)))) == 60


@pytest.mark.parametrize(
    "value",
    [None, 1.5, True, b"ab", "it's", [], [1, "a"], (), (1,), (1, 2), {}, {"a": [None], 2: {"b": ()}}, {3, 4}, 10**59],
)
def test_shorten_shows_what_is_short_as_it_is(value: object) -> None:
    assert shorten(value) == repr(value)


def test_shorten_looks_at_no_more_than_it_shows() -> None:
    laughs: object = "ha"
    for _ in range(60):  # ten to the power of sixty words
        laughs = [laughs] * 10
    itself: list[object] = []
    itself.append(itself)
    for value in (laughs, itself, {1: laughs}, "a" * 10**7, 16**5000):  # Python writes out no number of so many digits
        assert len(shorten(value)) == 60


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
