"""Whole runs of a small suite: what pytest is given, what it says, and how it ends."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from seatrial.conformance.results import Results

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.tests.conftest import NewTrial, Ran, Trial

    from seatrial.conformance.adapters import Adapter

KILL, START = "runtime.kill.delivers-signal", "runtime.start.runs-program"
#: A row of a level that only counts with --strict.
ADVICE = "config.root.path-conventional"

HEAD = """
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from seatrial.conformance.marks import needs, requirement
"""
ALL_KINDS = """
@requirement("runtime.start.runs-program")
def test_one_that_passes(harness):
    harness.run(harness.config())

@requirement("runtime.kill.delivers-signal", "runtime.kill.accepts-created")
def test_one_that_fails(created):
    assert created.kill("KILL").failed

@requirement("runtime.kill.missing-id-errors")
def test_one_that_notes(harness):
    harness.note("odd \\ud800 \\x1b[31m text")

@requirement("runtime.kill.not-alive-errors")
@needs("vm")
def test_one_that_is_skipped(harness):
    raise NotImplementedError

@requirement("runtime.delete.missing-id-errors")
def test_one_that_goes_wrong(harness):
    raise ValueError("not the runtime's fault")

@requirement("runtime.kill.not-alive-no-effect")
@pytest.mark.parametrize("signal", ["TERM", "KILL"])
def test_one_that_has_parameters(stopped, signal):
    stopped.kill(signal)

