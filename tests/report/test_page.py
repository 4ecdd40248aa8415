"""The page in a real browser: headless Chromium, with a fresh profile, driven by Playwright."""

from __future__ import annotations

from itertools import pairwise

import pytest

from odinw_bench.report import ReportSettings, build_report

pytestmark = pytest.mark.integration

WIDTHS = (390, 768, 1440)


@pytest.fixture(scope="module")
def address(grid, tmp_path_factory):
    """Where the page lies."""
    out = tmp_path_factory.mktemp("page")
    return build_report(ReportSettings(grid, out, pictures=1))[0].resolve().as_uri()


@pytest.fixture
def visit(browser, address):
    """Open the page; afterwards nothing may have been complained about, and nothing asked of any network."""
    complaints, contexts = [], []

    def open_page(width=1440, scheme="light", anchor="", unfolded=True):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on(
            "request",
            lambda request: (
                complaints.append(f"request: {request.url[:80]}")
                if not request.url.startswith(("data:", address))
                else None
            ),
        )
        page.goto(address + anchor)
        if unfolded:
            page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def column(page, table, index):
    """The texts of a column, rows that are shown only."""
    return page.eval_on_selector_all(
        f'[data-table="{table}"] tbody tr:not([hidden])', f"rows => rows.map(row => row.cells[{index}].textContent)"
    )


def test_tables_sort_by_click_and_by_key(visit):
    page = visit()
    table = "mini-headline"
    start = column(page, table, 3)
    head = page.locator(f'[data-table="{table}"] thead th').nth(3)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    found = [float(text) for text in column(page, table, 3)]
    assert found == sorted(map(float, start), reverse=True)
    assert found != [float(text) for text in start]
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert [float(text) for text in column(page, table, 3)] == sorted(map(float, start))
    name = page.locator(f'[data-table="{table}"] thead th').nth(0)
    name.get_by_role("button").click()
    assert head.get_attribute("aria-sort") is None
    assert column(page, table, 0) == sorted(column(page, table, 0))


def test_what_was_not_measured_stays_last(visit):
    page = visit()
    heads = page.locator('[data-table="mini-datasets"] thead th')
    packages = heads.all_inner_texts().index("packages")
    for _ in range(2):
        heads.nth(packages).get_by_role("button").click()
        texts = column(page, "mini-datasets", packages)
        assert texts.index("–") == len(texts) - texts.count("–")


def test_tables_filter_by_all_words(visit):
    page = visit()
    holder = page.locator('[data-table="mini-headline"]')
    rows = len(column(page, "mini-headline", 0))
    holder.get_by_label("Filter rows").fill("GLIP-NANO-A prompt")
    assert set(column(page, "mini-headline", 0)) == {"glip-nano-a"}
    assert set(column(page, "mini-headline", 1)) == {"prompt"}
    assert holder.get_by_role("status").inner_text() == f"2 of {rows} rows"
    holder.get_by_label("Filter rows").fill("no such thing")
    assert column(page, "mini-headline", 0) == []
    holder.get_by_label("Filter rows").fill("")
    assert holder.get_by_role("status").inner_text() == f"{rows} rows"


