"""Prompts, task files, attributes files, checkpoints and predictions of every odd kind."""

from __future__ import annotations

import copy
import io
import json
import pickle
import struct

import pytest
import torch
import yaml
from safetensors.torch import save_file

from glip_core import Prompt, load
from glip_core.checkpoint import find_weights, read_state_dict
from glip_core.config import get_config
from glip_core.errors import InputError
from tests.cli.conftest import write_dataset
from tests.inputs.answers import sound
from tests.inputs.test_annotations import WRONG, sane

# -- prompts -------------------------------------------------------------------------------------------------------

PROMPTS = {
    "one": "cat",
    "attributes": "stingray, which is flat and round. fish",
    "one name twice": "cat. cat",
    "a name in another": "fish. fish bone. bone",
    "emoji": "🐈. 🐕‍🦺",
    "right to left": "قطة. كلب",
    "mixed scripts": "猫. Straße. naïve café. Ω",
    "combining marks": "e\u0301cole. a\u0308pfel",
    "controls": "cat\t.\x07dog\x1b[31m",
    "lines": "cat.\ndog",
    "spaces": "   cat   .   dog   ",
    "quotes": "\"cat\". 'dog'. `x`",
    "html": "<script>alert(1)</script>. <b>dog</b>",
    "wildcards": "*. ?. %s. {0}. $HOME",
    "digits": "7. 42",
    "a surrogate": "cat \ud83d. dog",
    "a zero": "cat\0dog",
    "a long word": "c" * 300,
    "a long name": " ".join(["very"] * 120) + " cat",
    "300 classes": ". ".join(f"thing {number}" for number in range(300)),
    "names of punctuation": "!!!. ???. ---",
    "brackets": "[CLS]. [SEP]. [MASK]. [PAD]",
    "subwords": "##ing. ##s",
}
NO_CLASS = ["", " ", ".", "...", ". . .", ";;;", ", ,", "\n\t"]


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("photo") / "pets") / "test/0.jpg"


@pytest.mark.parametrize("name", PROMPTS)
def test_prompts(cli, photo, tmp_path, tried, name):
    """As one line, and as classes of their own: detections of those classes, or one line."""
    for words in (["--prompt", PROMPTS[name]], ["--class", PROMPTS[name]]):
        answer = cli("predict", photo, *words, "--out", tmp_path, "--threshold", "0")
        if sound(answer) is None:
            found = json.loads((tmp_path / "0.boxes.json").read_text())
            assert all(one["class"] in found["classes"] for one in found["detections"])
            assert all(0 <= one["score"] <= 1 for one in found["detections"])
        tried("input: prompt")


@pytest.mark.parametrize("text", NO_CLASS)
def test_prompts_without_a_class(cli, photo, tmp_path, tried, text):
    line = sound(cli("predict", photo, "--prompt", text, "--out", tmp_path))
    assert line is not None and "names no class" in line
    tried("input: prompt")


def test_a_class_is_never_lost(tried):
    """However odd the others are, each keeps a place in the caption and in the logits of its own."""
    detector = load("glip-nano")
    for text in PROMPTS.values():
        try:
            prompt = Prompt.parse(text)
            parts = detector.chunks(prompt)
        except InputError:  # a single class longer than the model reads, half a character
            continue
        assert len(prompt.spans) == len(prompt.names)
        assert [name for part in parts for name in part.names] == list(prompt.names)
        for part in parts:
            assert len(detector.token_map(part)) == len(part.names)
        tried("input: prompt")


def test_a_prompt_longer_than_the_model_reads_is_asked_in_parts():
    detector = load("glip-nano")
    prompt = Prompt.from_classes([f"thing number {number}" for number in range(300)])
    parts = detector.chunks(prompt)
    assert len(parts) > 1
    assert sum(len(part.names) for part in parts) == 300


# -- task files and attributes files -------------------------------------------------------------------------------

