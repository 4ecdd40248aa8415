"""The files around the code agree with each other."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml

import odinw_bench
from tests.docs.blocks import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
YAML = [
    *sorted((ROOT / ".github").rglob("*.yml")),
    ROOT / "CITATION.cff",
    ROOT / ".pre-commit-config.yaml",
]


def test_one_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert {PROJECT["version"], odinw_bench.__version__, str(citation["version"]), newest[1]} == {PROJECT["version"]}


@pytest.mark.parametrize("file", YAML, ids=lambda file: file.name)
def test_project_files_are_yaml(file):
    assert isinstance(yaml.safe_load(file.read_text()), dict)


def test_all_is_every_extra_of_users():
    extras = PROJECT["optional-dependencies"]
    (listed,) = extras["all"]
    assert set(re.findall(r"[\w-]+", listed.split("[")[1])) == set(extras) - {"all", "dev"}
    page = (ROOT / "docs/start.md").read_text()
    rows = re.findall(r"^\| ((?:`\w+` )+)\|", page, re.MULTILINE)
    assert set(re.findall(r"\w+", " ".join(rows))) >= set(extras) - {"dev"}
