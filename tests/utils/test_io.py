from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from glip_core.errors import InputError
from glip_core.files import file_sha256
from odinw_bench.utils import io as files


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run.json"
    files.write_json(path, {"b": 1, "a": "ü"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"b": 1, "a": "ü"}
    with pytest.raises(RuntimeError), files.replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("interrupted")
    assert files.read_json(path) == {"b": 1, "a": "ü"}
    assert [entry.name for entry in path.parent.iterdir()] == ["run.json"]


def test_a_new_file_has_ordinary_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    files.write_text(tmp_path / "written", "text\n")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "written")]
    assert modes[0] == modes[1]


def test_json_refuses_what_json_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", [float("nan")])
    assert list(tmp_path.iterdir()) == []


def test_canonical_json_has_one_form() -> None:
    assert files.canonical_json({"b": [1, 2.5], "a": "é"}) == files.canonical_json({"a": "é", "b": [1, 2.5]})
    assert files.canonical_json({"b": 1, "a": "é"}).decode() == '{"a":"é","b":1}'


def test_hashes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == files.sha256_bytes(b"abc")
    assert files.sha256_bytes(b"abc").startswith("ba7816bf8f01cfea")


def test_too_large_a_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[1, 2, 3]")
    with pytest.raises(InputError, match="has 9 bytes; at most 8 are read"):
        files.read_json(tmp_path / "a.json", limit=8)


@pytest.mark.parametrize(
    "reference", ["[*a, *a, *a, *a, *a, *a, *a, *a, *a]", "{<<: [*a, *a, *a, *a, *a, *a, *a, *a]}"]
)
def test_yaml_that_repeats_itself_without_end_is_refused(tmp_path: Path, reference: str) -> None:
    """A few hundred bytes stand for more than any memory holds."""
    lines = ["a0: &a0 {word: ha}"]
    lines += [f"a{n}: &a{n} {reference.replace('*a', f'*a{n - 1}')}" for n in range(1, 20)]
    (tmp_path / "laughs.yaml").write_text("\n".join(lines))
    (tmp_path / "itself.yaml").write_text("a: &a [*a]")
    for path in tmp_path.iterdir():
        with pytest.raises(InputError, match=rf"task file '{path}' repeats itself by references"):
            files.read_yaml(path, what="task file")


def test_yaml_is_read_to_its_limit_without_references(tmp_path: Path) -> None:
    path, limit = tmp_path / "a.yaml", 4096
    for text in ("[" + "1," * 2047 + "]", "{" + "a," * 2047 + "}", "- \n" * 1365, "x" * 4096):
        path.write_text(text)
        assert files.read_yaml(path, limit=limit)
    path.write_text("a: &a {b: 1}\nc: *a\nd: {<<: *a, e: 2}\n")
    assert files.read_yaml(path) == {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}
    path.write_text("")
    assert files.read_yaml(path) is None
