"""The page of a run in a real browser: opened from disk, without a network."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import sync_playwright

from seatrial.perf.cli.bench import add_parser

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
EVIL = "<img src=x onerror=\"document.title='bad'\">"
#: One timeout for what may hang because of a defect.
TIMEOUT_MS = 10_000

OpenPage = Callable[..., "Page"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The first browser of this machine."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.fail("no browser: `make browser` installs one")
    with sync_playwright() as playwright:
        # Root has no other way; nothing but our page is ever opened.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def document(usual: Any, tmp_path: Path) -> Path:
    """The page of a run with all sorts of trouble."""
    usual.environment |= {
        "reasons": [f"the A/A pair is apart {EVIL}"],
        "not_comparable": {"runc": f"fails the suite {EVIL}"},
        "cpu_model": EVIL,
    }
    page = tmp_path / "page.html"
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["bench", "report", str(usual.write()), "-o", str(page)])
    assert arguments.run(arguments) == 0
    return page


@pytest.fixture
def open_page(browser: Browser, document: Path) -> Iterator[OpenPage]:
    """Open the page; at the end nothing was asked of a network, and nothing was complained of."""
    contexts = []
    wrong: list[str] = []

    def open_(**options: Any) -> Page:
        context = browser.new_context(**options)
        context.set_default_timeout(TIMEOUT_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text))
        page.on("request", lambda request: _local(request.url, wrong))
        page.goto(document.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    assert wrong == []


def _local(url: str, wrong: list[str]) -> None:
    if not url.startswith("file:"):
        wrong.append(url)


def test_nothing_in_the_results_runs(open_page: OpenPage) -> None:
    page = open_page()
    assert page.title().startswith("Container start-up: <img")
    assert page.locator("img").count() == 0


def test_what_is_wrong_is_seen_at_once(open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 1200, "height": 800})
    for text in ("not publishable", "not comparable"):
        verdict = page.locator(".verdicts li.bad", has_text=text).first
        box = verdict.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 800
    rows = page.get_by_role("row").filter(has_text="NOT COMPARABLE")
    assert rows.count() > 0


def test_every_plot_has_a_name_a_description_and_its_figures(open_page: OpenPage) -> None:
    page = open_page()
    plots = page.locator("svg.plot")
    assert plots.count() >= 10
    for plot in plots.all():
        title, description = plot.locator("title").inner_html(), plot.locator("desc").inner_html()
        assert title
        assert description
        assert page.get_by_role("img", name=title).count() >= 1
        figure = page.locator("figure").filter(has=page.locator(f"#{plot.get_attribute('id')}"))
        figure.locator("summary").click()
        assert figure.locator("table").is_visible()
    identifiers = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(identifiers) == len(set(identifiers))
    assert page.evaluate(_DANGLING) == []


_DANGLING = """() => [...document.querySelectorAll("[aria-labelledby], a[href^='#']")]
  .flatMap((e) => (e.getAttribute("aria-labelledby") || e.hash.slice(1)).split(" "))
  .filter((id) => !document.getElementById(id))"""


def test_tables_are_named_and_headed(open_page: OpenPage) -> None:
    page = open_page()
    assert page.locator("table > caption").count() == page.locator("table").count()
    assert page.locator("th:not([scope])").count() == 0


# Text lies over bars and grids; those are tints of the ground, made for it.
_CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => (v /= 255) <= .03928 ? v / 12.92
    : ((v + .055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const found = rgb(getComputedStyle(e).backgroundColor);
      if (found[3] === undefined || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const bad = new Set();
  const check = (e, colour, least) => {
    const [a, b] = [light(rgb(colour)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < least) bad.add(`${e.tagName}.${e.getAttribute("class")} ${ratio.toFixed(2)}`);
  };
  for (const e of document.querySelectorAll("body *")) {
    const style = getComputedStyle(e);
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (own && e.checkVisibility()) check(e, e.closest("svg") ? style.fill : style.color, 4.5);
    if (e.matches(".curve, .whisker, .mark")) check(e, style.stroke, 3);
  }
  return [...bad];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_lines_have_contrast_in_either_scheme(open_page: OpenPage, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(20, 23, 26)") == (scheme == "dark")
    assert page.evaluate(_CONTRAST) == []  # WCAG 1.4.3 and 1.4.11


@pytest.mark.parametrize("width", [360, 700, 1300])
def test_nothing_is_wider_than_the_window(open_page: OpenPage, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


_OVERLAPS = """() => [...document.querySelectorAll("svg.plot")].flatMap((svg) => {
  const frame = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll("text")]
    .map((e) => [e.textContent, e.getBoundingClientRect()]);
  const bad = [];
  texts.forEach(([text, a], i) => {
    if (a.left < frame.left || a.right > frame.right + 1 || a.bottom > frame.bottom + 1)
      bad.push(`${svg.id}: ${text} leaves the plot`);
    for (const [other, b] of texts.slice(i + 1))
      if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4)
        bad.push(`${svg.id}: ${text} over ${other}`);
  });
  return bad;
})"""


def test_no_text_of_a_plot_covers_another_or_leaves_it(open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 1300, "height": 900})
    assert page.evaluate(_OVERLAPS) == []


def test_the_first_stop_skips_to_the_figures(open_page: OpenPage) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#figures"


def test_it_prints(open_page: OpenPage) -> None:
    page = open_page()
    assert page.pdf().startswith(b"%PDF")