TASK = {
    "name": "pets",
    "title": "Pets",
    "classes": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    "splits": {
        split: {"annotations": f"{folder}/_annotations.coco.json", "images": folder}
        for split, folder in (("train", "train"), ("val", "valid"), ("test", "test"))
    },
    "eval_split": "val",
}
BAD_YAML = {
    "nothing": "",
    "null": "~",
    "a list": "- 1\n- 2\n",
    "a text": "pets",
    "a tab": "name:\tx\n\ty: 1",
    "an open bracket": "name: [1, 2",
    "an open quote": "name: 'x",
    "two documents": "name: a\n---\nname: b\n",
    "a python object": "!!python/object/apply:os.system ['touch hacked']",
    "a python tuple": "name: !!python/tuple [1, 2]",
    "an unknown tag": "name: !secret x",
    "an alias to nowhere": "name: *nobody",
    "an alias to itself": "&a [*a]",
    "a key that is a list": "? [1, 2]\n: x\n",
    "a date that is none": "name: 2001-99-99\n",
    "a control character": "name: \x07\n",
    "deep": "[" * 20_000,
    "deep blocks": "".join(" " * depth + "a:\n" for depth in range(1200)),
    "not UTF-8": b"name: \xff\xfe\xfa",
    "half of UTF-16": "name: pets".encode("utf-16")[:-1],
    "a billion laughs": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)),
    "two megabytes": "name: " + "x" * (2 << 20),
}


def _bytes(content):
    return content if isinstance(content, bytes) else content.encode()


@pytest.fixture
def suite(tmp_path):
    """A data set with a task file, and what that holds."""
    path = write_dataset(tmp_path / "pets") / "task.yaml"
    path.write_text(yaml.safe_dump(TASK))
    return path, copy.deepcopy(TASK)


