"""Report sections of other packages."""

from __future__ import annotations

import pytest

from odinw_bench.report import Section
from tests.report import made


def nothing(suite):
    return None


def broken(suite):
    return suite.no_such_thing


def no_section(suite):
    return "text"


def taken(suite):
    return Section(suite.key("headline"), "Another headline")


NOT_A_FUNCTION = 3


@pytest.fixture
def report(tmp_path, cli):
    made.write_drawn(tmp_path / "results", 0.5)

    def call(section: str):
        out = tmp_path / "out"
        return cli("report", "--results", tmp_path / "results", "--out", out, "--pictures", 0, "--section", section)

    return call


def test_a_section_may_have_nothing_to_show(report):
    assert report(f"{__name__}:nothing").code == 0


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("broken", "failed: AttributeError"),
        ("no_section", "must return a Section or None, not str"),
        ("taken", "two parts of the report have the key 'mini-headline'"),
        ("NOT_A_FUNCTION", "is not a function of a suite"),
        ("missing", "cannot be imported"),
    ],
)
def test_unusable_sections_are_refused_in_one_line(report, target, message):
    answer = report(f"{__name__}:{target}")
    assert answer.code == 2
    assert message in answer.err.splitlines()[-1]
    assert "Traceback" not in answer.err


def test_a_section_must_be_named_with_its_module(report):
    assert "PACKAGE.MODULE:NAME" in report("worst").refused()
