"""Folders of checkpoints as the hub's repositories are: what identifies them, and what is wrong with bad ones."""

from __future__ import annotations

import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from glip_core import InputError
from glip_core.files import file_sha256
from odinw_bench import RunSpec, load_run, run
from odinw_bench.models import BUILT_IN, find_model

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
    photo = Image.new("RGB", (90, 60), "red")
    found = load_run(record, "cpu", weights=str(copy)).predict(photo)
    assert torch.equal(found.scores, load_run(record, "cpu").predict(photo).scores)
    change_weights(copy)
    with pytest.raises(InputError, match="are not those"):
        load_run(record, "cpu", weights=str(copy))
