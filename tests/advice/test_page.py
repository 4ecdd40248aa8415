"""The answer's page in a real browser: nothing overlaps, nothing is cut off, and nothing is asked of any network."""

from __future__ import annotations

from itertools import pairwise

import pytest

from odinw_bench.advice.page import to_html
from tests.advice.made import LONG, answer
from tests.report.test_page import CUT_OFF, OVERLAPS

pytestmark = pytest.mark.integration

WIDTHS = (390, 768, 1440)

BLOCKS_OVERLAP = """() => {
  const bad = [];
  for (const holder of document.querySelectorAll("main, .two, .pictures, dl, .answer, figure")) {
    const parts = [...holder.children].filter((one) => one.getBoundingClientRect().height);
    const boxes = parts.map((one) => one.getBoundingClientRect());
    boxes.forEach((a, i) => {
      boxes.slice(i + 1).forEach((b, j) => {
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > 1 && down > 1) bad.push(`${parts[i].tagName} and ${parts[i + 1 + j].tagName}`);
      });
    });
  }
  return bad;
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where the page lies."""
    folder = tmp_path_factory.mktemp("advice")
    page = folder / "advice.html"
    page.write_text(to_html(answer(folder)), encoding="utf-8")
    return page.as_uri()


@pytest.fixture
def visit(browser, address):
    """Open the page; afterwards nothing may have been complained about, and nothing asked of any network."""
    complaints, contexts = [], []

    def open_page(width, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on(
            "request",
            lambda r: None if r.url.startswith(("data:", address)) else complaints.append(f"request: {r.url[:80]}"),
        )
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_and_nothing_overlaps(visit, width, scheme):
    page = visit(width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT_OFF) == []
    assert page.locator(".two svg text").count() >= 5
    assert page.evaluate(OVERLAPS, ".two svg") == []
    assert page.evaluate(BLOCKS_OVERLAP) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_the_first_screen_answers(visit, width):
    page = visit(width)
    for text in ("full", "Expect an AP of 61.5"):
        box = page.get_by_text(text, exact=False).first.bounding_box()
        assert box["y"] + box["height"] < 844


@pytest.mark.parametrize("width", WIDTHS)
def test_roles_are_in_order(visit, width):
    page = visit(width)
    levels = page.eval_on_selector_all("h1, h2, h3", "all => all.map(one => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    titles = page.locator("h2").all_inner_texts()
    assert titles.index("What was compared") < titles.index("Which words of the prompt earn their place")
    assert page.get_by_role("main").count() == 1
    tables = page.get_by_role("table")
    for number in range(tables.count()):
        assert tables.nth(number).get_by_role("columnheader").count() >= 2
    assert page.get_by_role("rowheader", name=f"{LONG} 0").count() == 1
    unnamed = "all => all.filter(one => !(one.getAttribute('aria-label') || '').trim()).length"
    assert page.get_by_role("img").count() == 1 + 4
    assert page.eval_on_selector_all("[role=img], [role=region]", unnamed) == 0


def test_the_wide_table_is_scrolled_by_key(visit):
    page = visit(390)
    region = page.get_by_role("region", name="What was compared")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "What was compared"
    before = region.evaluate("one => one.scrollLeft")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("before => document.querySelector('.scroll').scrollLeft > before", arg=before)
    frame, name = region.bounding_box(), region.get_by_role("rowheader").nth(1).bounding_box()
    assert abs(name["x"] - frame["x"]) <= 2  # the way's name stays in place
