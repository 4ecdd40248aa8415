"""Prompts: captions, spans, cleaning, errors."""

from __future__ import annotations

import pytest

from glip_core import InputError, Prompt
from glip_core.modeling.bert import BERT_VOCABULARY, load_tokenizer


def spans_as_text(prompt: Prompt) -> list[str]:
    return [prompt.caption[start:end] for start, end in prompt.spans]


def test_plain_names():
    prompt = Prompt.from_classes(["fish", "stingray"])
    assert prompt.caption == "fish. stingray"
    assert spans_as_text(prompt) == ["fish", "stingray"]
    assert len(prompt) == 2


def test_attributes_stand_beside_the_name():
    prompt = Prompt.from_parts(
        [{"name": "stingray", "suffix": ", which is flat and round"}, {"prefix": "a ", "name": "fish"}]
    )
    assert prompt.caption == "stingray, which is flat and round. a fish"
    assert spans_as_text(prompt) == ["stingray", "fish"]


def test_names_are_cleaned_but_remembered():
    prompt = Prompt.from_classes(["motor_cycle (red)", "dog"])
    assert prompt.caption == "motor cycle . dog"
    assert prompt.names == ("motor_cycle (red)", "dog")


def test_a_name_of_several_tokens_owns_them_all():
    prompt = Prompt.from_classes(["jetski", "boat"])
    assert prompt.token_map(load_tokenizer(BERT_VOCABULARY).encode(prompt.caption)) == [[1, 2], [4]]


def test_a_name_without_tokens_is_never_found():
    prompt = Prompt.from_caption("a   cat", [(1, 4), (4, 7)])
    assert prompt.token_map(load_tokenizer(BERT_VOCABULARY).encode(prompt.caption)) == [[], [2]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Prompt.from_classes([]), "at least one"),
        (lambda: Prompt.from_parts([{"nam": "x"}]), "unknown key 'nam'"),
        (lambda: Prompt.from_parts([{"prefix": "x"}]), "'name' is missing"),
        (lambda: Prompt.from_caption("short", [(0, 9)]), "outside the caption"),
    ],
)
def test_errors_name_the_problem(make, message):
    with pytest.raises(InputError, match=message):
        make()
