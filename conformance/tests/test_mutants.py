"""Trials of mutants: the catalogue is sound, and an outcome says what the tests have seen."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conformance.tests.mutants import __main__ as command
from conformance.tests.mutants import journal as journals
from conformance.tests.mutants import trial
from conformance.tests.mutants.catalogue import MUTANTS
from conformance.tests.mutants.journal import Journal
from conformance.tests.mutants.mutation import Mutant, objects, reach
from conformance.tests.mutants.reasons import WITHOUT_MUTANT
from conformance.tests.mutants.table import page
from conformance.tests.mutants.trial import (
    Trial,
    outcome_of,
    rows_with_tests,
    try_out,
    unchanged,
)

from seatrial.conformance.data import schema_file
from seatrial.conformance.verdicts import Verdict

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
    journal = ["--journal", str(tmp_path / "journal")]
    assert command.main([wrong, "honest", "--output", str(file), *journal]) == 1
    document = json.loads(file.read_text())
    jsonschema.validate(document, json.loads(schema_file("mutants.json").read_text()))
    assert {each["mutant"]: each["rows"] for each in document["trials"]} == {
        wrong: {HOSTNAME: "killed"},
        "honest": {HOSTNAME: "survived"},
    }
    assert f"SURVIVED {HOSTNAME}" in capsys.readouterr().out
    # Both are in the journal now, and are not tried again.
    monkeypatch.setattr(command, "try_out", None)
    content = file.read_text()
    assert command.main([wrong, "honest", "--output", str(file), *journal]) == 1
    assert file.read_text() == content
    told = capsys.readouterr().out
    assert "2 of 2 are as the journal has them" in told
    assert f"SURVIVED {HOSTNAME} (honest)" in told


def test_what_can_do_nothing_is_killed_by_the_tests_of_the_row() -> None:
    # The wrapper starts a mutant that the catalogue does not have, which is an error.
    nothing = Mutant("none", "is none", (HOSTNAME,), lambda: None)
    assert try_out(nothing).rows == {HOSTNAME: "killed"}


def test_no_plan_is_kept_from_a_mutant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(trial, "LAUNCHER", Path("/usr/bin/env"))
    command = trial.wrapper(trial.UNCHANGED, tmp_path)
    said = subprocess.run([command], capture_output=True, text=True, check=True).stdout
    assert "SEATRIAL_OCI_CACHE=off" in said.splitlines()


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


def open_row() -> str:
    """Return a row of which the spec leaves the verdict open."""
    return next(name for name, row in rows_with_tests().items() if row["testable"] == "partly")


def test_a_note_is_in_doubt_where_the_verdict_is_open() -> None:
    row = open_row()
    for status in ("note", "pass"):
        verdict = Verdict("a.py::test", "crun", (row,), status)
        assert outcome_of(row, [verdict, Verdict("b.py::b", "crun", (row,), "pass")]) == "noted"
    assert outcome_of(row, [Verdict("a.py::test", "crun", (row,), "skip")]) == "not applicable"


def test_a_note_that_the_runtime_itself_makes_is_no_sign_of_a_mutant() -> None:
    row = "config.version.present"
    for name, outcome in (("supplies-a-version", "noted"), ("ignores-rlimits", "survived")):
        assert try_out(replace(MUTANTS[name], rows=(row,))).rows == {row: outcome}


def test_a_row_of_an_earlier_release_is_judged_by_that(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def run(bench: Any, rows: list[str], *_arguments: Any) -> tuple[Verdict, ...]:
        seen.append((bench.release, rows))
        return tuple(Verdict("a.py::test", "crun", (row,), "fail") for row in rows)

    monkeypatch.setattr(trial.Bench, "run", run)
    old = "config.annotations.unknown-keys-no-error"
    mutant = replace(MUTANTS["ignores-rlimits"], rows=(HOSTNAME, old))
    assert try_out(mutant).rows == {HOSTNAME: "killed", old: "killed"}
    assert seen == [("1.0.1", [old]), ("1.3.0", [HOSTNAME])]


def test_the_runtime_as_it_is_has_to_pass_the_tests_of_all_mutants() -> None:
    rows = [row for each in unchanged(MUTANTS.values()) for row in each.rows]
    assert len(rows) == len(set(rows))
    changing = [each for each in MUTANTS.values() if each.verbs != trial.UNCHANGED.verbs]
    assert set(rows) == {row for each in changing for row in each.rows}


@pytest.fixture
def quiet_journal(tmp_path: Path) -> list[str]:
    """A journal of the test's own."""
    return ["--jobs", "1", "--journal", str(tmp_path / "journal")]


