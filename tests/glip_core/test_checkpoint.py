"""Reading checkpoints safely: formats, prefixes, other models, damage, malice, downloads."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import glip_core
from glip_core import InputError
from glip_core.checkpoint import find_weights, named_tensors, read_state_dict
from glip_core.config import PRESETS


@pytest.fixture(scope="module")
def dyhead() -> glip_core.DyHead:
    return glip_core.build("dyhead-nano", num_classes=4)


def state_of(detector: glip_core.Detector) -> dict[str, torch.Tensor]:
    return {k: v.detach().clone() for k, v in named_tensors(detector, detector.config).items()}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_both_formats_fill_the_model(tmp_path, dyhead, suffix):
    state, path = state_of(dyhead), tmp_path / f"weights{suffix}"
    if suffix == ".pth":  # as the official files: under "model", with "module." before every name
        torch.save({"model": {f"module.{k}": v for k, v in state.items()}, "iteration": 7}, path)
    else:
        save_file(state, path)
    loaded = glip_core.load("dyhead-nano", path, num_classes=4)
    assert all(v.equal(state[k]) for k, v in state_of(loaded).items())
    assert loaded.weights_sha256
    assert len(loaded.weights_sha256) == 64


def test_a_module_prefix_on_some_names_is_kept(tmp_path):
    path = tmp_path / "mixed.pth"
    torch.save({"module.a": torch.zeros(1), "b": torch.zeros(1)}, path)
    assert set(read_state_dict(path)) == {"module.a", "b"}


def test_another_number_of_classes_starts_fresh(tmp_path, dyhead):
    path = tmp_path / "weights.safetensors"
    save_file(state_of(dyhead), path)
    other = glip_core.load("dyhead-nano", path, num_classes=9)
    assert other.num_classes == 9
    assert state_of(other)["rpn.head.bbox_pred.weight"].equal(state_of(dyhead)["rpn.head.bbox_pred.weight"])


def test_a_class_head_takes_a_glips_backbone_and_tower(tmp_path):
    """``--weights`` of a GLIP without fusion: everything shared is taken, the class layer is fresh."""
    import dataclasses

    glip = glip_core.assemble(dataclasses.replace(PRESETS["glip-nano"], fusion=None))
    path = tmp_path / "glip.safetensors"
    save_file(state_of(glip), path)
    detector = glip_core.load("dyhead-nano", path, num_classes=3)
    ours, theirs = state_of(detector), state_of(glip)
    shared = set(ours) & set(theirs)
    assert set(ours) - shared == {"rpn.head.cls_logits.weight", "rpn.head.cls_logits.bias"}
    assert all(ours[name].equal(theirs[name]) for name in shared)


def test_another_model_is_refused(tmp_path, dyhead):
    path = tmp_path / "weights.safetensors"
    save_file(state_of(dyhead), path)
    with pytest.raises(InputError, match=r"weights.safetensors does not fit the model 'glip-nano': .*missing") as error:
        glip_core.load("glip-nano", path)
    assert "\n" not in str(error.value)


class Malice:
    """A pickle that would create a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def official_fine_tuned(state: dict[str, torch.Tensor]) -> dict[str, object]:
    """What the official trainer writes: weights, optimizer, scheduler, iteration, and results as numpy numbers."""
    parameters = [torch.nn.Parameter(torch.zeros(3))]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4)
    parameters[0].sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[2, 4])
    return {
        "model": {f"module.{name}": tensor for name, tensor in state.items()},
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "iteration": 240,
        "epoch": np.int64(12),
        "eval_result": np.float64(0.613),
        "others": {"best": np.float32(0.5), "done": np.bool_(True)},
    }


