"""Folders of checkpoints as the hub's repositories are: what identifies them, and what is wrong with bad ones."""

from __future__ import annotations

import json
import shutil

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from glip_core import InputError
from glip_core.files import file_sha256
from odinw_bench import RunSpec, load_run, run
from odinw_bench.models import BUILT_IN, find_model
from tests.models.hub_models import save_closed

pytest.importorskip("transformers")
EMBEDDED = BUILT_IN["gdino-nano"].repository


@pytest.fixture
def copy(tmp_path):
    """A folder that a test may change."""
    return shutil.copytree(EMBEDDED, tmp_path / "copy")


def change_weights(folder):
    tensors = load_file(folder / "model.safetensors")
    save_file({name: value + 1 for name, value in tensors.items()}, folder / "model.safetensors", {"format": "pt"})


# -- identity --------------------------------------------------------------------------------------------------


def test_a_listed_checkpoints_own_weights_are_known_by_their_one_file():
    assert find_model("gdino-nano").identify(None) == file_sha256(f"{EMBEDDED}/model.safetensors")


@pytest.mark.parametrize("given", ["hf:", "--weights"])
def test_every_file_that_is_read_is_part_of_the_identity(copy, given):
    def identity():
        return find_model(f"hf:{copy}").identify(None) if given == "hf:" else find_model("gdino-nano").identify(copy)

    seen = [identity()]
    change_weights(copy)
    seen.append(identity())
    for name in ("config.json", "processor_config.json", "tokenizer.json", "tokenizer_config.json"):
        assert (copy / name).is_file()
        with (copy / name).open("a") as file:
            file.write("\n")
        seen.append(identity())
    for name in ("special_tokens_map.json", "added_tokens.json"):
        (copy / name).write_text("{}")
        seen.append(identity())
    assert len(set(seen)) == len(seen)
    (copy / "README.md").write_text("of no account")
    assert identity() == seen[-1]


def test_all_parts_of_weights_in_several_files_count(tmp_path, monkeypatch):
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    parts = [tmp_path / f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    for part in parts:
        part.write_text("weights")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(tmp_path))
    before = find_model("grounding-dino-t").identify(None)
    parts[1].write_text("other weights")
    assert find_model("grounding-dino-t").identify(None) != before


def test_a_run_is_loaded_with_its_weights_from_where_they_are_now(copy, pets, tmp_path):
    """Own weights are known by one hash, those of a folder by another; a run of 0.1.0 of a folder has the first."""
    record = run(RunSpec(str(pets), model="gdino-nano", mode="zero-shot"), tmp_path / "results")
    assert load_run(record, "cpu", weights=str(copy)).prompt.names == ("cat", "dog")
    change_weights(copy)
    with pytest.raises(InputError, match="are not those"):
        load_run(record, "cpu", weights=str(copy))


# -- what is wrong with a folder ---------------------------------------------------------------------------------


def drop(*names):
    return lambda folder: [(folder / name).unlink(missing_ok=True) for name in names]


def put(name, text):
    return lambda folder: (folder / name).write_text(text)


def configure(**changes):
    def change(folder):
        fields = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(fields | changes))

    return change


def truncate(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


DAMAGE = {
    "no processor": (drop("processor_config.json"), "holds no preprocessor_config.json or processor_config.json"),
    "no tokenizer": (drop("tokenizer.json"), "holds no tokenizer.json or vocab.txt or vocab.json"),
    "no configuration": (drop("config.json"), "holds no readable config.json"),
    "broken processor": (put("processor_config.json", "{"), "cannot be loaded (OSError: "),
    "processor of a list": (put("processor_config.json", "[]"), "cannot be loaded (AttributeError: "),
    "empty tokenizer": (put("tokenizer.json", "{}"), "cannot be loaded (KeyError: "),
    "truncated weights": (truncate, "cannot be loaded (SafetensorError: "),
    "no weights in it": (put("model.safetensors", ""), "cannot be loaded (SafetensorError: "),
    "wrong type": (configure(d_model="x"), "Field 'd_model' expected int, got str"),
    "another size": (configure(d_model=64), "in the weights, "),
    "unknown backbone": (configure(backbone_config={"model_type": "nope"}), "cannot be loaded (KeyError: 'nope')"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_wrong_with_a_folder_is_one_line(copy, cli, tmp_path, damage):
    """It names the folder; no table of transformers' comes before it."""
    spoil, message = DAMAGE[damage]
    spoil(copy)
    Image.new("RGB", (80, 60)).save(tmp_path / "one.png")
    asked = ["predict", tmp_path / "one.png", "--model", "gdino-nano", "--weights", copy, "--prompt", "fish"]
    said = cli(*asked, "--out", tmp_path / "out", "--device", "cpu").refused()
    assert f"'{copy}'" in said and message in said


@pytest.mark.parametrize("name", ["x" * 5000, "~no-such-user/x"])
def test_what_cannot_be_a_folder_is_not_found(name):
    with pytest.raises(InputError, match="not found; give one") as refused:
        find_model(f"hf:{name}")
    assert len(str(refused.value)) < 400


def test_a_configuration_that_is_nested_too_deeply_is_not_read(tmp_path):
    (tmp_path / "config.json").write_text('{"a":' * 100_000)
    with pytest.raises(InputError, match=r"holds no readable config\.json \(RecursionError\)"):
        find_model(f"hf:{tmp_path}")


@pytest.mark.parametrize(
    ("model", "weights", "kinds"),
    [
        ("gdino-nano", "rtdetr-nano", ("rt_detr_v2", "mm-grounding-dino")),
        ("rtdetr-nano", "gdino-nano", ("mm-grounding-dino", "rt_detr_v2")),
        ("grounding-dino-t", "gdino-nano", ("mm-grounding-dino", "grounding-dino")),  # these would load
    ],
)
def test_weights_of_another_family_are_refused(model, weights, kinds):
    with pytest.raises(InputError, match=f"is a model of the type '{kinds[0]}', '{model}' is one of '{kinds[1]}'"):
        find_model(model).load(BUILT_IN[weights].repository, "cpu")


def test_a_class_layer_of_another_number_of_classes_than_configured_is_refused(tmp_path):
    folder = save_closed(tmp_path / "closed", "RTDetrV2")
    configure(id2label={str(n): f"class {n}" for n in range(9)}, label2id={f"class {n}": n for n in range(9)})(folder)
    with pytest.raises(InputError, match=r"class_embed\S+ has the shape \[5\] in the weights, \[9\] by the config"):
        find_model(f"hf:{folder}").load(None, "cpu")
