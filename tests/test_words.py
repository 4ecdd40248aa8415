"""Words that were replaced by the field's own stay away from code, messages and documents."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PLACES = (
    "odinw_bench",
    "glip_core",
    "tests",
    "tools",
    "docs",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
)
EXCEPT = (":!glip_core/data", ":!odinw_bench/metrics/*.json", ":!tests/test_words.py")  # word lists and quotations

REPLACED = {
    r"\b(un)?luck(y|ily)?\b": "shuffled-label control",
    r"\btold\b": "reported, called with",
    r"\banew\b": "again, recreated",
    r"\b(held|holds?) against\b": "compared with",
    r"\bdetectors? of (others|other people)\b": "third-party detectors",
    r"\bTeam\b": "distributed context",
    r"(?i)\bportions?\b": "micro-batches, blocks",
    r"\bHowToRun\b": "run options",
    r"\bclass Means\b": "run options",
    r"\breport[./]means\b": "averages",
    r"\b(Work|work)\.do\b": "tune_and_test",
    r"\bPatience\b": "EarlyStopping",
    r"(?i)\b_?judg(e|es|ing)\b": "update, evaluate",
    r"(?i)\btuned values\b": "trainable parameters",
    r"(?i)\b(what|values|parameters|biases|weights|that) (move|moves|moved|are moving)\b": "are trained, trainable",
    r"\b(is_)?moving\b(?! the | data)": "trainable",
    r"\b(copies|clip)=|[\"'](copies|clip)[\"']|\.copies\b": "repeats_per_epoch, max_grad_norm",
    r"\b(class (View|Loaded)|(View|Loaded)\()": "ImageRequest, PreparedImage",
    r"\bclass (Other)?Claimed?Run\b|\breport[./]claims?\b": "external run",
    r"\b(pooled|reread)\b": "global_avg_pool, reinterpret_offsets",
    r"\bmend(s|ed|able)?\b": "fix, correct",
    "(goes|gone) on (with|from|where)": "resumes",
}
IN_THE_CORE = {r"\b_?(larger|shares)\b *[(=]": "maximum_low_memory, weights"}
ALLOWED = (  # keys and options of earlier versions, still read, and where the CHANGELOG says what became of them
    "`tuned values` is called",
    'search.get("luck")',
    '("shuffled_control", "luck")',
    '"--luck',
    '"--no-luck',
    'RECORDED: Mapping[str, str] = {"repeats_per_epoch": "copies", "max_grad_norm": "clip"}',
    'old, new = {"copies": 3, "clip": 0.5}',
    'overrides={"copies": repeats}',
    '["hidden", "clip"]',  # a style of CSS
)


def found(pattern: str, *places: str) -> list[str]:
    """The lines with a pattern that have no reason to."""
    command = ["git", "grep", "-nIP", pattern, "--", *places, *EXCEPT]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        pytest.skip("needs a checkout and its git")
    return [line for line in done.stdout.splitlines() if not any(text in line for text in ALLOWED)]


@pytest.mark.parametrize("pattern", REPLACED)
def test_replaced_words_stay_away(pattern: str) -> None:
    assert not (lines := found(pattern, *PLACES)), f"write '{REPLACED[pattern]}' instead: {lines}"


@pytest.mark.parametrize("pattern", IN_THE_CORE)
def test_replaced_names_of_the_core_stay_away(pattern: str) -> None:
    assert not (lines := found(pattern, "glip_core")), f"write '{IN_THE_CORE[pattern]}' instead: {lines}"
