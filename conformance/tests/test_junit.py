"""JUnit XML of a results file: readable by any XML reader, with the ids of the requirements."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.conformance.formats import junit
from seatrial.conformance.registry import Registry, requirements_directory
from seatrial.conformance.results import Results
from seatrial.conformance.verdicts import Verdict

KILL = "runtime.kill.delivers-signal"
REGISTRY = Registry.load(requirements_directory())


def results(*verdicts: Verdict) -> Results:
    header: dict[str, Any] = {
        "runtimes": [{"name": name, "version": "1"} for name in ("crun", "runc")],
        "started": "2026-01-01T00:00:00+00:00",
    }
    return Results(header, verdicts, {})


def verdict(status: Any, **members: Any) -> Verdict:
    return Verdict("suite/a.py::test_x[crun]", "crun", (KILL,), status, **members)


def suites(*verdicts: Verdict) -> list[ET.Element]:
    return list(ET.fromstring(junit.document([results(*verdicts)], REGISTRY)))  # noqa: S314 - ours


def test_there_is_a_suite_for_each_runtime_with_its_counts() -> None:
    crun, runc = suites(
        verdict("pass", duration_s=0.25),
        verdict("fail", kind="wrong", message="no", duration_s=0.5),
        verdict("error", message="oh"),
        verdict("skip", evidence="none"),
    )
    names = ("name", "tests", "failures", "errors", "skipped", "time")
    assert [crun.get(name) for name in names] == ["crun 1", "4", "1", "1", "1", "0.750"]
    assert [runc.get(name) for name in names] == ["runc 1", "0", "0", "0", "0", "0.000"]


@pytest.mark.parametrize(
    ("seen", "tag", "attributes"),
    [
        (verdict("pass"), None, {}),
        (verdict("note", notes=("seen",)), None, {}),
        (
            verdict("fail", kind="hung", message="no", known=True),
            "failure",
            {"type": "hung", "message": "no"},
        ),
        (verdict("error", message="oh"), "error", {"message": "oh"}),
        (verdict("skip", evidence="none"), "skipped", {"message": "none"}),
    ],
)
def test_a_case_says_what_came_of_it(
    seen: Verdict, tag: str | None, attributes: dict[str, str]
) -> None:
    (case,) = suites(seen)[0]
    assert (case.get("classname"), case.get("name")) == ("suite.a", "test_x[crun]")
    properties = case.find("properties")
    assert properties is not None
    assert [dict(each.attrib) for each in properties] == [
        {"name": "requirement", "value": KILL},
        {"name": "level", "value": "MUST"},
    ]
    others = {
        each.tag: each.attrib for each in case if each.tag not in {"properties", "system-out"}
    }
    assert others == ({tag: attributes} if tag else {})


def test_several_files_are_in_one_document() -> None:
    document = junit.document([results(verdict("pass")), results()], REGISTRY)
    names = [suite.get("name") for suite in ET.fromstring(document)]  # noqa: S314 - ours
    assert names == ["crun 1", "runc 1", "crun 1", "runc 1"]


def test_what_the_auditor_found_is_a_case_of_its_own() -> None:
    first, second = suites(verdict("pass"), verdict("fail", kind="leaked", audit=True))[0]
    assert (first.get("name"), second.get("name")) == ("test_x[crun]", "test_x[crun] (audit)")


def test_notes_and_the_way_to_reproduce_are_the_output() -> None:
    (case,) = suites(verdict("note", notes=("one", "two"), reproduce="pytest x"))[0]
    assert case.findtext("system-out") == "one\ntwo\npytest x"


@given(st.text(st.characters(categories=None)))
def test_any_text_can_be_written_and_read(text: str) -> None:
    document = junit.document([results(verdict("fail", kind="wrong", message=text))], REGISTRY)
    document.encode()
    (case,) = ET.fromstring(document)[0]  # noqa: S314
    failure = case.find("failure")
    assert failure is not None
    plain = text.isascii() and text.isprintable()
    assert not plain or failure.get("message") == text
