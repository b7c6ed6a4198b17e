"""The page in a real browser: opened from disk, without a network, by mouse and by keyboard."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect, sync_playwright

from seatrial.conformance.cli.main import main
from seatrial.conformance.registry import Registry, requirements_directory
from seatrial.conformance.results import Writer
from seatrial.conformance.verdicts import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

KILL = "runtime.kill.delivers-signal"
DELETE = "runtime.delete.not-stopped-errors"
CREATE = "runtime.create.missing-id-errors"
EVIL = "</script><script>document.title='bad'</script><img src=x onerror=\"document.title='bad'\">"
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
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


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two runtimes: the first fails alone, both fail, both pass, all sorts of words."""
    folder = tmp_path_factory.mktemp("page")
    hostname = _row("config.hostname")
    _write(
        folder / "one",
        "first",
        _verdict("first", (KILL,), "fail", kind="ignored", message=EVIL, evidence=EVIL,
                 config={"hostname": EVIL}, commands=(f"first kill {EVIL}",), reproduce="pytest x"),
        _verdict("first", (DELETE,), "fail", kind="wrong", message="no"),
        _verdict("first", (CREATE,), "pass"),
        _verdict("first", (hostname,), "skip", evidence="no such namespace"),
    )  # fmt: skip
    _write(
        folder / "two",
        "second",
        _verdict("second", (KILL,), "pass"),
        _verdict("second", (DELETE,), "fail", kind="crashed", message="SIGSEGV"),
        _verdict("second", (CREATE,), "pass"),
        _verdict("second", (hostname,), "note", notes=("as seen",)),
    )
    page = folder / "page.html"
    assert main(["report", "html", str(folder / "one"), str(folder / "two"), "-o", str(page)]) == 0
    return page


def _row(prefix: str) -> str:
    return Registry.load(requirements_directory()).select(prefix)[0].id


def _verdict(runtime: str, requirements: tuple[str, ...], status: Any, **members: Any) -> Verdict:
    return Verdict(f"a.py::test_x[{runtime}]", runtime, requirements, status, **members)


def _write(path: Path, name: str, *verdicts: Verdict) -> None:
    writer = Writer(path)
    runtime = {
        "name": name,
        "path": f"/bin/{EVIL}",
        "version": "1",
        "sha256": "0" * 64,
        "view": "host",
        "config_version": "1.3.0",
    }
    writer.header(spec="1.3.0", runtimes=[runtime], environment={"kernel": EVIL, "uid": 0})
    for verdict in verdicts:
        writer.verdict(verdict)
    writer.footer(exit_status=1, complete=True)


