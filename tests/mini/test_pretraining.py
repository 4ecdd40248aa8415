"""The pre-training stream: resumable, truthful, and silent about the tasks' own words."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from odinw_bench.mini import load_recipe, task_names, world
from odinw_bench.mini.draw import COLOURS, SHAPES, TEXTURES
from odinw_bench.mini.phrases import LARGE, SMALL, Phrase, matching
from odinw_bench.mini.pretraining import (
    DETECTION_CLASSES,
    NEIGHBOURS,
    Kind,
    PretrainSample,
    pretraining_texts,
    random_scene,
    sample,
    vocabulary_words,
)
from odinw_bench.mini.scenes import Scene, generator
from odinw_bench.mini.vocabulary import SPECIAL, train_vocabulary
from odinw_bench.mini.world import COMMON, INVENTED, NOUNS, invented_word, reserved_words

KINDS: tuple[Kind, ...] = ("detection", "grounding", "captions")
NUMBERS = {
    word: i
    for i, word in enumerate(["a", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], start=1)
} | {"an": 1}
DOMAIN = {
    word
    for name in task_names()
    for c in load_recipe(name).classes
    if not c.seen
    for word in re.findall(r"[a-z]+", c.name.lower())
}


def scene_of(kind: Kind, seed: int, index: int) -> Scene:
    """The scene that a sample shows."""
    return random_scene(generator("pretraining", kind, seed, index))


@pytest.fixture(scope="module")
def detection() -> list[tuple[Scene, PretrainSample]]:
    return [(scene_of("detection", 1, i), sample("detection", 1, i)) for i in range(120)]


@pytest.fixture(scope="module")
def grounding() -> list[tuple[Scene, PretrainSample]]:
    """Sentences."""
    drawn = [(scene_of("grounding", 1, i), sample("grounding", 1, i)) for i in range(300)]
    return [(scene, item) for scene, item in drawn if item.caption]


@pytest.fixture(scope="module")
def regions() -> list[tuple[Scene, PretrainSample]]:
    """Lists of phrases that describe regions."""
    drawn = [(scene_of("grounding", 1, i), sample("grounding", 1, i)) for i in range(220)]
    return [(scene, item) for scene, item in drawn if not item.caption]


def text_of(part: dict[str, str]) -> str:
    return part["prefix"] + part["name"] + part["suffix"]


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text)


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_depends_on_kind_seed_and_index_alone(kind: Kind) -> None:
    def same(a: PretrainSample, b: PretrainSample) -> bool:
        return (
            a.image.tobytes() == b.image.tobytes()
            and np.array_equal(a.boxes, b.boxes)
            and np.array_equal(a.labels, b.labels)
            and np.array_equal(a.class_labels, b.class_labels)
            and (a.prompt_parts, a.caption, a.spans) == (b.prompt_parts, b.caption, b.spans)
        )

    forward = [sample(kind, 7, index) for index in range(6)]
    for index in reversed(range(6)):  # a stream that is taken up anywhere
        assert same(forward[index], sample(kind, 7, index))
    assert len({drawn.image.tobytes() for drawn in forward}) == 6
    assert not same(forward[0], sample(kind, 8, 0))
    assert all(not same(forward[0], sample(other, 7, 0)) for other in KINDS if other != kind)


def test_boxes_are_inclusive_corners_of_the_things(
    detection: list[tuple[Scene, PretrainSample]], grounding: list[tuple[Scene, PretrainSample]]
) -> None:
    for scene, drawn in detection + grounding:
        assert drawn.boxes.dtype == np.float32
        assert drawn.boxes.shape == (len(drawn.labels), 4) == (len(drawn.class_labels), 4)
        corners = {(x1, y1, x2 - 1, y2 - 1) for x1, y1, x2, y2 in (thing.box for thing in scene.things)}
        assert {tuple(map(int, box)) for box in drawn.boxes} == corners
        assert drawn.image.tobytes() == scene.image.tobytes()


def test_every_thing_has_one_label_of_the_closed_list(detection: list[tuple[Scene, PretrainSample]]) -> None:
    for scene, drawn in detection:
        once = sorted(DETECTION_CLASSES[i] for i in drawn.class_labels if i >= 0)
        assert once == sorted(thing.key or thing.look.main.shape for thing in scene.things)
    assert len(set(DETECTION_CLASSES)) == len(DETECTION_CLASSES)


def test_a_phrase_owns_all_it_is_true_of_and_nothing_else(
    detection: list[tuple[Scene, PretrainSample]], regions: list[tuple[Scene, PretrainSample]]
) -> None:
    kinds: Counter[str] = Counter()
    for scene, drawn in detection + regions:
        assert len({text_of(part) for part in drawn.prompt_parts}) == len(drawn.prompt_parts) <= 20
        for label, part in enumerate(drawn.prompt_parts):
            words = words_of(text_of(part))
            demands = [[w for w in words if w in known] for known in (COLOURS, TEXTURES, SHAPES)]
            if part["name"] in COMMON:
                owned = [thing for thing in scene.things if thing.key == part["name"]]
                kinds["name"] += 1
            elif any(demands):
                assert all(len(found) <= 1 for found in demands)
                owned = [t for t in scene.things if {w for found in demands for w in found} <= set(t.look.words())]
                assert all(thing.key is None for thing in owned)  # nobody says "red round" of an apple
                kinds["beside" if part["prefix"] + part["suffix"] else "phrase"] += 1
                kinds["invented"] += bool(INVENTED.fullmatch(part["name"]))
                kinds["absent"] += not owned
            else:
                assert INVENTED.fullmatch(part["name"]) and text_of(part) == part["name"]
                owned = []
                kinds["meaningless"] += 1
            boxes = {tuple(map(int, box)) for box in drawn.boxes[drawn.labels == label]}
            assert boxes == {(x1, y1, x2 - 1, y2 - 1) for x1, y1, x2, y2 in (thing.box for thing in owned)}
    for kind in ("name", "phrase", "beside", "invented", "absent", "meaningless"):
        assert kinds[kind] > 30, kind


def test_detection_data_say_class_names_alone(detection: list[tuple[Scene, PretrainSample]]) -> None:
    for _, drawn in detection:
        for part in drawn.prompt_parts:
            assert part["prefix"] == part["suffix"] == ""
            known = part["name"].removesuffix(" thing") in DETECTION_CLASSES
            assert known or INVENTED.fullmatch(part["name"]), part


@pytest.mark.parametrize("kind", ["detection", "grounding"])
def test_some_prompts_name_nothing_that_is_there(kind: Kind) -> None:
    drawn = [item for item in (sample(kind, 3, i) for i in range(200)) if item.prompt_parts]
    lone = [item for item in drawn if (item.labels < 0).all()]
    assert 0.05 < len(lone) / len(drawn) < 0.3
    assert any(len(item.prompt_parts) == 1 for item in lone)


def test_neighbours_in_the_stream_have_prompts_of_about_one_length() -> None:
    longest = [
        max(len(sample("detection", 4, NEIGHBOURS * group + i).prompt_parts) for i in range(NEIGHBOURS))
        for group in range(12)
    ]
    assert min(longest) <= 3 and max(longest) > 14
    assert max(longest) <= 20


def test_grey_pictures_are_not_described_by_colour(
    detection: list[tuple[Scene, PretrainSample]], grounding: list[tuple[Scene, PretrainSample]]
) -> None:
    grey = 0
    for scene, drawn in detection + grounding:
        if np.ptp(np.asarray(scene.image), axis=2).max() == 0:
            grey += 1
            said = words_of(drawn.caption + " ".join(text_of(part) for part in drawn.prompt_parts))
            assert not set(said) & set(COLOURS)
    assert grey > 10


def test_spans_are_the_noun_phrases_and_own_as_many_boxes_as_they_say(
    grounding: list[tuple[Scene, PretrainSample]],
) -> None:
    counted = 0
    for scene, drawn in grounding:
        assert not drawn.prompt_parts
        assert all(end <= start for (_, end), (start, _) in pairwise(drawn.spans))
        for label, (start, end) in enumerate(drawn.spans):
            first, *rest = drawn.caption[start:end].split()
            number = int((drawn.labels == label).sum())
            if drawn.caption == "nothing to see here":
                assert number == 0
                continue
            assert first in {*NUMBERS, "some"} and rest
            assert number == NUMBERS.get(first, number)
            assert (number == 1) == (first in {"a", "an"})
            counted += number > 1
            boxes = {tuple(map(int, box)) for box in drawn.boxes[drawn.labels == label]}
            for thing in scene.things:
                x1, y1, x2, y2 = thing.box
                if (x1, y1, x2 - 1, y2 - 1) in boxes:
                    words = {thing.key} if thing.key else set(thing.look.words()) & set(rest)
                    assert all(word in " ".join(rest) for word in words if word)
    assert counted > 30


def test_relations_are_true(grounding: list[tuple[Scene, PretrainSample]]) -> None:
    axes = {"left of": (0, 1), "right of": (0, -1), "above": (1, 1), "below": (1, -1)}
    seen: Counter[str] = Counter()
    for _, drawn in grounding:
        for n, ((_, end), (start, _)) in enumerate(pairwise(drawn.spans)):
            between = drawn.caption[end:start].strip()
            if between in axes:
                (a,), (b,) = drawn.boxes[drawn.labels == n], drawn.boxes[drawn.labels == n + 1]
                axis, sign = axes[between]
                assert sign * (b[axis] + b[axis + 2] - a[axis] - a[axis + 2]) >= 0
                seen[between] += 1
            else:
                assert between in {",", "and"}
    assert set(seen) == set(axes)


def test_captions_are_as_the_web_has_them() -> None:
    drawn = [sample("captions", 2, index) for index in range(150)]
    said = Counter(word for item in drawn for word in words_of(item.caption))
    for word in ("small", "large", "photo", "night", "look"):
        assert said[word] > 0, word
    for item in drawn:
        assert item.boxes.shape == (0, 4) and len(item.labels) == 0 and not item.prompt_parts
        for start, end in item.spans:
            first, *rest = item.caption[start:end].split()
            assert (first in {*NUMBERS, "some"} and rest) or item.caption.startswith("nothing")


def test_sizes_are_true_of_what_they_are_said_of() -> None:
    for index in range(40):
        things = scene_of("captions", 3, index).things
        for extent in ("small", "large"):
            found = matching(Phrase("thing", extent=extent), [thing for thing in things if thing.key is None])
            for i in found or []:
                x1, y1, x2, y2 = [thing for thing in things if thing.key is None][i].box
                longer = max(x2 - x1, y2 - y1)
                assert longer < SMALL if extent == "small" else longer > LARGE
    near = [thing for i in range(40) for thing in scene_of("captions", 3, i).things if thing.key is None]
    doubtful = [t for t in near if abs(max(t.box[2] - t.box[0], t.box[3] - t.box[1]) - SMALL) < 4]
    assert matching(Phrase("thing", extent="small"), doubtful[:1]) is None


def test_pre_training_never_says_a_word_of_the_tasks_own() -> None:
    assert len(DOMAIN) >= 20
    known = vocabulary_words()
    assert not DOMAIN & known
    assert reserved_words() == DOMAIN
    said = {word for text in pretraining_texts(300, 11) for word in words_of(text)}
    assert not DOMAIN & said
    strangers = {word for word in said - known if not INVENTED.fullmatch(word)}
    assert not strangers  # all that is said is either listed or invented
    assert {c.name.lower() for name in task_names() for c in load_recipe(name).classes if c.seen} <= set(COMMON)


def test_a_reserved_word_is_never_invented(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [invented_word(np.random.default_rng(seed)) for seed in range(20)]
    monkeypatch.setattr(world, "reserved_words", lambda: frozenset(words))
    again = [invented_word(np.random.default_rng(seed)) for seed in range(20)]
    assert not set(words) & set(again)


def test_the_shipped_vocabulary_holds_no_word_of_the_tasks_own() -> None:
    import glip_core

    tokens = (Path(glip_core.__file__).parent / "data" / "nano-vocab.txt").read_text().split("\n")
    assert not DOMAIN & {token.removeprefix("##") for token in tokens}
    assert set(COMMON) | (set(COLOURS) | set(SHAPES) | set(TEXTURES) - {"plain"}) <= set(tokens)


def test_all_attributes_and_common_names_occur_in_every_setting() -> None:
    looks: Counter[str] = Counter()
    sizes, greys, darks = [], 0, 0
    for index in range(150):
        scene = scene_of("detection", 4, index)
        looks.update(word for thing in scene.things for word in ((thing.key,) if thing.key else thing.look.words()))
        sizes += [max(t.box[2] - t.box[0], t.box[3] - t.box[1]) for t in scene.things]
        pixels = np.asarray(scene.image)
        greys += np.ptp(pixels, axis=2).max() == 0
        darks += pixels.mean() < 70
    assert set(looks) == {*COMMON, *COLOURS, *TEXTURES, *SHAPES}
    assert min(sizes) < 14 and max(sizes) > 100
    assert greys > 5 and darks > 5


def test_invented_words_mean_nothing() -> None:
    rng = np.random.default_rng(0)
    words = [invented_word(rng) for _ in range(3000)]
    assert all(INVENTED.fullmatch(word) for word in words)
    assert len(set(words)) > 2500
    assert not set(words) & ({*COMMON, *NOUNS, *COLOURS, *SHAPES, *TEXTURES} | DOMAIN)


def test_the_vocabulary_is_reproducible_and_spells_anything(tmp_path: Path) -> None:
    from tokenizers import BertWordPieceTokenizer

    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    train_vocabulary(one, size=400, texts=90)
    train_vocabulary(two, size=400, texts=90)
    assert one.read_bytes() == two.read_bytes()
    tokens = one.read_text().splitlines()
    assert tuple(tokens[:5]) == SPECIAL
    assert len(set(tokens)) == len(tokens) <= 400
    assert {"red", "striped", "which", "small"} <= set(tokens)
    tokenizer = BertWordPieceTokenizer(str(one), lowercase=True)
    for word in (*DOMAIN, "x9z", "Qua!nt"):
        assert "[UNK]" not in tokenizer.encode(word).tokens
