"""The disk cache of frozen features: exact, shared, bounded, and never trusted blindly."""

from __future__ import annotations

import json
import os

import pytest
import torch

from glip_core import TextFeatures
from odinw_bench import RunSpec, run
from odinw_bench.engine.cache_settings import CacheSettings
from odinw_bench.engine.feature_store import FeatureStore, default_folder, make_cache
from odinw_bench.engine.features import FeatureCache
from odinw_bench.models.inputs import FrozenFeatures
from odinw_bench.utils.io import sha256_bytes

UNPACK = FrozenFeatures.unpack


def features(number: int, *, text: bool = False) -> FrozenFeatures:
    """1000 bytes of values that half precision would lose, with or without text."""
    generator = torch.Generator().manual_seed(number)
    words = torch.randn(1, 5, 8, generator=generator)
    fused = TextFeatures(words, words * 2, torch.ones(1, 5, dtype=torch.bool)) if text else None
    return FrozenFeatures((torch.randn(1, 1, 10, 25, generator=generator),), fused, (10, 24), (10, 25))


def name(number: int) -> str:
    return sha256_bytes(str(number).encode())


@pytest.mark.parametrize("text", [True, False])
def test_what_comes_back_is_what_was_put_in(tmp_path, text):
    store, given = FeatureStore(tmp_path, 10**6), features(1, text=text)
    assert store.get(name(1), UNPACK) is None
    store.put(name(1), given)
    found = FeatureStore(tmp_path, 10**6).get(name(1), UNPACK)  # as another process would
    assert found is not None
    assert (found.hw, found.padded_hw) == (given.hw, given.padded_hw)
    assert all(a.equal(b) for a, b in zip(found.levels, given.levels, strict=True))
    assert (found.text is None) == (given.text is None)
    if text:
        assert found.text.hidden.equal(given.text.hidden) and found.text.mask.equal(given.text.mask)


def test_the_longest_unused_go_when_the_disk_budget_is_spent(tmp_path):
    store = FeatureStore(tmp_path, 4000)  # a file has some 200 bytes of header
    for number in range(3):
        store.put(name(number), features(number))
        os.utime(store._path(name(number)), (1000 + number, 1000 + number))
    assert store.get(name(0), UNPACK) is not None  # used just now
    store.put(name(3), features(3))
    assert store.get(name(1), UNPACK) is None
    assert store.get(name(0), UNPACK) is not None and store.get(name(3), UNPACK) is not None
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.safetensors")) <= 4000


def test_the_budget_is_of_all_processes_together(tmp_path):
    stores = [FeatureStore(tmp_path, 24_000) for _ in range(4)]
    for number in range(60):
        stores[number % 4].put(name(number), features(number))
        held = sum(path.stat().st_size for path in tmp_path.rglob("*.safetensors"))
        assert held <= 24_000 * 1.2  # each may add a twentieth before it looks


def test_what_killed_processes_were_writing_is_removed(tmp_path):
    folder = FeatureStore(tmp_path, 10_000)._path(name(1)).parent
    folder.mkdir()
    (folder / "now.part").write_bytes(b"half")
    (folder / "old.part").write_bytes(b"half")
    os.utime(folder / "old.part", (1000, 1000))
    FeatureStore(tmp_path, 10_000).put(name(1), features(1))
    assert [path.name for path in folder.glob("*.part")] == ["now.part"]


def test_what_is_larger_than_the_budget_is_left_out(tmp_path):
    store = FeatureStore(tmp_path, 500)
    store.put(name(1), features(1))
    assert store.get(name(1), UNPACK) is None and not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize("damage", [b"", b"\x00" * 40, b"half"])
def test_a_damaged_file_counts_as_absent_and_is_replaced(tmp_path, damage):
    store = FeatureStore(tmp_path, 10**6)
    store.put(name(1), features(1))
    store._path(name(1)).write_bytes(damage)
    assert store.get(name(1), UNPACK) is None
    store.put(name(1), features(1))
    assert store.get(name(1), UNPACK) is not None


def test_features_with_a_flipped_sign_count_as_absent_and_are_noted(tmp_path, caplog):
    store = FeatureStore(tmp_path, 10**6)
    store.put(name(1), features(1))
    path = store._path(name(1))
    data = bytearray(path.read_bytes())
    data[-1] ^= 0x80
    path.write_bytes(data)
    assert store.get(name(1), UNPACK) is None
    assert f"'{path}' are damaged and are computed again" in caplog.text


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    store = FeatureStore(tmp_path / "file", 10**6)
    store.put(name(1), features(1))
    assert store.get(name(1), UNPACK) is None


def test_the_default_folder_follows_the_system(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "odinw-bench" / "features"
    cache = make_cache(CacheSettings(memory=5, disk=10))
    assert cache.budget == 5 and cache.store.folder == default_folder()
    assert make_cache(CacheSettings()).store is None


@pytest.mark.parametrize("mode", ["prompt", "linear"])
def test_a_run_from_the_disk_cache_is_the_same_run(tmp_path, mode):
    """Memory for nothing, so that every epoch reads from disk; the second run finds all that the first computed."""
    spec = RunSpec(
        dataset="thermal", mode=mode, shots=1, overrides={"epochs": 2, "repeats_per_epoch": 8, "min_steps_per_epoch": 1}
    )
    plain = run(spec, tmp_path / "plain")
    settings = CacheSettings(memory=0, disk=1 << 30, folder=tmp_path / "cache")
    first = run(spec, tmp_path / "first", cache=settings)
    made = {path: path.stat().st_ino for path in (tmp_path / "cache").rglob("*.safetensors")}
    assert made
    second = run(spec, tmp_path / "second", cache=settings)
    assert {path: path.stat().st_ino for path in (tmp_path / "cache").rglob("*.safetensors")} == made
    folders = [next((tmp_path / name).rglob("history.jsonl")) for name in ("plain", "first", "second")]
    losses = [[json.loads(line)["losses"] for line in path.read_text().splitlines()] for path in folders]
    assert losses[0] == losses[1] == losses[2]
    assert plain["metrics"] == first["metrics"] == second["metrics"]


def test_memory_is_asked_before_the_disk(tmp_path):
    store = FeatureStore(tmp_path, 10**6)
    cache = FeatureCache(10**6, store)
    assert cache.get("a", lambda: features(1)) is cache.get("a", lambda: features(2))
    assert store.hits == 0
