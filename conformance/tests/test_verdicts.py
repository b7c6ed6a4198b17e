"""Verdicts, the rows they make, and the scores that are counted of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.conformance.registry import Registry, requirements_directory
from seatrial.conformance.verdicts import Status, Verdict, rows, scores

KILL, START = "runtime.kill.delivers-signal", "runtime.start.runs-program"


@pytest.fixture(scope="module")
def registry() -> Registry:
    """The registry of the suite."""
    return Registry.load(requirements_directory())


def verdict(status: Status, *requirements: str, known: bool = False) -> Verdict:
    return Verdict("a.py::test_x[crun]", "crun", requirements or (KILL,), status, known=known)


def test_a_dictionary_has_only_what_there_is_to_say() -> None:
    assert verdict("pass").as_dict() == {
        "test": "a.py::test_x[crun]",
        "runtime": "crun",
        "requirements": [KILL],
        "status": "pass",
    }
    assert "known" not in verdict("fail", known=True).as_dict()


@given(
    st.builds(
        Verdict,
        test=st.text(min_size=1),
        runtime=st.text(min_size=1),
        requirements=st.lists(st.text(), min_size=1).map(tuple),
        status=st.sampled_from(["pass", "fail", "error", "skip", "note"]),
        duration_s=st.floats(0, 9),
        kind=st.sampled_from([None, "hung"]),
        message=st.text(),
        notes=st.lists(st.text()).map(tuple),
        config=st.none() | st.dictionaries(st.text(), st.integers(), min_size=1),
        audit=st.booleans(),
    )
)
def test_a_verdict_survives_the_way_through_json(given: Verdict) -> None:
    line = json.loads(json.dumps({"type": "verdict", **given.as_dict()}))
    assert Verdict.from_dict(line) == given


def test_a_test_name_reads_as_a_sentence() -> None:
    odd = Verdict("d/a.py::test_kill_of_x_is_an_error[crun-a]", "crun", (KILL,), "pass")
    assert odd.sentence == "kill of x is an error"


@pytest.mark.parametrize(
    ("statuses", "worst"),
    [
        (["pass"], "pass"),
        (["skip", "pass"], "pass"),
        (["skip", "skip"], "skip"),
        (["pass", "note"], "note"),
        (["note", "fail", "pass"], "fail"),
        (["fail", "error"], "error"),
    ],
)
def test_a_row_is_as_bad_as_its_worst_verdict(
    statuses: list[Status], worst: Status, registry: Registry
) -> None:
    found = rows([verdict(status) for status in statuses], registry)
    assert found[KILL].status == worst


def test_a_row_is_known_if_every_failure_of_it_is(registry: Registry) -> None:
    known, news = verdict("fail", known=True), verdict("fail")
    assert rows([known, verdict("pass")], registry)[KILL].known
    assert not rows([known, news], registry)[KILL].known


def test_rows_stand_in_the_order_of_the_registry(registry: Registry) -> None:
    found = rows([verdict("pass", KILL), verdict("pass", START, KILL)], registry)
    assert list(found) == [START, KILL]
    assert len(found[KILL].verdicts) == 2


def test_scores_are_counts_with_their_denominator(registry: Registry) -> None:
    seen = [
        verdict("pass", START),
        verdict("fail", KILL, known=True),
        verdict("error", "runtime.start.missing-id-errors"),
        verdict("skip", "runtime.delete.missing-id-errors"),
        verdict("note", "runtime.kill.missing-id-errors"),
    ]
    found = scores(seen, registry, "1.3.0")
    must = sum(row.level == "MUST" and row.in_force("1.3.0") for row in registry.values())
    assert str(found["MUST"]) == (
        f"1 pass, 1 fail (1 known), 1 error, 1 noted, 1 not applicable, {must - 5} untested"
    )
    in_force = sum(row.in_force("1.3.0") for row in registry.values())
    counted = sum(sum(score.counts.values()) - score.counts["known"] for score in found.values())
    assert counted == in_force


def test_a_score_of_an_older_release_counts_what_stood_in_it(registry: Registry) -> None:
    old = scores([], registry, "1.0.0")["MUST"].counts["untested"]
    assert old == sum(row.level == "MUST" and row.in_force("1.0.0") for row in registry.values())
