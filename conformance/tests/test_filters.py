"""The model of seccomp filters, and the probe's acts that show what a filter does."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings

from seatrial.conformance import kernel_audit
from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.facts import need
from seatrial.conformance.filters import (
    ENDS,
    RETURNS,
    TRAPPED,
    Call,
    Condition,
    Entry,
    Filter,
    fails,
)
from seatrial.conformance.strategies.seccomp import filters_with_calls
from seatrial.conformance.syscalls import I386, NAMES, NUMBERS

NUMBER = str(NUMBERS["munlockall"])


def probe(*act: str) -> dict[str, Any]:
    """Return the first line that the probe prints."""
    said = subprocess.run([probe_binary(), *act], check=True, capture_output=True).stdout
    line: dict[str, Any] = json.loads(said.splitlines()[0])
    return line


# The model


@pytest.mark.parametrize(
    ("op", "met"),
    [
        ("SCMP_CMP_NE", [True, False, True]),
        ("SCMP_CMP_LT", [True, False, False]),
        ("SCMP_CMP_LE", [True, True, False]),
        ("SCMP_CMP_EQ", [False, True, False]),
        ("SCMP_CMP_GE", [False, True, True]),
        ("SCMP_CMP_GT", [False, False, True]),
    ],
)
def test_a_comparison_is_unsigned(op: str, met: list[bool]) -> None:
    condition = Condition(0, op, 2**63)
    calls = [Call("getuid", (2**63 + step,)) for step in (-1, 0, 1)]
    assert [condition.holds(call) for call in calls] == met


def test_a_masked_comparison_is_with_the_second_value() -> None:
    condition = Condition(1, "SCMP_CMP_MASKED_EQ", 0xF0, 0x20)
    assert condition.holds(Call("getuid", (0, 0x2F)))
    assert not condition.holds(Call("getuid", (0, 0x3F)))
    assert condition.member()["valueTwo"] == 0x20


def test_conditions_are_joined_and_entries_are_alternatives() -> None:
    both = (Condition(0, "SCMP_CMP_EQ", 1), Condition(1, "SCMP_CMP_EQ", 2))
    one = (Condition(0, "SCMP_CMP_EQ", 3),)
    rule = Filter(
        tuple(Entry(("getuid",), "SCMP_ACT_ERRNO", each, errno.EXDEV) for each in (both, one))
    )
    seen = [rule.outcome(Call("getuid", words)) for words in ((1, 2), (1, 0), (3, 0))]
    assert seen == [fails(errno.EXDEV), RETURNS, fails(errno.EXDEV)]


def test_nothing_comes_after_the_end_of_the_process() -> None:
    rule = Filter((Entry(("getuid",), "SCMP_ACT_KILL"), Entry(("getgid",), "SCMP_ACT_TRAP")))
    calls = [Call("getgid"), Call("getuid"), Call("getgid")]
    assert rule.outcomes(calls) == [TRAPPED, ENDS]


def test_a_filter_that_denies_by_default_allows_all_that_tests_do_not_make() -> None:
    allowed = Filter((), "SCMP_ACT_ERRNO", errno.EXDEV).member()["syscalls"][-1]
    assert set(allowed["names"]) == NAMES - set(NUMBERS)


@given(drawn=filters_with_calls())
@settings(max_examples=100, deadline=None)
def test_entries_that_are_drawn_do_not_contradict_one_another(
    drawn: tuple[Filter, list[Call]],
) -> None:
    rule, calls = drawn
    for call in calls:
        found = {(e.action, e.number) for e in rule.entries if e.matches(call)}
        assert len(found) <= 1


# The probe


def test_trapped_without_a_filter_is_an_ordinary_call() -> None:
    assert probe("trapped", NUMBER) == {"act": "trapped", "ok": True, "result": 0}


def test_a_thread_returns() -> None:
    assert probe("thread", NUMBER)["returned"] is True


def test_a_traced_call_without_a_filter_is_no_event() -> None:
    assert probe("traced", NUMBER) == {"act": "traced", "ok": True, "event": False, "message": 0}


def test_the_entry_for_32_bits_has_numbers_of_its_own() -> None:
    if need("entry32"):
        assert probe("int80", str(I386["getuid32"]))["ok"] is True


def test_a_handled_signal_does_not_end_the_process() -> None:
    number = str(int(signal.SIGUSR1))
    said = subprocess.run(
        [probe_binary(), "handle", number, "+", "raise", number, "+", "say", "on"],
        check=True,
        capture_output=True,
    ).stdout
    assert json.loads(said.splitlines()[-1])["text"] == "on"


def test_a_logged_call_is_in_the_kernel_s_log_by_its_process() -> None:
    evidence = need("kernel-audit")
    if evidence:
        number = NUMBERS["munlockall"]
        command = [str(probe_binary()), "logged", str(number)]
        with kernel_audit.AuditLog() as log:
            with subprocess.Popen(command, stdout=subprocess.DEVNULL) as other:
                other.wait()
            with subprocess.Popen(command, stdout=subprocess.DEVNULL) as own:
                own.wait()
            assert log.codes(number, pids=[own.pid], count=1, timeout_s=2) == [0x7FFC0000]
            # What others have logged before was passed over.
            assert log.codes(number, pids=[other.pid], count=1, timeout_s=0) == []
