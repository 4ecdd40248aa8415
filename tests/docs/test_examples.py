"""Every example of ``--help``, README and the documents does what it says, as far as that can be done here.

Each command is run in this process in a folder with the files that the examples name, on the miniature in place of
official data and with nano models in place of official ones (:data:`STAND_INS`), ``run`` with ``--dry-run``. Commands
of :data:`PARSED` are only taken apart, for the reasons given there. What every command's options are is tested in
:mod:`tests.docs.test_documents`.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator

import pytest
from PIL import Image

from odinw_bench import RunSpec, run
from odinw_bench.mini.export import write_suite
from tests.cli.made import write_video
from tests.cli.test_help import EVERY, examples
from tests.docs.blocks import ROOT, blocks, documents
from tests.docs.test_documents import _parse

pytestmark = pytest.mark.integration

STAND_INS = {
    **dict.fromkeys(("odinw13", "odinw35", "rf20vl"), "mini"),
    **{"coco": "mini-coco", "lvis-minival": "mini-lvis", "flickr30k": "mini-flickr", "refcoco": "mini-refexp"},
    **dict.fromkeys(("glip-t", "glip-t-b", "glip-l", "grounding-dino-t"), "glip-nano"),
    "hf:openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg_grit": "glip-nano",
    **{"cuda": "cpu", "testA": "test", "val": "test"},
    **dict.fromkeys(("odinw-glip-1", "odinw-glip", "coco-glip-1", "quick"), "mini"),
    **dict.fromkeys(("DATA/raccoon", "my/pictures"), "my/coco/folder"),
}
"""What is run in place of a word of an example (or of a part between commas)."""

PARSED = {
    "run --suite all-paper": "needs all official data; tests/report/test_paper.py",
    "run --config grids/paper.yaml": "likewise",
    "predict camera:0": "needs a camera; tests/cli/test_predict_sources.py has one made up",
    "data download": "asks other computers",
    "search": "takes minutes; tests/search",
    "advise": "takes minutes; tests/advise",
    "pretrain": "takes hours; tests/pretraining",
    "score": "of another detector's files; tests/runs/test_external.py",
    "profile": "measures official models; tests/cli/test_profile.py",
    "models convert": "of official weights; tests/docs/test_documents.py runs that of glip-nano",
    "export evalai": "of complete official suites; tests/report/test_evalai.py",
    "export rf20vl": "likewise; tests/report/test_rf100vl.py",
    "export model": "traces models; tests of its own",
    "data hub": "asks other computers",
    "demo": "serves until it is stopped",
}
"""Commands of which only the words are checked, and why."""

OWN_CODE = ("my_", "text-adapter", "short")
"""Words of examples with code of the reader's own: ``tests/docs/test_contributing.py`` runs those."""


def sources() -> Iterator[tuple[str, str]]:
    """Where examples stand, and the script."""
    for path, text in EVERY.items():
        if lines := examples(text):
            yield " ".join(("odinw-bench", *path, "--help")), "\n".join(lines)
    for document in documents():
        for number, block in enumerate(blocks(document.read_text(), "bash")):
            yield f"{document.relative_to(ROOT)} block {number}", block.text


SOURCES = dict(sources())


def commands_of(script: str) -> Iterator[tuple[list[str], str]]:
    """Arguments of each call of the program, and the file that its output goes to."""
    for line in script.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        starts = [i for i, word in enumerate(words) if word.rpartition("/")[2] in ("odinw-bench", "odinw_bench")]
        for start in starts:
            rest = words[start + 1 :]
            end = next((i for i, word in enumerate(rest) if word in ("&&", ";", "|", ">", "done")), len(rest))
            target = rest[end + 1] if rest[end : end + 1] == [">"] else ""
            if rest[:end]:  # else it is what pip installs
                yield rest[:end], target


def stand_in(word: str) -> str:
    return ",".join(STAND_INS.get(part, part) for part in word.split(","))


def adapted(words: list[str]) -> list[str]:
    """A command of an example as it is run here."""
    kept = []
    for place, (before, word) in enumerate(zip(["", *words], words, strict=False)):
        if word != "--data-root" and before != "--data-root":
            kept.append(stand_in(word) if place > 1 else word)
    if words[0] == "run":
        kept += [] if "--dry-run" in kept else ["--dry-run"]
    return kept


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with what the examples name: a photo, data sets, records, a grid file."""
    folder = tmp_path_factory.mktemp("place")
    Image.effect_noise((160, 120), 90).convert("RGB").save(folder / "photo.jpg")
    (folder / "photos").mkdir()
    (folder / "more" / "of").mkdir(parents=True)
    for name in ("photos/1.jpg", "more/of/2.jpg", "new.jpg"):
        shutil.copy(folder / "photo.jpg", folder / name)
    write_video(folder / "dive.mp4", [Image.new("RGB", (96, 64), "green")] * 8)
    (folder / "grid.yaml").write_text("model: glip-nano\ndataset: [aquarium]\n")
    (folder / "attributes.yaml").write_text("fish: {suffix: ', which is small'}\n")
    (folder / "grids").symlink_to(ROOT / "grids")
    write_suite(folder / "drawn", ["aquarium"])
    for name in ("my/coco/folder", "my/yolo/folder", "my/folder", "my/data", "my/pictures"):
        shutil.copytree(folder / "drawn" / "aquarium", folder / name)
    quick = {"epochs": 1, "repeats_per_epoch": 1, "min_steps_per_epoch": 1}
    for model, dataset, mode, shots in (
        ("glip-nano", "aquarium", "prompt", 5),
        ("glip-nano", "aquarium", "lora", 5),
        ("glip-nano", "aquarium", "zero-shot", 0),
        ("glip-nano", "aquarium", "manual", 0),
        ("dyhead-nano", "aquarium", "linear", 5),
        ("glip-nano", "raccoon", "prompt", 1),
    ):
        spec = RunSpec(model=model, dataset=dataset, mode=mode, shots=shots, seed=3, overrides=quick if shots else {})
        record = run(spec, folder / "results", device="cpu")
        for name in ("full-5shot-seed3-1a2b3c4d", "prompt-5shot-seed3-1a2b3c4d") if mode == "prompt" else ():
            for owner in ("glip-nano", "glip-t"):
                shutil.copytree(record.folder, folder / "results" / "odinw13" / owner / dataset / name)
            if dataset == "aquarium":
                shutil.copytree(record.folder, folder / "results" / "custom" / "glip-t" / "pictures" / name)
    return folder


@pytest.mark.parametrize("source", SOURCES)
def test_examples_run(source, place, tmp_path, cli, monkeypatch):
    here = tmp_path / "here"
    shutil.copytree(place, here, symlinks=True)
    monkeypatch.chdir(here)
    for words, target in commands_of(SOURCES[source]):
        _parse(list(words))
        what = f"{source}: odinw-bench {' '.join(words)}"
        if "--help" in words or any(any(own in word for own in (*OWN_CODE, "...", "$")) for word in words):
            continue
        if any(" ".join(words).startswith(verb) for verb in PARSED):
            continue
        if words[:2] == ["data", "convert"]:
            shutil.rmtree(here / words[-1], ignore_errors=True)
        answer = cli(*adapted(words))
        assert answer.code == 0, f"{what}\n{answer.err}"
        if target:
            (here / target).write_text(answer.out)
