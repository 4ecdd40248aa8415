"""Records in, a folder of files out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glip_core.errors import InputError
from odinw_bench.report.analysis import fusion_section
from odinw_bench.report.averages import Suite, split_suites
from odinw_bench.report.coverage import failed_section, missing_section, notes_section, provenance_section
from odinw_bench.report.document import Gallery, Report, Section
from odinw_bench.report.evaluations import evaluation_sections
from odinw_bench.report.gallery import gallery
from odinw_bench.report.load import load_runs
from odinw_bench.report.markup import to_csv, to_latex, to_markdown
from odinw_bench.report.others import check_profile, find_content
from odinw_bench.report.page import to_html
from odinw_bench.report.paper import paper_section
from odinw_bench.report.published import with_published_prompts
from odinw_bench.report.searches import find_searches, search_section
from odinw_bench.report.sections import SECTIONS, SuiteSection, added_sections
from odinw_bench.report.state_of_the_art import PAGE as PUBLISHED_PAGE
from odinw_bench.report.state_of_the_art import published_page
from odinw_bench.report.tables import dataset_section, is_single
from odinw_bench.utils.garbage import rarely_collected
from odinw_bench.utils.io import stays_inside, write_bytes
from odinw_bench.utils.scratch import clear_scratch
from odinw_bench.utils.text import shorten, slug

PAGE = "report.html"
PASSED_OVER = "passed over "
"""How the notes begin of records that no table has."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class ReportSettings:
    """What a report is made from.

    Attributes:
        results: folder of the records.
        out: folder to write to.
        title: heading.
        pictures: of each data set's gallery, worst and best each; 0: no gallery.
        data_root: folder of the official data, for the gallery.
        data: folders of the user's own data sets, for the gallery.
        sections: further sections of each suite, as ``PACKAGE.MODULE:FUNCTION``; see
            :mod:`odinw_bench.report.sections`.
    """

    results: Path
    out: Path
    title: str = "ODinW benchmark report"
    pictures: int = 2
    data_root: Path | None = None
    data: Sequence[Path] = field(default_factory=tuple)
    sections: Sequence[str] = ()


@rarely_collected()
def build_report(settings: ReportSettings, say: Say = lambda _: None) -> list[Path]:
    """Write ``report.md``, ``report.html``, ``tables/*.tex``, ``tables/*.csv``, ``figures/*.png`` and ``*.svg``.

    With runs on the real suites also ``published.html`` and ``published.md``: what later models reach. The same
    records give the same bytes. Files of an earlier report in the folder are replaced, others stay.

    Args:
        settings: from where and where to.
        say: is given progress in words.

    Returns:
        the files written, the page first.

    Raises:
        InputError: there are no records, or a section of another package fails.
    """
    builders = [*SECTIONS, *added_sections(settings.sections)]  # first, since reading the records may take a minute
    runs = load_runs(settings.results)
    say(f"{len(runs.done) + len(runs.failed) + len(runs.others)} records")
    passed = [note.removeprefix(PASSED_OVER) for note in runs.notes if note.startswith(PASSED_OVER)]
    if passed:
        several = "s" if len(passed) > 1 else ""
        more = "; the others are listed in the report" if several else ""
        say(f"{len(passed)} record{several} passed over: {passed[0]}{more}")
    suites = [with_published_prompts(suite) for suite in split_suites(runs)]
    sections = [_suite_section(suite, builders, settings, say) for suite in suites]
    fusion = fusion_section(_profiles(settings.results, runs.notes))
    searched = search_section(find_searches(settings.results, runs.notes))
    provenance = provenance_section(runs) if suites else notes_section(runs)
    sections += [section for section in (searched, fusion, provenance) if section]
    sections += evaluation_sections(runs.others)
    paper = paper_section(runs, suites)
    sections += [paper] if paper else []
    sections.append(Section("reading", "How to read these numbers", text=_reading(suites)))
    report = Report(settings.title, [], sections)
    written = _write(report, settings.out, PAGE)
    return written + _write(published_page(), settings.out, PUBLISHED_PAGE) if _any_real(suites) else written