@pytest.fixture
def open_page(browser: Browser, report: Path) -> Iterator[OpenPage]:
    """Open the page; at the end nothing was asked of a network, and no script went wrong."""
    contexts = []
    wrong: list[str] = []

    def open_(fragment: str = "", *, tidy: bool = True, **options: Any) -> Page:
        context = browser.new_context(**options)
        context.set_default_timeout(TIMEOUT_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        if tidy:
            page.on("console", lambda message: wrong.append(message.text))
        page.on("request", lambda request: _local(request.url, wrong))
        page.goto(f"{report.as_uri()}{fragment}")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert wrong == []


def _local(url: str, wrong: list[str]) -> None:
    if not url.startswith("file:"):
        wrong.append(url)


def shown(page: Page) -> list[str]:
    """The requirements that can be seen."""
    found: list[str] = page.locator("tr.line:visible").evaluate_all("l => l.map(e => e.id)")
    return found


def focused(page: Page) -> str:
    """Where the focus leads to, or its id."""
    found: str = page.evaluate(
        "(e => e.getAttribute('href') || e.id || e.tagName)(document.activeElement)"
    )
    return found


# What it shows


def test_all_requirements_are_there_at_first(open_page: OpenPage) -> None:
    page = open_page()
    assert len(shown(page)) == page.locator("tr.line").count() > 600
    assert page.locator("#shown").inner_text().split(" of ")[0] == str(len(shown(page)))
    cells = page.locator(f"tr[id='{KILL}'] td.cell")
    assert [text.split() for text in cells.all_inner_texts()] == [
        ["✗", "fail", "ignored"],
        ["✓", "pass"],
    ]


def test_nothing_in_the_results_runs(open_page: OpenPage) -> None:
    page = open_page(f"#detail-{KILL}-0", tidy=False)
    assert page.title() == "Sea trial: first 1, second 1"
    assert page.locator("img").count() == 0
    got = page.locator("#panel .verdict").first
    assert EVIL in got.inner_text()
    # Even if it were markup, no script but ours is let run, and the console says so.
    page.evaluate("document.querySelector('h1').innerHTML = '<img src=x onerror=\"window.ran=1\">'")
    ran = page.evaluate("new Promise(r => setTimeout(() => r(window.ran), 50))")
    assert ran is None


# Filters


def choose(page: Page, preset: str) -> list[str]:
    page.select_option("#preset", preset)
    return shown(page)


def test_presets(open_page: OpenPage) -> None:
    page = open_page()
    hostname = _row("config.hostname")
    everything = shown(page)
    assert set(choose(page, "differs")) == {KILL, hostname}
    assert choose(page, "lonely") == [KILL]
    assert choose(page, "lonely-0") == [KILL]
    assert choose(page, "lonely-1") == []
    assert page.locator("#nothing").is_visible()
    assert set(choose(page, "failing")) == {KILL, DELETE}
    assert set(choose(page, "unjudged")) == set(everything) - {KILL, DELETE, CREATE, hostname}
    page.get_by_role("button", name="show all").first.click()
    expect(page.locator("tr.line[hidden]")).to_have_count(0)
    assert shown(page) == everything


def test_levels_and_statuses_narrow(open_page: OpenPage) -> None:
    page = open_page()
    page.check("input[name=status][value=skip]")
    assert shown(page) == [_row("config.hostname")]
    page.check("input[name=status][value=fail]")
    assert set(shown(page)) == {_row("config.hostname"), KILL, DELETE}
    page.uncheck("input[name=status][value=skip]")
    page.check("input[name=level][value=SHOULD]")
    assert shown(page) == []
    page.check("input[name=level][value=MUST]")
    assert set(shown(page)) == {KILL, DELETE}
    assert page.locator("#shown").inner_text().startswith("2 of ")
    documents = page.locator(".contents li:visible").all_inner_texts()
    assert documents == ["runtime.md"]


def test_search_looks_at_ids_clauses_and_sections(open_page: OpenPage) -> None:
    page = open_page()
    page.keyboard.press("/")
    page.keyboard.type("KILL delivers")
    assert shown(page) == [KILL]
    page.fill("#search", "runtime.md#kill")
    assert KILL in shown(page)
    assert DELETE not in shown(page)
    page.fill("#search", "no such requirement")
    assert shown(page) == []
    page.click("#all")
    expect(page.locator("tr.line[hidden]")).to_have_count(0)
    assert focused(page) == "search"


# Details


def test_a_detail_has_the_evidence(open_page: OpenPage) -> None:
    page = open_page()
    page.click(f"tr[id='{KILL}'] td.cell a >> nth=0")
    panel = page.locator("#panel")
    assert panel.is_visible()
    text = panel.inner_text()
    for each in ("first kill", "expected", "got", "pytest x", "ignored", EVIL):
        assert each in text
    assert panel.locator("a[href*='/blob/v1.3.0/runtime.md#kill']").is_visible()
    config = panel.locator("details", has_text="config.json")
    assert not config.locator("pre").is_visible()
    config.locator("summary").click()
    assert '"hostname"' in config.locator("pre").inner_text()
    page.get_by_role("button", name="close").click()
    assert not panel.is_visible()
    assert page.locator(f"[id='detail-{KILL}']").count() == 1


def test_an_address_leads_to_a_detail_or_a_line(open_page: OpenPage) -> None:
    page = open_page(f"#detail-{DELETE}-1")
    assert "SIGSEGV" in page.locator("#panel").inner_text()
    page = open_page(f"#{KILL}")
    assert page.locator(f"tr[id='{KILL}']").evaluate(
        "e => { const r = e.getBoundingClientRect(); return r.top >= 0 && r.top < innerHeight }"
    )


# The keyboard


def test_the_first_stop_skips_to_the_matrix(open_page: OpenPage) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    assert focused(page) == "#matrix"
    assert page.locator(".skip").bounding_box()["y"] >= 0  # type: ignore[index]
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused(page) == "search"


def test_arrows_move_in_the_matrix_which_is_one_stop(open_page: OpenPage) -> None:
    page = open_page()
    page.fill("#search", "runtime.kill.")
    lines = shown(page)
    page.focus(f"tr[id='{lines[0]}'] th a")
    for key, target in (
        ("ArrowRight", f"#detail-{lines[0]}-0"),
        ("ArrowRight", f"#detail-{lines[0]}-1"),
        ("ArrowRight", f"#detail-{lines[0]}-1"),
        ("ArrowDown", f"#detail-{lines[1]}-1"),
        ("ArrowLeft", f"#detail-{lines[1]}-0"),
        ("Home", f"#detail-{lines[1]}"),
        ("Control+End", f"#detail-{lines[-1]}-1"),
        ("Control+Home", f"#detail-{lines[0]}"),
        ("PageDown", f"#detail-{lines[min(15, len(lines) - 1)]}"),
        ("PageUp", f"#detail-{lines[0]}"),
    ):
        page.keyboard.press(key)
        assert focused(page) == target, key
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"
    page.keyboard.press("Tab")
    assert not focused(page).startswith("#detail-runtime.kill.")


def test_a_detail_opens_and_closes_by_keys_and_gives_the_focus_back(open_page: OpenPage) -> None:
    page = open_page()
    page.fill("#search", KILL)
    page.focus(f"tr[id='{KILL}'] td.cell a >> nth=1")
    page.keyboard.press("Enter")
    assert page.locator("#panel").is_visible()
    assert focused(page) == f"detail-{KILL}-1"
    page.keyboard.press("Escape")
    assert not page.locator("#panel").is_visible()
    assert focused(page) == f"#detail-{KILL}-1"


def test_what_is_hidden_is_no_stop(open_page: OpenPage) -> None:
    page = open_page()
    page.focus("tr.line th a >> nth=0")
    page.fill("#search", KILL)
    stops = page.locator("tr.line [tabindex='0']")
    assert stops.evaluate_all("l => l.map(e => e.getAttribute('href'))") == [f"#detail-{KILL}"]


# For readers of all kinds


def test_tables_are_named_and_headed(open_page: OpenPage) -> None:
    page = open_page()
    tables = page.locator("table")
    assert page.locator("table > caption").count() == tables.count()
    assert page.locator("th:not([scope])").count() == 0
    assert page.get_by_role("table", name="runtime.md").count() == 1
    assert page.get_by_role("columnheader", name="second 1").count() >= 1
    assert page.get_by_role("rowheader", name=KILL).count() == 1
    unnamed = page.locator("input, select").evaluate_all(
        "l => l.filter(e => !e.labels.length).map(e => e.outerHTML)"
    )
    assert unnamed == []


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
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility()) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) bad.add(`${e.tagName}.${e.className} ${ratio.toFixed(2)}`);
  }
  return [...bad];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_either_scheme(open_page: OpenPage, scheme: str) -> None:
    page = open_page(f"#detail-{KILL}-0", color_scheme=scheme)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(20, 23, 26)") == (scheme == "dark")
    assert page.evaluate(_CONTRAST) == []  # WCAG 1.4.3


@pytest.mark.parametrize("width", [360, 700, 1300])
def test_nothing_is_wider_than_the_window(open_page: OpenPage, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.click(f"tr[id='{KILL}'] td.cell a >> nth=0")
    assert page.locator("#panel").evaluate("e => e.scrollWidth - e.clientWidth") == 0


def test_without_javascript_all_is_there_but_the_filters(open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False)
    assert page.locator("text=Without JavaScript").is_visible()
    assert not page.locator("#filters").is_visible()
    assert page.locator("tr.line:visible").count() > 600
    page.click(f"tr[id='{KILL}'] td.cell a >> nth=0")
    assert page.locator(f"[id='detail-{KILL}-0']").is_visible()
    assert "first kill" in page.locator(f"[id='detail-{KILL}-0']").inner_text()


def test_print_has_the_matrix_and_the_failures(open_page: OpenPage) -> None:
    page = open_page()
    page.emulate_media(media="print")
    assert not page.locator("#filters").is_visible()
    assert page.locator("tr.line:visible").count() > 600
    details = page.locator(".detail:visible").evaluate_all("l => l.map(e => e.id)")
    assert set(details) == {f"detail-{KILL}", f"detail-{DELETE}"}
    assert page.pdf().startswith(b"%PDF")
