"""A program of ``torch.export`` from a stranger runs nothing when it is opened."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from glip_core.errors import InputError
from glip_core.exporting import open_program
from glip_core.exporting.inspecting import check_program

WEIGHTS = "data/weights/model_weights_config.json"
GRAPH = "models/model.json"


class Doubled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)

    def forward(self, pixels):
        return self.layer(torch.cat([pixels, pixels]))


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("program") / "plain.pt2"
    sizes = {"pixels": {0: torch.export.Dim("height", min=2, max=64)}}
    torch.export.save(torch.export.export(Doubled(), (torch.zeros(4, 2),), dynamic_shapes=sizes), path)
    return path


class Touching:
    """What a stranger would have run, pickled."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self):
        return Path.touch, (self.flag,)


def changed(program: Path, out: Path, name: str, change) -> Path:
    """The program with one record that is another, or new."""
    reader, writer = torch._C.PyTorchFileReader(str(program)), torch._C.PyTorchFileWriter(str(out))
    writer.set_min_version(6)
    records = [one for one in reader.get_all_records() if one != "byteorder" and not one.startswith(".data")]
    for one in dict.fromkeys([*records, name]):
        content = reader.get_record(one) if one in records else b""
        content = change(content) if one == name else content
        writer.write_record(one, content, len(content))
    writer.write_end_of_file()
    return out


def rewritten(*pairs: tuple[str, str]):
    def change(content: bytes) -> bytes:
        text = content.decode()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, json.dumps(new)[1:-1])
        return text.encode()

    return change


def pickled_weight(content: bytes) -> bytes:
    table = json.loads(content)
    next(iter(table["config"].values()))["use_pickle"] = True
    return json.dumps(table).encode()


def test_what_was_exported_here_is_read(program):
    check_program(program)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("data/weights/model.pt", "holds a pickle of more than tensors"),
        ("data/constants/model.pt", "holds a pickle of more than tensors"),
        ("data/sample_inputs/model.pt", "holds a pickle of more than tensors"),
        ("data/aotinductor/model/library.so", "holds a compiled library"),
    ],
)
def test_pickles_and_libraries_are_refused(record, said, program, tmp_path):
    flag = tmp_path / "ran"
    crafted = changed(program, tmp_path / "crafted.pt2", record, lambda _: pickle.dumps(Touching(flag), 2))
    with pytest.raises(InputError, match=said) as error:
        open_program(crafted)
    assert str(crafted) in str(error.value)
    assert not flag.exists()


def test_payloads_that_are_unpickled_are_refused(program, tmp_path):
    with pytest.raises(InputError, match="holds an object that is unpickled"):
        open_program(changed(program, tmp_path / "pickled.pt2", WEIGHTS, pickled_weight))
    renamed = rewritten(("weight_0", "opaque_obj_0"))
    with pytest.raises(InputError, match="holds an object that is unpickled"):
        open_program(changed(program, tmp_path / "object.pt2", WEIGHTS, renamed))


def test_the_form_before_2_8_is_refused(program, tmp_path):
    old = tmp_path / "old.pt2"
    with zipfile.ZipFile(old, "w") as archive:
        archive.writestr("version", "8.20")
        archive.writestr("serialized_state_dict.pt", pickle.dumps(Touching(tmp_path / "ran")))
    with pytest.raises(InputError, match="is of an old form, which is unpickled"):
        open_program(old)


@pytest.mark.parametrize("place", ["Mul(", "pixels", "builtins.tuple"])
def test_code_in_a_graph_is_refused(place, program, tmp_path):
    flag = tmp_path / "ran"
    code = f"__import__('pathlib').Path('{flag}').touch() or {place}"
    with pytest.raises(InputError, match="has a graph with code in it"):
        open_program(changed(program, tmp_path / "crafted.pt2", GRAPH, rewritten((place, code))))
    assert not flag.exists()