def _any_real(suites: Iterable[Suite]) -> bool:
    return any(suite.name in ("odinw13", "odinw35") for suite in suites)


def _reading(suites: Sequence[Suite]) -> list[str]:
    text = [
        "Made by odinw-bench from run records, and from what searches and profiles left beside them. AP is COCO's mean "
        "over IoU 0.50 to 0.95, in percent. Means are taken first over seeds, then over tasks, and say how many of "
        "each they are over."
    ]
    if any(suite.name == "mini" for suite in suites):
        text.append(
            "The suite mini is a drawn miniature: its numbers are not comparable with those of the real ODinW data."
        )
    if _any_real(suites):
        text.append(f"What later models reach by their authors' word is on a page of its own: {PUBLISHED_PAGE}.")
    return text


def _suite_section(suite: Suite, builders: Sequence[SuiteSection], settings: ReportSettings, say: Say) -> Section:
    say(f"suite {suite.name}: {len(suite.runs)} runs")
    text = [] if suite.scores else [f"{len(suite.runs)} finished runs, {len(suite.failed)} failed."]
    parts: list[Section | None] = []
    if suite.scores:
        parts += [build(suite) for build in builders]
        tasks = [dataset_section(suite, task, _gallery(suite, task, settings, say)) for task in suite.measured]
        parts += tasks if is_single(suite) else [Section(suite.key("tasks"), "Each task", children=tasks)]
    parts += [missing_section(suite), failed_section(suite)]
    return Section(
        slug(suite.name, unique=True), f"Suite {suite.name}", text=text, children=_unique([p for p in parts if p])
    )


def _unique(sections: list[Section]) -> list[Section]:
    """The sections, unless two have one key: their tables and figures would overwrite each other's files."""
    inner = [part for section in sections for part in section.walk()]
    keys = [part.key for part in inner]
    tables = [table.key for part in inner for table in part.tables]
    figures = [figure.key for part in inner for figure in part.figures]
    for kind in (keys, tables, figures):
        twice = next((key for key in kind if kind.count(key) > 1), None)
        if twice is not None:
            raise InputError(f"two parts of the report have the key '{twice}': use suite.key() with a name of your own")
    return sections


def _gallery(suite: Suite, task: str, settings: ReportSettings, say: Say) -> Gallery:
    if not settings.pictures:
        return Gallery()
    return gallery(
        suite,
        task,
        settings.results,
        count=settings.pictures,
        data_root=settings.data_root,
        data=settings.data,
        say=say,
    )


def _profiles(results: Path, notes: list[str]) -> list[dict[str, Any]]:
    """What ``odinw-bench profile`` left below the results folder."""
    found = find_content(results, "**/profile*.json", "profile", check_profile, notes)
    return [row for content in found for row in content["measured"]]


def _write(report: Report, out: Path, page: str) -> list[Path]:
    """Write a page, the same as Markdown, its tables and figures.

    Raises:
        InputError: the key of a table or figure would lead out of the folder; nothing is written then.
    """
    files: dict[str, str | bytes] = {page: to_html(report), f"{Path(page).stem}.md": to_markdown(report, page)}
    for section in report.walk():
        for table in section.tables:
            files |= {f"tables/{table.key}.tex": to_latex(table), f"tables/{table.key}.csv": to_csv(table)}
        for figure in section.figures:
            files |= {f"figures/{figure.key}.png": figure.png, f"figures/{figure.key}.svg": figure.svg}
    outside = next((name for name in files if not stays_inside(name)), None)
    if outside is not None:
        raise InputError(f"a part of the report would be written outside '{out}', as {shorten(outside)}")
    for name, content in files.items():
        write_bytes(out / name, content if isinstance(content, bytes) else content.encode())
    for folder in {(out / name).parent for name in files}:
        clear_scratch(folder)
    return [out / name for name in files]
