"""The words of a hand-written prompt: how it is taken apart and put together again."""

from __future__ import annotations

import pytest
import yaml

from odinw_bench import load_task
from odinw_bench.advice.words import parts_without, words_of
from tests.cli.conftest import write_dataset


def task(tmp_path, **manual):
    """One class ``cat`` with a hand-written prompt, and ``dog`` without."""
    data = write_dataset(tmp_path / "data")
    splits = {
        split: {"annotations": f"data/{folder}/_annotations.coco.json", "images": f"data/{folder}"}
        for split, folder in (("train", "train"), ("val", "valid"), ("test", "test"))
    }
    classes = [{"id": 1, "name": "cat", "manual": manual}, {"id": 2, "name": "dog"}]
    file = data.parent / "pets.yaml"
    file.write_text(yaml.safe_dump({"name": "pets", "root": ".", "classes": classes, "splits": splits}))
    return load_task(file)


@pytest.mark.parametrize(
    ("manual", "words", "without_first"),
    [
        ({"suffix": ", which is gray and striped"}, ["gray", "striped"], ("", "cat", ", which is striped")),
        ({"suffix": " which is flat and round"}, ["flat", "round"], ("", "cat", " which is round")),
        ({"suffix": ", which are red"}, ["red"], ("", "cat", "")),
        ({"suffix": " with orange beaks"}, ["with orange beaks"], ("", "cat", "")),
        (
            {"prefix": "there is a ", "suffix": " on the porch"},
            ["there is a", "on the porch"],
            ("", "cat", " on the porch"),
        ),
        ({"name": "kitten"}, ["kitten"], ("", "cat", "")),
        ({}, [], None),
    ],
)
def test_a_prompt_is_taken_apart_and_put_together_again(tmp_path, manual, words, without_first):
    pets = task(tmp_path, **manual)
    found = words_of(pets)
    assert [word.text for word in found] == words
    assert parts_without(pets, ()) == pets.prompt_parts()
    if found:
        cat, dog = parts_without(pets, {found[0].key})
        assert (cat["prefix"], cat["name"], cat["suffix"]) == without_first
        assert dog == pets.prompt_parts()[1]
        everything = parts_without(pets, {word.key for word in found})
        assert everything == [{"prefix": "", "name": name, "suffix": ""} for name in ("cat", "dog")]
