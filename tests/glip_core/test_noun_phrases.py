"""Noun phrases of captions, by the built-in rules and by a parser that is installed."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from glip_core import InputError
from glip_core.detector.grounding import find_phrases
from glip_core.detector.noun_phrases import bracketed, noun_phrases
from odinw_bench.mini.pretraining import sample

CAPTIONS = {
    "a dog left of two red balls": ["a dog", "two red balls"],
    "A man in a blue shirt is standing on a ladder cleaning a window": [
        "A man",
        "a blue shirt",
        "a ladder",
        "a window",
    ],
    "a group of people in front of a building": ["a group of people", "a building"],
    "a black and white dog runs through the grass": ["a black and white dog", "the grass"],
    "a ball that is red and striped and a large dining table": ["a ball", "a large dining table"],
    "the man's hat on the left": ["the man's hat"],
    "the woman to the right of the two men": ["the woman", "the two men"],
    "He rides it.": [],
    "dogs": ["dogs"],
    "": [],
}


@pytest.mark.parametrize("sentence", CAPTIONS)
def test_captions(sentence):
    assert [sentence[start:end] for start, end in noun_phrases(sentence)] == CAPTIONS[sentence]


def test_the_sentences_of_the_miniature_are_read_as_they_were_made():
    drawn = [sample("grounding", 5, index) for index in range(300)]
    sentences = [one for one in drawn if one.caption and "nothing" not in one.caption]
    assert len(sentences) > 90
    wrong = [one.caption for one in sentences if noun_phrases(one.caption) != list(one.spans)]
    assert not wrong


def test_brackets():
    assert bracketed("[a dog] left of [two balls]") == ("a dog left of two balls", [(0, 5), (14, 23)])
    assert find_phrases("[dog] a cat") == ("dog a cat", [(0, 3)])
    assert find_phrases("a cat") == ("a cat", [(0, 5)])


@pytest.mark.parametrize("text", ["[a [dog]]", "[a dog", "a dog]", "[ ] dog", "]["])
def test_brackets_that_mark_nothing(text):
    with pytest.raises(InputError, match="brackets"):
        find_phrases(text)


def test_spacy_is_asked_where_it_is_wanted(monkeypatch):
    def chunk(start, end, kind):
        return SimpleNamespace(start_char=start, end_char=end, root=SimpleNamespace(pos_=kind))

    document = SimpleNamespace(noun_chunks=[chunk(0, 2, "PRON"), chunk(9, 14, "NOUN")])
    monkeypatch.setitem(sys.modules, "spacy", SimpleNamespace(load=lambda name: lambda text: document))
    assert noun_phrases("he likes a dog", "spacy") == [(9, 14)]


def test_spacy_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(InputError, match=r"odinw-bench\[ground\]"):
        noun_phrases("a dog", "spacy")
    with pytest.raises(InputError, match="unknown phrase parser 'chomsky'"):
        noun_phrases("a dog", "chomsky")