def brightness(page):
    """0 to 255 of the page's background."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in colour[4:-1].split(",")) / 3


def test_dark_is_the_systems_choice_and_then_the_readers(visit):
    page = visit(scheme="dark")
    assert brightness(page) < 60
    page.get_by_role("button", name="Use light colours").click()
    assert brightness(page) > 200
    page.reload()
    assert brightness(page) > 200  # remembered
    page.get_by_role("button", name="Use dark colours").click()
    assert brightness(page) < 60
    page.emulate_media(media="print", color_scheme="dark")
    assert brightness(page) > 200
    light = visit(scheme="light")
    assert brightness(light) > 200


CUT_OFF = """() => {
  const bad = [];
  for (const element of document.querySelectorAll("body *")) {
    const style = getComputedStyle(element);
    if (style.display === "none" || style.visibility === "hidden" || element.closest("svg, caption, .skip")) continue;
    const clips = ["hidden", "clip"].includes(style.overflowX) || ["hidden", "clip"].includes(style.overflowY);
    if (clips && (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1)) {
      bad.push(`clipped: ${element.tagName} ${element.className}`);
    }
    if (!element.closest(".scroll") && element.getBoundingClientRect().right > innerWidth + 1) {
      bad.push(`beyond the edge: ${element.tagName} ${element.className} ${element.textContent.slice(0, 40)}`);
    }
  }
  if (innerWidth >= 1440) {
    for (const one of document.querySelectorAll(".scroll")) {
      if (one.scrollWidth > one.clientWidth + 1) bad.push(`wider than the page: ${one.getAttribute("aria-label")}`);
    }
  }
  for (const cell of document.querySelectorAll("td, th")) {
    if (cell.scrollWidth > cell.clientWidth + 1) bad.push(`cell: ${cell.textContent.slice(0, 60)}`);
  }
  for (const svg of document.querySelectorAll(".panel svg")) {
    const frame = svg.getBoundingClientRect();
    for (const part of svg.querySelectorAll("[id*=text_]")) {
      const box = part.getBoundingClientRect();
      if (box.right > frame.right + 1 || box.left < frame.left - 1 || box.bottom > frame.bottom + 1) {
        bad.push(`figure: ${part.id}`);
      }
    }
  }
  return bad;
}"""


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_and_the_page_does_not_scroll_sideways(visit, width, scheme):
    page = visit(width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT_OFF) == []


CONTRAST = """() => {
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour, below) => {
    paint.fillStyle = `rgb(${below.join(",")})`; paint.fillRect(0, 0, 1, 1);
    paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const behind = (element) =>
    element ? rgb(getComputedStyle(element).backgroundColor, behind(element.parentElement)) : [255, 255, 255];
  const light = (parts) => {
    const [r, g, b] = parts.map((v) => (v <= 10.3 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const bad = [];
  const texts = "p, td, th button, h1, h2, h3, h4, a:not(.here), button, figcaption, label";
  for (const element of document.querySelectorAll(texts)) {
    if (element.closest("svg, .skip") || !element.textContent.trim()) continue;
    const ground = behind(element);
    const two = [light(ground), light(rgb(getComputedStyle(element).color, ground))].sort((a, b) => b - a);
    const ratio = (two[0] + 0.05) / (two[1] + 0.05);
    if (ratio < 4.5) bad.push(`${ratio.toFixed(1)} ${element.tagName} ${element.textContent.slice(0, 30)}`);
  }
  return bad;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(visit, scheme):
    assert visit(scheme=scheme).evaluate(CONTRAST) == []


def test_a_task_can_be_linked_to_and_reached_by_keyboard(visit):
    page = visit(anchor="#mini-task-packages", unfolded=False)
    assert page.locator("#mini-task-packages > details").get_attribute("open") is not None
    assert page.locator("#mini-task-aquarium > details").get_attribute("open") is None
    box = page.locator("#mini-task-packages").bounding_box()
    assert -5 <= box["y"] < 900
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#content"
    scrolled = page.locator('.scroll[aria-label^="Aquarium"]')
    assert scrolled.get_attribute("tabindex") == "0"
    cell = page.locator('[data-table="mini-datasets"] td a').first
    target = cell.get_attribute("href")
    cell.click()
    assert page.evaluate("location.hash") == target


def test_pictures_say_what_they_show(visit):
    page = visit()
    unnamed = "images => images.filter(one => !(one.getAttribute('aria-label') || '').trim()).length"
    assert page.eval_on_selector_all("[role=img]", "images => images.length") >= 3 + 8
    assert page.eval_on_selector_all("[role=img]", unnamed) == 0
    pairs = page.locator("#mini-task-aquarium .pair")
    assert [text.split(":")[0] for text in pairs.locator("figcaption").all_inner_texts()] == ["worst", "best"]
    assert "ground truth: " in pairs.first.locator("svg").first.get_attribute("aria-label")
    both = pairs.first.locator("svg").evaluate_all(
        "all => all.map(svg => [...svg.querySelectorAll('image, use')].map(one => one.getBBox().width)[0])"
    )
    assert both == [160, 160]  # the detections' picture is the same one, drawn again
    assert pairs.first.locator("rect.bad").count() > 0


def test_print_shows_whole_tables_and_no_controls(visit):
    page = visit()
    page.emulate_media(media="print")
    shown = "all => all.filter(one => getComputedStyle(one).display !== 'none').length"
    assert page.eval_on_selector_all("nav, #theme, .filter", shown) == 0
    scrolling = "all => all.filter(one => getComputedStyle(one).overflowY !== 'visible').length"
    assert page.eval_on_selector_all(".scroll", scrolling) == 0


OVERLAPS = """(selector) => {
  const bad = [];
  for (const svg of document.querySelectorAll(selector)) {
    const texts = [...svg.querySelectorAll("text, g[id*=-text_]")];
    const boxes = texts.map((one) => one.getBoundingClientRect()).filter((one) => one.width && one.height);
    const frame = svg.getBoundingClientRect();
    boxes.forEach((a, i) => {
      const inside = a.left >= frame.left - 1 && a.right <= frame.right + 1;
      if (!inside || a.top < frame.top - 1 || a.bottom > frame.bottom + 1) {
        bad.push(`beyond the picture: ${texts[i].textContent.trim()}`);
      }
      for (const b of boxes.slice(i + 1)) {
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > 1 && down > 1) bad.push(`overlap in ${svg.ariaLabel}`);
      }
    });
  }
  return bad;
}"""


@pytest.mark.parametrize("width", WIDTHS)
def test_labels_in_pictures_and_figures_do_not_overlap(visit, width):
    page = visit(width)
    assert page.locator(".sides text").count() > 4
    assert page.evaluate(OVERLAPS, ".sides svg") == []
    assert page.evaluate(OVERLAPS, ".panel svg") == []


@pytest.mark.parametrize("width", WIDTHS)
def test_the_first_screen_answers_with_numbers(visit, width):
    page = visit(width, unfolded=False)
    page.set_viewport_size({"width": width, "height": 844})
    cells = page.locator('[data-table="mini-conclusion"] tbody tr').first.locator("th, td")
    for place in range(4):  # images, way, AP, interval
        box = cells.nth(place).bounding_box()
        assert box["y"] + box["height"] < 844
        assert box["x"] + box["width"] <= width
    assert float(cells.nth(2).inner_text().split()[-1])


def test_the_first_column_and_the_headings_stay_in_place(visit):
    page = visit(390)
    holder = page.locator('.scroll[aria-label^="AP in percent"]')
    holder.scroll_into_view_if_needed()
    holder.evaluate("one => { one.scrollLeft = 300; one.scrollTop = 60; }")
    frame, name = holder.bounding_box(), holder.locator("tbody th").nth(4).bounding_box()
    assert abs(name["x"] - frame["x"]) <= 2
    head = holder.locator("thead th").first.bounding_box()
    assert abs(head["x"] - frame["x"]) <= 2
    assert abs(head["y"] - frame["y"]) <= 2


def test_details_are_folded_and_open_by_key(visit):
    page = visit(unfolded=False)
    assert page.locator("main details[open]").count() == 0
    assert page.locator("main details").count() > 5
    summary = page.locator("#mini-ladder summary")
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator("#mini-ladder table").is_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_roles_are_those_of_a_table_in_order(visit, width):
    page = visit(width)
    table = page.get_by_role("table", name="What to use")
    assert table.get_by_role("rowheader").count() == table.locator("tbody tr").count()
    levels = page.eval_on_selector_all("h1, h2, h3, h4, h5", "all => all.map(one => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    order = page.evaluate("[...document.querySelectorAll('header, nav, main')].map(one => one.tagName)")
    assert order == ["HEADER", "NAV", "MAIN"]
    titles = page.locator("main h3").all_inner_texts()
    assert titles[0].startswith("Conclusion")
