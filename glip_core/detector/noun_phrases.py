"""Which parts of an English sentence name things: a noun-phrase chunker over closed lists of words, or spaCy's.

The rules know determiners, numbers, prepositions, pronouns and the verbs of captions, and take every other word for an
adjective or noun. So nothing is downloaded and the answer is the same everywhere; on sentences that are not
caption-like spaCy is the better reader.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, get_args

from glip_core.errors import InputError

Span = tuple[int, int]
Parser = Literal["rules", "spacy"]
PARSERS: tuple[Parser, ...] = get_args(Parser)
SPACY_MODEL = "en_core_web_sm"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DETERMINERS = _words(
    """a an the this that these those some any each every both all several many few no another other my your his her
    its our their one two three four five six seven eight nine ten eleven twelve dozen"""
)
_PREPOSITIONS = _words(
    """of in on at by with without from to into onto over under above below behind beside besides between among near
    around through across along against inside outside beneath underneath toward towards upon off out up down for
    during after before as like via past next"""
)
_OTHERS = _words(
    """and or but nor while who whom whose which where when there here then than that's it it's he she they him them
    himself herself itself themselves i we you us me not very too also just only together away apart so something
    someone everyone nothing what if because"""
)
_COPULAS = _words("is are was were be been being looks look seems seem appears appear")
_VERBS = _words(
    """has have had having does do did can could will would may might must shall should
    sits sit sat stands stand stood walks walk runs run ran rides ride rode holds hold held wears wear wore plays play
    played jumps jump jumped eats eat ate drinks drink drank watches watch watched lies lie lay laid talks talk talked
    poses pose posed reads carries carry carried catches catch caught throws throw threw pulls pull pulled pushes push
    pushed uses used takes take took makes make made gets get got goes go went comes come came leans lean leaned
    smiles smile smiled performs perform performed swims swim swam flies flew climbs climb climbed hangs hang hung
    covers covered dressed seated parked surrounded filled"""
)
_NOUNS_IN_ING = _words(
    """building clothing ceiling wedding string ring king wing painting evening morning railing lightning thing swing
    spring dining swimming sewing fishing parking living washing shopping earring sling sibling dressing drawing
    crossing wrestling boxing"""
)
_COLLECTIVES = _words(
    """group pair bunch piece glass cup bottle couple crowd slice set row line herd flock pile stack bowl plate lot
    number variety bag box team"""
)
_PLACES = _words("left right top bottom front back side middle center centre background foreground distance end edge")
_COLOURS = _words("black white red green blue yellow orange purple violet pink brown grey gray gold silver tan cyan")


def noun_phrases(sentence: str, parser: Parser = "rules") -> list[Span]:
    """The half-open character spans of the noun phrases of a sentence, in its order.

    Args:
        sentence: English.
        parser: ``rules``: this module's; ``spacy``: the noun chunks of its small English model, which
            ``pip install 'odinw-bench[ground]'`` and ``python -m spacy download en_core_web_sm`` bring.

    Raises:
        InputError: no such parser, or spaCy or its model is not installed.
    """
    if parser not in PARSERS:
        raise InputError(f"unknown phrase parser '{parser}'; known: {', '.join(PARSERS)}")
    return _by_spacy(sentence) if parser == "spacy" else _by_rules(sentence)


def bracketed(text: str) -> tuple[str, list[Span]]:
    """A sentence whose phrases are marked by brackets: ``"[a dog] left of [two balls]"`` -> sentence, spans.

    Raises:
        InputError: brackets that are nested, empty or never closed.
    """
    sentence, spans, start = "", [], None
    for character in text:
        if character == "[" and start is None:
            start = len(sentence)
        elif character == "]" and start is not None and sentence[start:].strip():
            spans.append((start, len(sentence)))
            start = None
        elif character in "[]":
            start = -1
            break
        else:
            sentence += character
    if start is not None:
        raise InputError(
            f"the brackets of '{text[:60]}' must open and close around words: \"[a dog] left of [a ball]\""
        )
    return sentence, spans


def _by_rules(sentence: str) -> list[Span]:
    words = [
        (match.group().lower(), match.start(), match.end()) for match in re.finditer(r"[\w'’-]+|[^\w\s]", sentence)
    ]
    kinds = [_kind(words, place) for place in range(len(words))]
    spans: list[Span] = []
    first: int | None = None
    after_copula = False
    for place, kind in enumerate([*kinds, "end"]):
        if first is not None and kind not in ("word", "joint"):
            if kind == "determiner" and set(kinds[first:place]) == {"determiner"}:
                continue  # "the two dogs"
            last = place
            while kinds[last - 1] == "joint":
                last -= 1
            heads = [words[i][0] for i in range(first, last) if kinds[i] == "word"]
            predicate = after_copula and kinds[first] != "determiner"  # "a ball that is red": no second thing
            if heads and not predicate and heads[-1] not in _PLACES:
                spans.append((words[first][1], words[last - 1][2]))
            first = None
        if kind in ("determiner", "word") and first is None:
            first = place
        if kind == "copula":
            after_copula = True
        elif kind in ("determiner", "preposition", "stop", "verb"):
            # "which is red and striped": the words after an "and" are still said of the same thing
            after_copula = after_copula and words[place][0] in ("and", "or", ",", "very", "too", "not")
    return spans


def _kind(words: Sequence[tuple[str, int, int]], place: int) -> str:
    """What a word is, by the closed lists and its neighbours."""
    word = words[place][0]
    before = words[place - 1][0] if place else ""
    after = words[place + 1][0] if place + 1 < len(words) else ""
    if not word[0].isalnum():
        return "stop"
    if word == "of" and (before in _COLLECTIVES or before.removesuffix("s") in _COLLECTIVES):
        return "joint"
    if word in ("and", "or") and before in _COLOURS and after in _COLOURS:
        return "joint"
    if word in _PLACES and after in ("of", "to"):
        return "preposition"
    if word in _COPULAS:
        return "copula"
    if word == "that" and (after in _COPULAS or after in _VERBS):
        return "stop"
    if word in _DETERMINERS or word.isdecimal():
        return "determiner"
    if word in _PREPOSITIONS:
        return "preposition"
    if word in _OTHERS:
        return "stop"
    named = before in _DETERMINERS  # "the watch", "a running dog"
    if word in _VERBS and not named:
        return "verb"
    if word.endswith("ing") and word not in _NOUNS_IN_ING and not named:
        return "verb"
    return "word"


def _by_spacy(sentence: str) -> list[Span]:
    try:
        import spacy

        language = spacy.load(SPACY_MODEL)
    except (ImportError, OSError) as error:
        raise InputError(
            f"spaCy or its model {SPACY_MODEL} is missing: pip install 'odinw-bench[ground]', then "
            f"python -m spacy download {SPACY_MODEL}; or leave the parser at 'rules'"
        ) from error
    chunks = language(sentence).noun_chunks
    return [(chunk.start_char, chunk.end_char) for chunk in chunks if chunk.root.pos_ != "PRON"]