def test_a_survivor_or_a_row_without_a_mutant_fails(
    monkeypatch: pytest.MonkeyPatch, quiet_journal: list[str]
) -> None:
    outcomes = iter(["killed", "not applicable", "noted", "survived", "broken"])

    def one(mutant: Mutant) -> Trial:
        return Trial(mutant, {mutant.rows[0]: next(outcomes)}, 0.0)

    monkeypatch.setattr(command, "try_out", one)
    names = list(MUTANTS)
    assert [command.main([name, *quiet_journal]) for name in names[:5]] == [0, 0, 0, 1, 1]


def test_all_mutants_killed_is_not_enough(
    monkeypatch: pytest.MonkeyPatch, quiet_journal: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    own = "killed"

    def one(mutant: Mutant) -> Trial:
        outcome = own if mutant.apply is trial.UNCHANGED.apply else "killed"
        return Trial(mutant, dict.fromkeys(mutant.rows, outcome), 0.0)

    monkeypatch.setattr(command, "try_out", one)
    assert command.main([*quiet_journal, "--again"]) == 1
    assert f"FAILS UNCHANGED {HOSTNAME}\n" in capsys.readouterr().out
    own = "survived"
    assert command.main([*quiet_journal, "--again"]) == 0
    monkeypatch.setattr(command, "without_mutant", lambda: ["config.root.present"])
    assert command.main(quiet_journal) == 1


def test_a_binding_row_needs_a_mutant_or_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    only = next(
        name
        for name, mutant in MUTANTS.items()
        if mutant.rows == ("config.annotations.unknown-keys-ignored",) or "denies-idmap" in name
    )
    rows = MUTANTS[only].rows
    monkeypatch.delitem(MUTANTS, only)
    found = command.without_mutant()
    assert found
    assert set(found) <= set(rows)
    monkeypatch.setitem(WITHOUT_MUTANT, found[0], "cannot be made")
    assert command.without_mutant() == found[1:]
    # A reason for what has a mutant, or for nothing, is out of date.
    monkeypatch.setitem(WITHOUT_MUTANT, HOSTNAME, "cannot be made")
    monkeypatch.setitem(WITHOUT_MUTANT, "nothing.", "cannot be made")
    assert command.without_mutant() == [*found[1:], HOSTNAME, "nothing."]


def test_what_a_trial_was_made_of_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "folder" / "journal"
    wrong = MUTANTS["does-not-set-the-hostname"]
    done = Trial(wrong, {HOSTNAME: "not applicable"}, 1.0, {HOSTNAME: "no reason"})
    Journal(file).add(done)
    with file.open("a") as stream:
        stream.write('{"mutant": "cut o')
    assert Journal(file).find(wrong) == done
    assert Journal(file).find(replace(wrong, rows=(HOSTNAME, "config.root.present"))) is None
    monkeypatch.setattr(journals, "_common", lambda: "another runtime")
    assert Journal(file).find(wrong) is None


def test_an_outcome_is_in_the_order_of_the_catalogue_whichever_ends_first() -> None:
    trials = [
        Trial(mutant, dict.fromkeys(mutant.rows, "killed"), 1.0) for mutant in MUTANTS.values()
    ]
    assert command.outcome(trials, [], []) == command.outcome(trials[::-1], [], [])


def test_the_page_that_is_kept_is_that_of_the_outcome() -> None:
    """And all in it is well."""
    folder = Path(__file__).parents[2] / "results" / "mutants"
    document = json.loads((folder / "mutants.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, json.loads(schema_file("mutants.json").read_text()))
    assert page(document) == (folder / "README.md").read_text(encoding="utf-8")
    assert document["caught"] == document["mutants"]
    assert document["without_mutant"] == document["fails_unchanged"] == []


def test_a_path_reaches_every_element_and_passes_by_what_has_another_form() -> None:
    document = {"mounts": [{"options": ["ro"]}, {"options": 3}, 4], "linux": None}
    assert reach(document, "/mounts/*/options") == [["ro"], 3]
    assert objects(document, "/mounts/*") == [{"options": ["ro"]}, {"options": 3}]
    assert objects(document, "/linux/devices/*") == []
    assert objects(document, "") == [document]
