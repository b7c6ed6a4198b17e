"""What results are turned into: every format says what was seen, and nothing in it is injected."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance import expectations
from seatrial.conformance.errors import UsageError
from seatrial.conformance.formats import badge, markdown, mutations, page, tap
from seatrial.conformance.formats.matrix import MARKS, Line, Matrix, columns_of
from seatrial.conformance.formats.visible import visible
from seatrial.conformance.registry import Registry, requirements_directory
from seatrial.conformance.results import Results
from seatrial.conformance.verdicts import Verdict

if TYPE_CHECKING:
    from pathlib import Path

REGISTRY = Registry.load(requirements_directory())
KILL = "runtime.kill.delivers-signal"
DELETE = "runtime.delete.not-stopped-errors"
CREATE = "runtime.create.missing-id-errors"
ARROWS = re.compile("[\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(autouse=True)
def no_expectations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(expectations, "data_directory", lambda _: tmp_path)
    return tmp_path


def verdict(status: Any, *requirements: str, runtime: str = "crun", **members: Any) -> Verdict:
    return Verdict(f"a.py::test_x_is_y[{runtime}]", runtime, requirements, status, **members)


def results(*verdicts: Verdict, spec: str = "1.3.0", **changes: Any) -> Results:
    names = dict.fromkeys(each.runtime for each in verdicts) or {"crun": None}
    header: dict[str, Any] = {
        "suite": {"name": "seatrial", "version": "1"},
        "spec": spec,
        "started": "2026-01-01T00:00:00+00:00",
        "environment": {"kernel": "6.1", "cgroups": {"mode": "v2"}, "clone_newuser": True},
        "runtimes": [
            {
                "name": name,
                "path": f"/bin/{name}",
                "version": "1",
                "sha256": "0" * 64,
                "view": "host",
                "config_version": spec,
            }
            | changes
            for name in names
        ],
    }
    return Results(header, verdicts, {"complete": True})


def matrix(*files: Results) -> Matrix:
    return Matrix.of(files, REGISTRY)


def line(table: Matrix, requirement: str) -> Line:
    (found,) = (each for each in table.lines if each.requirement.id == requirement)
    return found


# The matrix


def test_a_cell_has_the_worst_of_its_verdicts() -> None:
    table = matrix(
        results(
            verdict("pass", KILL),
            verdict("fail", KILL, kind="ignored"),
            verdict("fail", KILL, kind="ignored"),
            verdict("skip", DELETE),
            verdict("note", DELETE, notes=("n",)),
            verdict("error", CREATE),
            verdict("fail", CREATE, kind="wrong"),
        )
    )
    cells = [line(table, name).cells[0] for name in (KILL, DELETE, CREATE)]
    assert [cell.status for cell in cells] == ["fail", "note", "error"]
    assert cells[0].kinds == ("ignored",)


def test_a_failure_is_known_if_all_of_it_is(no_expectations: Path) -> None:
    (no_expectations / "crun.toml").write_text(
        f'[[expect]]\nrequirement = "{KILL}"\ntest = "test_x_is_y"\nstatus = "fail"\n'
        'reason = "r"\nurl = "https://u"\n'
    )
    failed = verdict("fail", KILL, kind="wrong")
    assert line(matrix(results(failed)), KILL).cells[0].status == "known"
    other = Verdict("a.py::test_z[crun]", "crun", (KILL,), "fail", kind="wrong")
    assert line(matrix(results(failed, other)), KILL).cells[0].status == "fail"
    crashed = verdict("fail", KILL, kind="crashed")
    assert line(matrix(results(failed, crashed)), KILL).cells[0].status == "fail"


def test_a_known_failure_that_passes_is_told_unless_few_examples_were_drawn(
    no_expectations: Path,
) -> None:
    (no_expectations / "crun.toml").write_text(
        f'[[expect]]\nrequirement = "{KILL}"\nstatus = "fail"\nreason = "r"\nurl = "https://u"\n'
    )
    seen = results(verdict("pass", KILL))
    assert f"{KILL} passes, but is listed" in content_of(seen)
    seen.header["profile"] = "quick"
    assert f"{KILL} passes, but is listed" not in content_of(seen)


def test_what_has_no_verdict_says_why() -> None:
    table = matrix(results(verdict("pass", KILL), spec="1.0.2"), results(verdict("pass", KILL)))
    untested = next(row for row in REGISTRY.values() if row.untested and row.since == "1.0.0")
    assert line(table, untested.id).cells[1].reason == untested.untested
    assert line(table, DELETE).cells[1].reason == "this run had no test of it"
    newer = next(row for row in REGISTRY.values() if row.since == "1.3.0")
    assert line(table, newer.id).cells[0].status == "not-in-force"
    assert line(table, newer.id).cells[1].status in {"untested", "pending"}
    older = next(row for row in REGISTRY.values() if row.until == "1.0.1")
    assert older.id not in {each.requirement.id for each in table.lines}


def test_the_link_is_to_the_release_that_was_judged_by() -> None:
    assert "/blob/v1.3.0/runtime.md#kill" in line(matrix(results()), KILL).url
    old = results(verdict("pass", KILL), spec="1.0.2")
    assert "/blob/v1.0.2/runtime.md#kill" in line(matrix(old), KILL).url
    assert "/blob/v1.3.0/runtime.md#kill" in line(matrix(old, results()), KILL).url


@pytest.mark.parametrize(
    ("statuses", "differs", "lonely"),
    [
        ("pass pass", False, None),
        ("pass fail", True, 1),
        ("fail fail", False, None),
        ("fail skip", True, None),
        ("note fail", True, 1),
        ("pass pass fail", True, 2),
        ("fail pass fail", True, None),
        ("fail -", False, None),
    ],
)
def test_lines_are_compared(statuses: str, differs: bool, lonely: int | None) -> None:  # noqa: FBT001 - a parameter
    files = [
        results(*([verdict(status, KILL, kind="wrong")] if status != "-" else []))
        for status in statuses.split()
    ]
    found = line(matrix(*files), KILL)
    assert (found.differs, found.lonely) == (differs, lonely)


def test_counts_have_their_denominators() -> None:
    table = matrix(results(verdict("pass", KILL, DELETE), verdict("fail", CREATE, kind="wrong")))
    counts = table.counts(table.columns[0])
    assert (counts["MUST"]["pass"], counts["MUST"]["fail"]) == (2, 1)
    in_force = [row for row in REGISTRY.values() if row.in_force("1.3.0")]
    assert sum(counter.total() for counter in counts.values()) == len(in_force)


def test_columns_of_one_title_are_told_apart() -> None:
    columns = columns_of(
        [results(), results(verdict("pass", KILL, runtime="runc")), results()], REGISTRY
    )
    assert [column.title for column in columns] == ["crun 1 (1)", "runc 1", "crun 1 (2)"]


def test_columns_of_guests_bear_their_names() -> None:
    here, there = results(), results()
    there.header["environment"]["guest"] = "cgroup2"
    titles = [column.title for column in columns_of([here, there], REGISTRY)]
    assert titles == ["crun 1", "crun 1 in cgroup2"]


# The page

HOSTILE = (
    "</script><script>document.title='injected'</script>",
    "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" x="',
    "</pre></details></table><h1>injected</h1>",
    "<!-- <style>*{display:none}</style>",
    "{{ 7 * 7 }} {% raw %}",
    "javascript:alert(1)",
    "\x00\x1b[31m\ud800 \u202egnp.exe",
)


def hostile(text: str) -> Results:
    """Results in which everything that may be any text is ``text``."""
    seen = [
        Verdict(
            test=f"{text}::test_{text}[{text}]",
            runtime=text,
            requirements=(KILL,),
            status=status,
            kind="wrong",
            message=text,
            evidence=text,
            notes=(text,),
            example=text,
            config={text: [text]} if status == "fail" else text,
            commands=(text, text),
            reproduce=text,
        )
        for status in ("fail", "error", "note", "skip", "pass")
    ]
    found = results(*seen, path=text, version=text)
    found.header["environment"] = {text: text, "kernel": text, "cgroups": {text: text}}
    found.header["started"] = found.header["suite"]["name"] = text
    return found


class Outline(HTMLParser):
    """Every tag with the names of its attributes, and the addresses that the page leads to."""

    def __init__(self, content: str) -> None:
        """Read ``content``."""
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.addresses: set[str] = set()
        self.text = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.addresses |= {value or "" for name, value in attrs if name in {"href", "src"}}

    def handle_data(self, data: str) -> None:
        self.text += data


def content_of(*files: Results) -> str:
    return page.document(matrix(*files))


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_results_is_markup(text: str) -> None:
    content = content_of(hostile(text))
    harmless, seen = Outline(content_of(hostile("harmless"))), Outline(content)
    assert seen.tags == harmless.tags
    assert seen.addresses == harmless.addresses
    content.encode()
    assert "\x00" not in content
    assert not ARROWS.search(content)
    assert visible(text) in seen.text


@settings(max_examples=20)
@given(st.text(st.characters(categories=None), min_size=1).filter(lambda text: "\r" not in text))
def test_any_text_can_be_in_a_page(text: str) -> None:
    table = Matrix.of([hostile(text)], REGISTRY)
    assert [tag for tag, _ in Outline(page.document(table)).tags].count("script") == 1


def test_a_page_shows_the_mutants_of_a_requirement(tmp_path: Path) -> None:
    file = tmp_path / "mutants.json"
    trial = {"mutant": "kills-nobody", "says": "sends <no> signal", "rows": {KILL: "killed"}}
    file.write_text(json.dumps({"format": 2, "trials": [trial]}))
    table = matrix(results(verdict("pass", KILL)))
    seen = Outline(page.document(table, mutations.read(file)))
    assert "mutant kills-nobody, which sends <no> signal: killed" in seen.text
    assert "mutant" not in Outline(page.document(table)).text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not what `make mutants` writes"),
        ("[]", "not what `make mutants` writes"),
        ('{"format": 2, "trials": [{}]}', "not what `make mutants` writes"),
        ('{"format": 1}', "format 1, not 2"),
    ],
)
def test_what_is_no_outcome_of_mutants_is_refused(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "mutants.json"
    file.write_text(content)
    with pytest.raises(UsageError, match=re.escape(f"mutants {file}: {said}")):
        mutations.read(file)
    with pytest.raises(UsageError, match=r"cannot read mutants .*: No such file"):
        mutations.read(tmp_path / "missing")


def test_a_page_needs_nothing_from_anywhere() -> None:
    seen = Outline(content_of(results(verdict("pass", KILL))))
    assert not {"link", "img", "iframe", "object", "embed"} & {tag for tag, _ in seen.tags}
    assert ("script", ()) in seen.tags
    assert not [name for _, names in seen.tags for name in names if name.startswith("on")]
    assert not [names for _, names in seen.tags if "style" in names]


def test_every_cell_has_a_symbol_and_a_word_and_leads_to_its_detail() -> None:
    content = content_of(results(verdict("pass", KILL), verdict("fail", DELETE, kind="ignored")))
    cells = re.findall(r'<td class="cell s-([a-z-]+)"><a [^>]*href="#([^"]+)">(.*?)</a>', content)
    assert len(cells) == len([row for row in REGISTRY.values() if row.in_force("1.3.0")])
    for status, target, inner in cells:
        assert MARKS[status].symbol in inner
        assert MARKS[status].word in inner
        assert f'id="{target}"' in content
    assert content.count("<small>ignored</small></a>") == 1


def test_ids_are_there_once() -> None:
    content = content_of(results(verdict("pass", KILL)), results())
    ids = re.findall(r' id="([^"]*)"', content)
    assert len(ids) == len(set(ids))
    assert {name[1:] for name in Outline(content).addresses if name.startswith("#")} <= set(ids)


# Markdown, TAP, badges


def test_markdown_has_the_counts_and_the_failures() -> None:
    failed = verdict(
        "fail",
        DELETE,
        kind="wrong",
        message="no | `x`",
        commands=("a", "b|c"),
        reproduce="pytest x",
    )
    text = markdown.document(matrix(results(failed), results(verdict("pass", DELETE))))
    assert f"| [`{DELETE}`](https://" in text
    assert " | MUST | ✗ fail | ✓ pass |" in text
    assert "  - got (wrong): `` no | `x` ``" in text
    assert "  - did: `b|c`" in text
    assert "Nowhere." in markdown.document(matrix(results(verdict("pass", DELETE))))


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_results_is_markup_in_markdown(text: str) -> None:
    seen = markdown.document(matrix(hostile(text)))
    outside = re.sub(r"(`+).*?[^`]\1(?!`)", "", seen)
    assert not re.search(r"(?<!\\)[<|>](?=script|img|h1|/)", outside)
    assert "\x00" not in seen


def test_tap_says_todo_for_what_is_known_and_skip_with_its_evidence(no_expectations: Path) -> None:
    (no_expectations / "crun.toml").write_text(
        f'[[expect]]\nrequirement = "{KILL}"\nstatus = "fail"\nreason = "r"\nurl = "https://u"\n'
    )
    seen = results(
        verdict("pass", DELETE),
        verdict("fail", KILL, kind="wrong", message="one\ntwo # three"),
        verdict("skip", CREATE, evidence="no #1"),
        verdict("error", CREATE, message="oh"),
    )
    lines = tap.document(columns_of([seen], REGISTRY)).splitlines()
    name = "crun 1: a.py::test_x_is_y[crun]"
    assert lines[:4] == [
        "TAP version 14",
        "1..4",
        f"ok 1 - {name}",
        f"not ok 2 - {name} # TODO known: r https://u",
    ]
    assert f"ok 3 - {name} # SKIP no \\#1" in lines
    assert f"not ok 4 - {name}" in lines
    assert '  got: "one\\ntwo # three"' in lines
    assert tap.document(columns_of([results()], REGISTRY)).splitlines()[1:] == [
        "1..0 # SKIP no test ran"
    ]


@given(st.text(st.characters(categories=None)))
def test_any_text_is_one_line_of_tap(text: str) -> None:
    document = tap.document(columns_of([hostile(text or "x")], REGISTRY))
    document.encode()
    tests = [each for each in document.split("\n") if re.match(r"(not )?ok \d", each)]
    assert len(tests) == 5


@pytest.mark.parametrize(
    ("status", "message", "colour"),
    [
        ("pass", "1 pass, 0 fail of 330 MUST", "green"),
        ("fail", "0 pass, 1 fail of 330 MUST", "red"),
        ("skip", "0 pass, 0 fail of 330 MUST", "grey"),
    ],
)
def test_a_badge_has_counts(status: str, message: str, colour: str) -> None:
    table = matrix(results(verdict(status, KILL, kind="wrong")))
    members = json.loads(badge.endpoint(table, table.columns[0]))
    assert members == {
        "schemaVersion": 1,
        "label": "crun 1, runtime-spec 1.3.0",
        "message": message,
        "color": colour,
    }
    image = ET.fromstring(badge.svg(table, table.columns[0]))  # noqa: S314 - ours
    assert image[0].text == f"crun 1, runtime-spec 1.3.0: {message}"


@given(st.text(st.characters(categories=None)))
def test_any_text_can_be_in_a_badge(text: str) -> None:
    table = Matrix.of([hostile(text or "x")], REGISTRY)
    image = badge.svg(table, table.columns[0])
    image.encode()
    assert len(ET.fromstring(image)) == 4  # noqa: S314 - ours