@pytest.mark.parametrize("name", BAD_YAML)
def test_task_files(cli, suite, tmp_path, tried, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, _ = suite
    assert sound(cli("data", "check", "--dataset", path.parent)) is None
    path.write_bytes(_bytes(BAD_YAML[name]))
    line = sound(cli("data", "check", "--dataset", path.parent), "task.yaml")
    assert line is not None
    assert not (tmp_path / "hacked").exists()
    tried("input: YAML file")


@pytest.mark.parametrize("key", [*TASK, "source", "fewshot", "attributes", "notes", "aliases", "licence"])
def test_task_files_with_wrong_values(cli, suite, tried, key):
    path, task = suite
    for value in WRONG:
        if isinstance(value, str) and "\0" in value:
            continue  # YAML has no word for it
        path.write_text(yaml.safe_dump(task | {key: value}))
        line = sound(cli("data", "check", "--dataset", path.parent))
        assert line is None or "task.yaml" in line or "pets" in line
        tried("input: YAML file")
    path.write_text(yaml.safe_dump({name: value for name, value in task.items() if name != key}))
    assert sound(cli("data", "check", "--dataset", path.parent)) is None  # what is missing is found in the data
    path.write_text(yaml.safe_dump(task | {f"{key}x": 1}))
    assert f"unknown key '{key}x'" in sound(cli("data", "check", "--dataset", path.parent))
    tried("input: YAML file", 2)


def test_anchors_are_fine(cli, suite, tried):
    path, _ = suite
    text = path.read_text().replace("title: Pets", "title: &t Pets\nlicence: *t")
    path.write_text(text)
    assert sound(cli("data", "check", "--dataset", path.parent)) is None
    tried("input: YAML file")


@pytest.mark.parametrize("name", BAD_YAML)
def test_attributes_files(cli, tmp_path, tried, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "words.yaml"
    path.write_bytes(_bytes(BAD_YAML[name]))
    run = ("run", "--dataset", "packages", "--mode", "manual", "--attributes", path, "--dry-run")
    assert sound(cli(*run, "--results", tmp_path), "words.yaml") is not None
    assert not (tmp_path / "hacked").exists()
    tried("input: YAML file")


@pytest.mark.parametrize(
    "content",
    [
        *({"package": value} for value in WRONG if value not in (None, {})),
        *({"package": {"prefix": value}} for value in WRONG if not isinstance(value, str)),
        *({"parts": value} for value in WRONG),
        *({"parts": [{}], "order": value} for value in WRONG if value is not None),
        *({"parts": [{}], "separator": value} for value in WRONG if not isinstance(value, str) or not value),
        {"package": {"prefx": "red "}},
        {"parcel": {"prefix": "red "}},
        {"parts": [{}, {}]},
    ],
)
def test_attributes_files_with_wrong_values(cli, tmp_path, tried, content):
    path = tmp_path / "words.yaml"
    path.write_text(yaml.safe_dump(content))
    run = ("run", "--dataset", "packages", "--mode", "manual", "--attributes", path, "--dry-run")
    assert sound(cli(*run, "--results", tmp_path), "words.yaml") is not None
    tried("input: YAML file")


# -- checkpoints ---------------------------------------------------------------------------------------------------


class _Evil:
    def __reduce__(self):
        return open, ("hacked", "w")


def _torch(content, **options):
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


def _weights():
    return read_state_dict(find_weights(get_config("glip-nano"), None))


def _safetensors(header, body=b""):
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + body


def _whole_safetensors():
    from pathlib import Path

    return Path(find_weights(get_config("glip-nano"), None)).read_bytes()


CHECKPOINTS = {
    "nothing.pth": lambda: b"",
    "text.pth": lambda: b"not a checkpoint",
    "cut.pth": lambda: _torch({"model": {"x": torch.zeros(9)}})[:200],
    "evil.pth": lambda: _torch({"model": _Evil()}),
    "evil-pickle.pth": lambda: pickle.dumps(_Evil()),
    "evil-old.pth": lambda: _torch({"model": _Evil()}, _use_new_zipfile_serialization=False),
    "a list.pth": lambda: _torch([1, 2, 3]),
    "a number.pth": lambda: _torch(7),
    "empty.pth": lambda: _torch({}),
    "no tensors.pth": lambda: _torch({"model": {"a": 1}}),
    "other names.pth": lambda: _torch({"model": {"a": torch.zeros(3)}}),
    "a module.pth": lambda: _torch(torch.nn.Linear(2, 2)),
    "other shapes.pth": lambda: _torch({"model": {k: v[..., None] for k, v in _weights().items()}}),
    "one missing.pth": lambda: _torch({"model": dict(list(_weights().items())[1:])}),
    "integers.pth": lambda: _torch({"model": {k: v.long() for k, v in _weights().items()}}),
    "not numbers.pth": lambda: _torch({"model": {k: v * float("nan") for k, v in _weights().items()}}),
    "nothing.safetensors": lambda: b"",
    "text.safetensors": lambda: b"not a checkpoint at all",
    "cut.safetensors": lambda: _whole_safetensors()[:100_000],
    "a long header.safetensors": lambda: struct.pack("<Q", 2**62) + b"{}",
    "no json.safetensors": lambda: _safetensors(b"{{{{"),
    "huge.safetensors": lambda: _safetensors(
        {"x": {"dtype": "F32", "shape": [2**30, 2**30], "data_offsets": [0, 2**62]}}
    ),
    "offsets.safetensors": lambda: _safetensors(
        {"x": {"dtype": "F32", "shape": [4], "data_offsets": [-16, 16]}}, bytes(16)
    ),
    "a pickle.safetensors": lambda: _torch({"model": _Evil()}),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints(cli, tmp_path, tried, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.write_bytes(CHECKPOINTS[name]())
    run = ("run", "--dataset", "packages", "--mode", "zero-shot", "--weights", path, "--results", tmp_path / "r")
    line = sound(cli(*run, "--quiet"), name)
    assert line is not None
    assert not (tmp_path / "hacked").exists()
    tried("input: checkpoint")


def test_checkpoints_cut_off_anywhere(cli, tmp_path, tried):
    weights = _weights()
    save_file(weights, tmp_path / "w.safetensors")
    for name, whole in (("w.pth", _torch({"model": weights})), ("w.safetensors", _whole_safetensors())):
        for part in range(1, 10):
            (tmp_path / name).write_bytes(whole[: len(whole) * part // 10])
            with pytest.raises(ValueError, match=name):
                read_state_dict(tmp_path / name)
            tried("input: checkpoint")


# -- predictions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["image_id", "category_id", "bbox", "score", None])
def test_predictions(cli, tmp_path, tried, field):
    """Every field with every wrong value, and lists that are none."""
    pets = write_dataset(tmp_path / "pets")
    (pets / "test/_annotations.coco.json").write_text(json.dumps(sane()))
    from PIL import Image

    for number in (1, 2, 3):
        Image.new("RGB", (120, 80)).save(pets / f"test/{number}.jpg")
    right = {"image_id": 1, "category_id": 1, "bbox": [5, 5, 40, 30], "score": 0.5}
    path = tmp_path / "p.json"
    call = ("score", "--dataset", pets, "--predictions", path, "--model-name", "m", "--results", tmp_path / "r")
    for value in WRONG:
        path.write_text(json.dumps(value if field is None else [right, right | {field: value}]))
        answer = cli(*call, "--json", "--force")
        line = sound(answer, "p.json")
        if line is None:
            ap = json.loads(answer.out)["records"][0]["metrics"]["AP"]
            assert 0 <= ap <= 100
        elif field is not None:
            assert f"predictions[1].{field}" in line, line
        tried("input: predictions file")
    if field is not None:
        path.write_text(json.dumps([{key: value for key, value in right.items() if key != field}]))
        assert "predictions[0]" in sound(cli(*call), "p.json")
        tried("input: predictions file")