@requirement("config.hostname.applied")
@settings(
    derandomize=True, database=None, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(number=st.integers(0, 99))
def test_one_that_is_given_values(harness, number):
    config = harness.config("say", str(number))
    with harness.running(config) as container:
        assert number < 3, f"{number} is too much"

def test_one_of_another_kind():
    pass
"""
PASSES = f"""
@requirement("{KILL}")
def test_one(harness):
    pass
"""


def suite(trial: Trial, text: str = PASSES, name: str = "test_small.py") -> Path:
    path = trial.folder / name
    path.write_text(HEAD + text)
    return path


# One run with all that can come of a test


class AllKinds:
    """A run of all kinds of tests, with everything that is made of it."""

    def __init__(self, trial: Trial, good: Adapter) -> None:
        self.path = suite(trial, ALL_KINDS)
        options = ("--runtime", good.name, "--results", "r/results.jsonl")
        self.ran: Ran = trial(self.path, *options, "--junitxml", "junit.xml")
        self.file = trial.folder / "r" / "results.jsonl"
        self.results = Results.read(self.file)
        self.by_test = {each.sentence: each for each in self.results.verdicts}
        self.junit = ET.parse(trial.folder / "junit.xml").getroot()  # noqa: S314 - ours


@pytest.fixture(scope="module")
def all_kinds(good: Adapter, new_trial: NewTrial) -> AllKinds:
    """The run, once for all tests of it."""
    return AllKinds(new_trial(), good)


def test_a_failure_makes_the_status_1(all_kinds: AllKinds) -> None:
    assert (all_kinds.ran.status, all_kinds.ran.err) == (1, "")
    footer = all_kinds.results.footer
    assert (footer["exit_status"], footer["complete"], footer["verdicts"]) == (1, True, 8)


@pytest.mark.parametrize(
    ("sentence", "status", "kind"),
    [
        ("one that passes", "pass", None),
        ("one that fails", "fail", "wrong"),
        ("one that notes", "note", None),
        ("one that is skipped", "skip", None),
        ("one that goes wrong", "error", None),
        ("one that has parameters", "pass", None),
        ("one that is given values", "fail", "wrong"),
    ],
)
def test_each_test_has_its_verdict(
    all_kinds: AllKinds, sentence: str, status: str, kind: str | None
) -> None:
    verdict = all_kinds.by_test[sentence]
    assert (verdict.status, verdict.kind) == (status, kind)
    assert verdict.test.startswith("test_small.py::test_one_")


def test_a_verdict_says_what_was_seen(all_kinds: AllKinds, good: Adapter) -> None:
    found = all_kinds.by_test
    assert found["one that notes"].notes == ("odd \ud800 \x1b[31m text",)
    assert found["one that goes wrong"].message == "ValueError: not the runtime's fault"
    assert found["one that is skipped"].evidence.startswith("needs vm: ")
    failed = found["one that fails"]
    assert failed.requirements == (KILL, "runtime.kill.accepts-created")
    assert failed.commands[-1].endswith(" KILL")
    assert failed.config["process"]["args"] == ["/probe", "pause"]
    assert failed.reproduce == (f"pytest test_small.py::test_one_that_fails --runtime {good.name}")


def test_a_given_value_is_shown_at_its_smallest(all_kinds: AllKinds) -> None:
    verdict = all_kinds.by_test["one that is given values"]
    assert verdict.message.startswith("3 is too much")
    assert "number=3" in verdict.example
    assert verdict.config["process"]["args"] == ["/probe", "say", "3"]


def test_the_terminal_shows_tree_failures_and_scores(all_kinds: AllKinds, good: Adapter) -> None:
    out = all_kinds.ran.out
    for line in (
        f"judging {good.name} ",
        "  runtime.md#kill\n",
        f"    FAIL   MUST       {KILL}  (1 test)",
        "    SKIP   MUST       runtime.kill.not-alive-errors  (1 test)\n           needs vm: ",
        "    NOTE   MUST       runtime.kill.missing-id-errors  (1 test)\n           odd \\ud800",
        "    ERROR  MUST       runtime.delete.missing-id-errors  (1 test)",
        "    PASS   MUST       runtime.kill.not-alive-no-effect  (2 tests)",
        ": 3 failures\n",
        "  example   ",
        "requirements of runtime-spec 1.3.0\n",
        "1 error, 1 noted, 1 not applicable",
    ):
        assert line in out
    assert "1 noted" in out.splitlines()[-1]


def test_pytests_own_junit_has_the_ids(all_kinds: AllKinds) -> None:
    cases = {case.get("name"): case for case in all_kinds.junit.iter("testcase")}
    for name, tag in (("fails", "failure"), ("is_skipped", "skipped"), ("passes", None)):
        (case,) = [each for key, each in cases.items() if f"that_{name}" in str(key)]
        properties = [each.attrib for each in case.iter("property")]
        assert {each["name"] for each in properties} == {"requirement"}
        assert tag is None or case.find(tag) is not None
    assert not list(cases["test_one_of_another_kind"].iter("property"))


# Exit statuses


@pytest.mark.parametrize(
    ("level", "options", "status"),
    [("SHOULD", [], 0), ("SHOULD", ["--strict"], 1), ("MUST", [], 1)],
)
def test_advice_decides_the_status_only_with_strict(
    good: Adapter, trial: Trial, level: str, options: list[str], status: int
) -> None:
    row = {"SHOULD": ADVICE, "MUST": KILL}[level]
    suite(trial, f'@requirement("{row}")\ndef test_one(harness):\n    assert False\n')
    ran = trial("--runtime", good.name, *options)
    assert ran.status == status
    assert f"FAIL   {level} " in ran.out


def test_a_failing_test_of_another_kind_keeps_its_say(good: Adapter, trial: Trial) -> None:
    suite(trial, PASSES + "def test_two():\n    assert False\n")
    assert trial("--runtime", good.name).status == 1


def test_a_run_that_ends_early_is_not_complete(good: Adapter, trial: Trial) -> None:
    text = "def test_two(harness):\n    assert False\n"
    suite(trial, "".join(f'@requirement("{KILL}")\n{text.replace("two", n)}' for n in "ab"))
    ran = trial("--runtime", good.name, "-x", "--results", "results.jsonl")
    footer = Results.read(trial.folder / "results.jsonl").footer
    assert ran.status == 1
    assert (footer["complete"], footer["verdicts"], footer["exit_status"]) == (False, 1, 1)
    assert "(run was interrupted)" in ran.out


def test_two_runtimes_of_one_name_are_told_apart(good: Adapter, trial: Trial) -> None:
    suite(trial)
    other = trial.folder / good.name
    other.write_text(f'#!/bin/sh\nexec {good.command} "$@"\n')
    other.chmod(0o755)
    given = ("--runtime", good.name, "--runtime", other, "--runtime", f"./{good.name}")
    ran = trial(*given, "--results", "results.jsonl")
    results = Results.read(trial.folder / "results.jsonl")
    names = [good.name, f"{good.name}#2"]
    assert ran.status == 0
    assert [each["name"] for each in results.header["runtimes"]] == names
    assert [verdict.runtime for verdict in results.verdicts] == names
    assert f"test_one[{names[1]}]" in results.verdicts[1].test


def test_workers_of_xdist_come_to_the_same_verdicts(
    good: Adapter, trial: Trial, all_kinds: AllKinds
) -> None:
    suite(trial, ALL_KINDS)
    ran = trial("--runtime", good.name, "--results", "results.jsonl", "-n", "2")
    assert ran.status == 1
    results = Results.read(trial.folder / "results.jsonl")
    assert results.header["runtimes"] == all_kinds.results.header["runtimes"]
    assert results.footer["complete"]
    assert {(each.test, each.status, each.kind, each.notes) for each in results.verdicts} == {
        (each.test, each.status, each.kind, each.notes) for each in all_kinds.results.verdicts
    }


# What is selected

TWO_ROWS = """
@requirement("config.hooks.poststart.failure-warns")
def test_the_old_wording(harness): pass
@requirement("config.hooks.poststart.failure-errors", "runtime.kill.delivers-signal")
def test_the_new_wording(harness): pass
"""


@pytest.mark.parametrize(
    ("options", "selected"),
    [
        ([], ["new"]),
        (["--spec", "1.2.1"], ["old", "new"]),
        (["--spec", "1.2.1", "--requirement", "config.hooks"], ["old"]),
        (["--requirement", "runtime.kill"], ["new"]),
        (["--requirement", "runtime.kill.delivers-signal", "-k", "new"], ["new"]),
        (["--requirement", "bundle"], []),
    ],
    ids=" ".join,
)
def test_what_is_in_force_and_asked_for_is_selected(
    trial: Trial, options: list[str], selected: list[str]
) -> None:
    suite(trial, TWO_ROWS)
    ran = trial("--collect-only", "-q", *options)
    tests = re.findall(r"::test_the_(\w+)_wording\[", ran.out)
    assert list(dict.fromkeys(tests)) == selected


# Expectations


def expecting(folder: Path) -> tuple[str, ...]:
    """Return pytest with the expectations of a folder instead of those of the harness."""
    script = (
        "import pathlib, pytest; from seatrial.conformance import expectations;"
        f"expectations.data_directory = lambda _: pathlib.Path({str(folder)!r});"
        "exit(pytest.main())"
    )
    return (sys.executable, "-c", script)


def expect(trial: Trial, runtime: str, requirement: str, **members: str) -> None:
    keys = {"requirement": requirement, "status": "fail", "reason": "r", "url": "https://u"}
    lines = [f"{key} = {json.dumps(value)}" for key, value in {**keys, **members}.items()]
    with (trial.folder / f"{runtime}.toml").open("a") as file:
        file.write("\n".join(["[[expect]]", *lines, ""]))


FAILS = f"""
@requirement("{KILL}")
def test_one(harness):
    assert False, "as ever"
"""
HANGS = f"""
from seatrial.conformance.errors import Hung
@requirement("{KILL}")
def test_one(harness):
    raise Hung("too long")
"""


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        (FAILS, 0, f"KNOWN  MUST       {KILL}"),
        (HANGS, 1, f"FAIL   MUST       {KILL}"),
        (PASSES, 1, f"{KILL} passes, but is listed as a known failure: remove it"),
    ],
    ids=["fails", "hangs", "passes"],
)
def test_a_known_failure_is_expected_and_nothing_else(
    good: Adapter, trial: Trial, text: str, status: int, said: str
) -> None:
    suite(trial, text)
    expect(trial, good.name, KILL)
    expect(trial, good.name, START)  # not judged here, so nothing is said of it
    ran = trial("--runtime", good.name, "--results", "r.jsonl", program=expecting(trial.folder))
    assert ran.status == status
    assert said in ran.out
    (verdict,) = Results.read(trial.folder / "r.jsonl").verdicts
    assert verdict.status == ("pass" if text == PASSES else "fail")


def test_a_wrong_expectation_is_told_before_anything_runs(good: Adapter, trial: Trial) -> None:
    suite(trial)
    expect(trial, good.name, KILL, reazon="x")
    ran = trial("--runtime", good.name, "--results", "r.jsonl", program=expecting(trial.folder))
    assert ran.status == 2
    file = trial.folder / f"{good.name}.toml"
    assert ran.complaint[0] == f"seatrial: expectations {file}, entry 1: unknown key reazon"
    assert not (trial.folder / "r.jsonl").exists()


def test_a_failure_that_utf_8_cannot_say_comes_from_a_worker_of_pytest_xdist(
    trial: Trial, good: Adapter
) -> None:
    suite(trial, f'@requirement("{KILL}")\ndef test_one(harness):\n    assert "\\ud800" == ""\n')
    ran = trial("--runtime", good.name, "-n", "1", "--results", "results.jsonl")
    assert ran.status == 1
    (verdict,) = Results.read(trial.folder / "results.jsonl").verdicts
    assert verdict.status == "fail"