@pytest.mark.parametrize("kind", ["torch 2", "older torch", "older torch and numpy 1"])
def test_an_official_fine_tuned_file_is_read(tmp_path, dyhead, kind):
    """Older torch writes no zip archive, numpy 1 another name for the same function."""
    state, path = state_of(dyhead), tmp_path / "model_best.pth"
    torch.save(official_fine_tuned(state), path, _use_new_zipfile_serialization=kind == "torch 2")
    if "numpy 1" in kind:
        written = path.read_bytes()
        assert b"numpy._core.multiarray" in written
        path.write_bytes(written.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    found = read_state_dict(path)
    assert set(found) == set(state) and all(found[name].equal(state[name]) for name in state)
    assert glip_core.load("dyhead-nano", path, num_classes=4).ignored_weights == []


def test_a_numpy_array_of_objects_is_refused(tmp_path):
    """Numbers are allowed, numpy as a whole is not."""
    torch.save({"model": {"a": torch.zeros(1)}, "extra": np.array([{}], dtype=object)}, tmp_path / "objects.pth")
    with pytest.raises(InputError, match="holds more than tensors"):
        read_state_dict(tmp_path / "objects.pth")


def test_heads_of_pre_training_are_ignored_like_the_official_loader_does():
    detector = glip_core.build("glip-nano")
    extra = {
        f"{name}.fc.weight": torch.zeros(2, 2)
        for name in ("rpn.resizer", "rpn.head.resizer", "resizer", "rpn.head.mlm_head", "rpn.mlm_head")
    }
    ignored = glip_core.load_official_state_dict(detector, state_of(detector) | extra)
    assert ignored == []


def test_a_tuned_offset_in_a_checkpoint_is_not_lost_in_silence():
    """An official prompt-tuned file; its offset belongs to one prompt. Zeros, as before tuning, mean nothing."""
    detector = glip_core.build("glip-nano")
    state = state_of(detector) | {"rpn.tunable_linear.weight": torch.zeros(1000, 80)}
    assert glip_core.load_official_state_dict(detector, state) == []
    state["rpn.tunable_linear.weight"][3] = 0.1
    with pytest.raises(InputError, match=r"1 unused \(rpn.tunable_linear.weight\)"):
        glip_core.load_official_state_dict(detector, state)
    assert glip_core.load_official_state_dict(detector, state, lenient=True) == ["rpn.tunable_linear.weight"]


def test_unknown_names_are_an_error_unless_lenient(tmp_path, dyhead):
    path = tmp_path / "weights.safetensors"
    save_file(state_of(dyhead) | {"rpn.head.novelty.weight": torch.zeros(2)}, path)
    with pytest.raises(
        InputError, match=r"1 unused \(rpn.head.novelty.weight\); ignore them by --lenient-weights \(lenient=True"
    ):
        glip_core.load("dyhead-nano", path, num_classes=4)
    loaded = glip_core.load("dyhead-nano", path, num_classes=4, lenient=True)
    assert loaded.ignored_weights == ["rpn.head.novelty.weight"]
    with pytest.raises(InputError, match="missing") as error:
        glip_core.load("glip-nano", path, lenient=True)
    assert "lenient" not in str(error.value)


def test_a_malicious_pickle_does_not_run(tmp_path):
    torch.save({"model": Malice(tmp_path / "owned")}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match=r"evil.pth' holds more than tensors"):
        read_state_dict(tmp_path / "evil.pth")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cut.safetensors", b"\x10\x00\x00\x00", "cannot be read"),
        ("cut.pth", b"PK\x03\x04 not a whole zip", "cannot be read"),
        ("empty.pth", b"", "cannot be read"),
        ("text.pth", b"hello there", "cannot be read|holds more than tensors"),
    ],
)
def test_damaged_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read_state_dict(tmp_path / name)
    assert "\n" not in str(error.value)


def test_things_that_are_no_state_dict(tmp_path):
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match="no state dict"):
        read_state_dict(tmp_path / "list.pth")
    torch.save({"model": {"a": 3}}, tmp_path / "numbers.pth")
    with pytest.raises(InputError, match="'a', which is no tensor"):
        read_state_dict(tmp_path / "numbers.pth")
    with pytest.raises(InputError, match=r"absent.pth' not found"):
        read_state_dict(tmp_path / "absent.pth")


def test_where_weights_come_from():
    with pytest.raises(InputError, match=r"no official weights for 'dyhead-t'.*glip-t-a"):
        find_weights(PRESETS["dyhead-t"], None)
    with pytest.raises(InputError, match=r"nowhere.pth' not found"):
        find_weights(PRESETS["glip-t"], "nowhere.pth")


def test_without_network_the_error_says_what_to_fetch(tmp_path, monkeypatch):
    """The hub's own client runs, against an address on this machine where nobody answers."""
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client tries again, ever later
    with pytest.raises(InputError, match=r"https://\S+/glip_a_tiny_o365.pth by hand and pass --weights"):
        find_weights(PRESETS["glip-t-a"], None)


def test_random_weights_find_things_and_are_the_same_each_time():
    prompt = glip_core.Prompt.from_classes(["fish", "boat"])
    first, second = (glip_core.load("glip-nano", "random") for _ in range(2))
    assert all(a.equal(b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert first.weights_sha256 is None
    found = first.detect(torch.randn(1, 3, 160, 160), [(160, 160)], prompt)[0]
    assert len(found) > 0
