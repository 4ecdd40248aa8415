"""Prompts: typed, from attribute files, and as records hold them."""

from __future__ import annotations

import pytest

from glip_core import InputError, Prompt
from odinw_bench.datasets.prompts import prompt_from_json, prompt_to_json, read_attributes, task_prompt
from odinw_bench.datasets.registry import load_task


def test_a_typed_prompt():
    prompt = Prompt.parse("stingray, which is flat and round. fish")
    assert prompt.names == ("stingray", "fish")
    assert prompt.caption == "stingray, which is flat and round. fish"
    assert [prompt.caption[a:b] for a, b in prompt.spans] == ["stingray", "fish"]
    assert Prompt.parse(" cat ;dog. ").names == ("cat", "dog")
    assert Prompt.parse("one thing").names == ("one thing",)


@pytest.mark.parametrize("text", ["", " ", ".", " ; . ", ", which is red"])
def test_a_typed_prompt_without_a_class(text):
    with pytest.raises(InputError, match="names no class"):
        Prompt.parse(text)


def test_there_and_back():
    for prompt in (Prompt.parse("stingray, flat. fish"), Prompt.from_classes(["a_b", "c (d)"])):
        assert prompt_from_json(prompt_to_json(prompt)) == prompt


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"caption": "a", "spans": [[0, 1]]},
        {"caption": "a", "spans": [[0, 9]], "names": ["a"]},
        {"caption": "a", "spans": [[0]], "names": ["a"]},
        {"caption": "a", "spans": 3, "names": ["a"]},
    ],
)
def test_a_damaged_prompt(data):
    with pytest.raises(InputError):
        prompt_from_json(data)


def test_modes_choose_the_words():
    task = load_task("aquarium", "mini")
    plain, manual = task_prompt(task, "prompt"), task_prompt(task, "manual")
    assert plain.names == manual.names == tuple(task.class_names)
    assert plain.caption == ". ".join(task.class_names)
    assert len(manual.caption) > len(plain.caption)
    assert [manual.caption[a:b] for a, b in manual.spans] == task.class_names


def test_attributes_of_some_classes(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("fish: {prefix: 'small ', suffix: ', which swims'}\n")
    assert read_attributes(path, ["fish", "crab"]) == Prompt.from_parts(
        [
            {"prefix": "small ", "name": "fish", "suffix": ", which swims"},
            {"prefix": "", "name": "crab", "suffix": ""},
        ]
    )


def test_attributes_as_a_list_of_parts(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"parts": [{"name": "flat fish"}, {"prefix": "red "}]}')
    assert read_attributes(path, ["stingray", "crab"]).names == ("flat fish", "crab")
    path.write_text('{"parts": [{"name": "flat fish"}, {}], "separator": "; ", "order": ["crab", "stingray"]}')
    prompt = read_attributes(path, ["stingray", "crab"])
    assert prompt.caption == "crab; flat fish"
    assert prompt.names == ("flat fish", "crab")  # the classes keep their numbers
    assert [prompt.caption[a:b] for a, b in prompt.spans] == ["flat fish", "crab"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[a", "is not YAML"),
        ("3", "must map class names"),
        ("whale: {suffix: x}", "unknown class 'whale' .known: fish, crab"),
        ("fish: {sufix: x}", "fish: unknown key 'sufix'; did you mean 'suffix'"),
        ("fish: {suffix: 3}", "fish: suffix must be a text, not 3; put it in quotes"),
        ("fish: grey", "fish must be a mapping of keys to values, not 'grey'"),
        ("parts: [{name: fish}]", "has 1 parts for 2 classes"),
        ("{parts: [{}, {}], separator: 3}", "separator must be a text, not 3"),
        ("{parts: [{}, {}], order: [fish]}", "order must name each class once: fish, crab"),
    ],
)
def test_attribute_files_that_cannot_be_used(tmp_path, content, message):
    path = tmp_path / "a.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_attributes(path, ["fish", "crab"])
