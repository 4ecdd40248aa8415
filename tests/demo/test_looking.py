"""What the demo shows: prompts side by side, with and without attributes, and tuned runs."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from glip_core.errors import InputError
from odinw_bench.demo import Detectors, looking, what_words_add, with_prompts
from odinw_bench.demo.page import _ELSEWHERE, table_of
from odinw_bench.mini.suite import render_split

RACCOON = "raccoon, which is gray and striped and ring shaped"


@pytest.fixture(scope="module")
def photo():
    annotations, picture = render_split("raccoon", "test")
    return picture(annotations["images"][0]["file_name"])


@pytest.fixture(scope="module")
def detectors():
    return Detectors()


def test_prompts_side_by_side(detectors, photo):
    first, second = with_prompts(detectors, "glip-nano", photo, f"{RACCOON}\nfish. raccoon\n", 0.3)
    assert (first.caption, second.caption) == (RACCOON, "fish. raccoon")
    assert set(first.found.names) == {"raccoon"}
    assert first.picture.width >= photo.width
    assert "<td>raccoon</td>" in table_of([first, second])


def test_what_words_add(detectors, photo):
    with_words, alone = what_words_add(detectors, "glip-nano", photo, RACCOON, 0.3)
    assert len(with_words.found) > len(alone.found)
    with pytest.raises(InputError, match="no attributes"):
        what_words_add(detectors, "glip-nano", photo, "raccoon", 0.3)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("glip-nano", "", "say what to look for"),
        ("glip-nano", "a\nb\nc\nd\ne", "at most 4"),
        ("gone", "fish", "no detector 'gone'"),
    ],
)
def test_bad_input(detectors, photo, name, text, message):
    with pytest.raises(InputError, match=message):
        with_prompts(detectors, name, photo, text, 0.3)


def test_a_tuned_run_brings_its_prompt(photo, tmp_path):
    from odinw_bench import RunSpec, run

    run(
        RunSpec(
            dataset="raccoon",
            mode="prompt",
            shots=1,
            overrides={"epochs": 1, "repeats_per_epoch": 8, "min_steps_per_epoch": 1},
        ),
        results=tmp_path,
    )
    found = Detectors.of("glip-nano", None, "cpu", tmp_path)
    (_, tuned) = found.names
    (shown,) = with_prompts(found, tuned, photo, "", 0.0)
    assert shown.found.classes == ("raccoon",)


def test_one_look_at_a_time(photo, monkeypatch):
    """A prompt of one's own takes the tuned one off the model that others look with, too."""
    inside, most = [], []
    second = threading.Event()

    def predict(picture, prompt):
        inside.append(prompt)
        most.append(len(inside))
        second.wait(0.1) if len(inside) == 1 else second.set()
        inside.pop()

    loads = []
    monkeypatch.setattr(looking, "load_run", lambda *run: loads.append(run) or SimpleNamespace(predict=predict))
    detectors = Detectors(runs={"tuned": Path("tuned")})
    threads = [threading.Thread(target=detectors.detect, args=("tuned", photo, None)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, len(loads)) == ([1, 1, 1], 1)


def test_unusable_settings(tmp_path):
    with pytest.raises(InputError, match="reads no prompts"):
        Detectors.of("dyhead-nano", None, "cpu", None)
    with pytest.raises(InputError, match="not found"):
        Detectors.of("glip-nano", None, "cpu", tmp_path / "none")


def test_names_are_no_markup(detectors, photo):
    (shown,) = with_prompts(detectors, "glip-nano", photo, "<b>x</b>", 0.9)
    assert "<b>" not in table_of([shown])


def test_tags_that_ask_other_servers_go():
    page = (
        '<link rel="preconnect" href="https://fonts.example" /><script async src="https://cdn.example/a.js"></script>'
    )
    kept = '<script src="./assets/a.js"></script><a href="https://example.org">link</a>'
    assert _ELSEWHERE.sub("", page + kept) == kept
