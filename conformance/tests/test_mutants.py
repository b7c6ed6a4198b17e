"""Trials of mutants: the catalogue is sound, and an outcome says what the tests have seen."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from conformance.tests.mutants import __main__ as command
from conformance.tests.mutants.catalogue import MUTANTS
from conformance.tests.mutants.mutation import Mutant, objects, reach
from conformance.tests.mutants.trial import Trial, outcome_of, rows_with_tests, try_out

from seatrial.conformance.data import schema_file
from seatrial.conformance.verdicts import Verdict

if TYPE_CHECKING:
    from pathlib import Path

HOSTNAME = "config.hostname.applied"


def test_every_mutant_has_rows_that_are_tested() -> None:
    rows = {name: mutant.rows for name, mutant in MUTANTS.items()}
    assert [name for name, own in rows.items() if not own] == []
    assert [name for name, own in rows.items() if set(own) - rows_with_tests().keys()] == []
    assert [name for name, own in rows.items() if len(own) != len(set(own))] == []


def test_names_are_words_and_each_says_something_of_its_own() -> None:
    assert [name for name in MUTANTS if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)] == []
    says = [mutant.says for mutant in MUTANTS.values()]
    assert sorted({each for each in says if says.count(each) > 1}) == []


def test_every_binding_row_has_a_mutant() -> None:
    assert command.without_mutant() == []


def test_a_mutant_is_killed_and_the_runtime_itself_survives(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A verb that does not exist: all is done by the launcher, which knows nothing of mutants.
    honest = Mutant("honest", "does all as it should", (HOSTNAME,), lambda: None, ("nothing",))
    monkeypatch.setitem(MUTANTS, "honest", honest)
    file = tmp_path / "mutants.json"
    wrong = "does-not-set-the-hostname"
    monkeypatch.setitem(
        MUTANTS, wrong, Mutant(wrong, "is silent", (HOSTNAME,), MUTANTS[wrong].apply)
    )
    assert command.main([wrong, "honest", "--output", str(file)]) == 1
    document = json.loads(file.read_text())
    jsonschema.validate(document, json.loads(schema_file("mutants.json").read_text()))
    assert {each["mutant"]: each["rows"] for each in document["trials"]} == {
        wrong: {HOSTNAME: "killed"},
        "honest": {HOSTNAME: "survived"},
    }
    assert f"SURVIVED {HOSTNAME}" in capsys.readouterr().out


def test_what_can_do_nothing_is_killed_by_the_tests_of_the_row() -> None:
    # The wrapper starts a mutant that the catalogue does not have, which is an error.
    nothing = Mutant("none", "is none", (HOSTNAME,), lambda: None)
    assert try_out(nothing).rows == {HOSTNAME: "killed"}


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        (["pass", "fail", "error"], "killed"),
        (["pass", "error"], "broken"),
        ([], "broken"),
        (["skip", "skip"], "not applicable"),
        (["skip", "pass"], "survived"),
        (["note", "pass"], "survived"),
    ],
)
def test_one_failure_is_enough_and_an_error_is_none(statuses: list[Any], outcome: str) -> None:
    verdicts = [Verdict("a.py::test", "crun", (HOSTNAME,), status) for status in statuses]
    other = Verdict("a.py::test", "crun", ("config.root.present",), "fail")
    assert outcome_of(HOSTNAME, [*verdicts, other]) == outcome


def test_what_has_only_hung_is_in_doubt() -> None:
    hung, wrong = (
        Verdict("a.py::test", "crun", (HOSTNAME,), "fail", kind=kind) for kind in ("hung", "wrong")
    )
    assert outcome_of(HOSTNAME, [hung]) == "hung"
    assert outcome_of(HOSTNAME, [hung, wrong]) == "killed"


def test_a_note_is_enough_where_the_verdict_is_open() -> None:
    open_row = next(name for name, row in rows_with_tests().items() if row["testable"] == "partly")
    assert outcome_of(open_row, [Verdict("a.py::test", "crun", (open_row,), "note")]) == "noted"


def test_a_survivor_or_a_row_without_a_mutant_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = iter(["killed", "not applicable", "noted", "survived", "broken"])

    def trial(mutant: Mutant) -> Trial:
        return Trial(mutant, {mutant.rows[0]: next(outcomes)}, 0.0)

    monkeypatch.setattr(command, "try_out", trial)
    names = list(MUTANTS)
    assert [command.main([name, "--jobs", "1"]) for name in names[:5]] == [0, 0, 0, 1, 1]
    monkeypatch.setattr(command, "try_out", lambda mutant: Trial(mutant, {"row": "killed"}, 0.0))
    assert command.main(["--jobs", "1"]) == 0
    monkeypatch.setattr(command, "without_mutant", lambda: ["config.root.present"])
    assert command.main(["--jobs", "1"]) == 1


def test_an_outcome_is_in_the_order_of_the_catalogue_whichever_ends_first() -> None:
    trials = [
        Trial(mutant, dict.fromkeys(mutant.rows, "killed"), 1.0) for mutant in MUTANTS.values()
    ]
    assert command.outcome(trials, []) == command.outcome(trials[::-1], [])


def test_a_path_reaches_every_element_and_passes_by_what_has_another_form() -> None:
    document = {"mounts": [{"options": ["ro"]}, {"options": 3}, 4], "linux": None}
    assert reach(document, "/mounts/*/options") == [["ro"], 3]
    assert objects(document, "/mounts/*") == [{"options": ["ro"]}, {"options": 3}]
    assert objects(document, "/linux/devices/*") == []
    assert objects(document, "") == [document]
