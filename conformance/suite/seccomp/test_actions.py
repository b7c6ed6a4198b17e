"""config-linux.md, "Seccomp": actions, and the errno that goes with some."""

from __future__ import annotations

import errno
import signal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.filters import (
    ENDS,
    RETURNS,
    TRAPPED,
    WITHOUT_ERRNO,
    Call,
    Entry,
    Filter,
    fails,
    filtered,
    observed,
)
from seatrial.conformance.kernel_audit import AuditLog
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.strategies.seccomp import errnos
from seatrial.conformance.syscalls import NUMBERS

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness

MATCHED, OTHER = Call("munlockall"), Call("getegid")
#: What stands in the upper half of what a filter returns for a call that is logged.
LOG = 0x7FFC0000
SYS_SECCOMP = 1


def act_line(harness: Harness, action: str, *act: str, number: int | None = None) -> dict[str, Any]:
    """Return the line that an act of the probe prints when the call it makes gets ``action``."""
    rule = Filter((Entry((MATCHED.name,), action, (), number),))
    with harness.created(filtered(harness, rule, *act, *MATCHED.words)) as container:
        started = container.start()
        assert started.ok, started
        return container.read_line()


def outcomes(harness: Harness, action: str, number: int | None = None) -> list[Any]:
    """Return what comes of a call that gets ``action``, after one that none is about."""
    rule = Filter((Entry((MATCHED.name,), action, (), number),))
    return observed(harness, rule, [OTHER, MATCHED])


# The default


@requirement("linux.seccomp.default-action-applied")
@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("SCMP_ACT_ERRNO", fails(errno.EPERM)),
        ("SCMP_ACT_TRACE", fails(errno.ENOSYS)),
        ("SCMP_ACT_TRAP", TRAPPED),
        ("SCMP_ACT_KILL_PROCESS", ENDS),
        ("SCMP_ACT_ALLOW", RETURNS),
    ],
)
def test_a_call_that_no_entry_matches_gets_the_default_action(
    harness: Harness, action: str, expected: Any
) -> None:
    listed = Entry((OTHER.name,), "SCMP_ACT_ALLOW")
    assert observed(harness, Filter((listed,), action), [OTHER, MATCHED]) == [RETURNS, expected]


@requirement("linux.seccomp.default-errno-ret")
@given(number=errnos())
@settings(max_examples=10)
def test_the_default_action_has_its_errno(harness: Harness, number: int) -> None:
    rule = Filter((), "SCMP_ACT_ERRNO", number)
    assert observed(harness, rule, [MATCHED]) == [fails(number)]


@requirement("linux.seccomp.default-errno-ret")
def test_the_errno_of_the_default_action_is_eperm_when_missing(harness: Harness) -> None:
    assert observed(harness, Filter((), "SCMP_ACT_ERRNO"), [MATCHED]) == [fails(errno.EPERM)]


@requirement("linux.seccomp.default-errno-ret-wrong-action-errors")
@given(action=st.sampled_from(WITHOUT_ERRNO), number=errnos())
@settings(max_examples=10)
def test_an_errno_for_a_default_action_that_takes_none_is_an_error(
    harness: Harness, action: str, number: int
) -> None:
    rule = Filter((Entry((OTHER.name,), "SCMP_ACT_ERRNO"),), action, number)
    # What is wrong is the errno alone: all that the runtime or the program calls is allowed.
    assert harness.attempt(filtered(harness, rule)).failed


# The errno of an entry


@requirement("linux.seccomp.syscalls.errno-ret", "linux.seccomp.action.errno")
def test_an_entry_without_an_errno_gives_eperm(harness: Harness) -> None:
    assert outcomes(harness, "SCMP_ACT_ERRNO") == [RETURNS, fails(errno.EPERM)]


@requirement("linux.seccomp.syscalls.errno-ret")
@given(number=errnos())
@settings(max_examples=10)
def test_an_entry_has_its_errno(harness: Harness, number: int) -> None:
    assert outcomes(harness, "SCMP_ACT_ERRNO", number) == [RETURNS, fails(number)]


@requirement("linux.seccomp.syscalls.errno-ret")
def test_entries_have_errnos_of_their_own(harness: Harness) -> None:
    rule = Filter(
        (
            Entry(("munlockall",), "SCMP_ACT_ERRNO", (), errno.EXDEV),
            Entry(("getegid",), "SCMP_ACT_ERRNO", (), errno.EMLINK),
            Entry(("getgid",), "SCMP_ACT_ERRNO"),
        )
    )
    seen = observed(harness, rule, [Call("munlockall"), Call("getegid"), Call("getgid")])
    assert seen == [fails(errno.EXDEV), fails(errno.EMLINK), fails(errno.EPERM)]


@requirement("linux.seccomp.syscalls.errno-ret")
def test_a_tracer_is_told_the_errno_of_an_entry(harness: Harness) -> None:
    line = act_line(harness, "SCMP_ACT_TRACE", "traced", number=errno.EXDEV)
    assert (line["event"], line["message"]) == (True, errno.EXDEV)


@requirement("linux.seccomp.syscalls.errno-ret-wrong-action-errors")
@given(action=st.sampled_from(WITHOUT_ERRNO), number=errnos())
@settings(max_examples=10)
def test_an_errno_for_an_action_that_takes_none_is_an_error(
    harness: Harness, action: str, number: int
) -> None:
    rule = Filter((Entry((MATCHED.name,), action, (), number),), "SCMP_ACT_ALLOW")
    assert harness.attempt(filtered(harness, rule)).failed


# Actions


@requirement("linux.seccomp.action.allow")
def test_a_call_is_allowed_among_others_that_are_not(harness: Harness) -> None:
    rule = Filter((Entry((MATCHED.name,), "SCMP_ACT_ALLOW"),), "SCMP_ACT_ERRNO")
    assert observed(harness, rule, [OTHER, MATCHED]) == [fails(errno.EPERM), RETURNS]


@requirement("linux.seccomp.action.errno")
def test_a_call_that_gets_an_errno_is_not_made(harness: Harness) -> None:
    rule = Filter((Entry(("mkdir", "mkdirat"), "SCMP_ACT_ERRNO", (), errno.EXDEV),))
    config = filtered(harness, rule, "mkdir", "/made")
    with harness.created(config) as container:
        started = container.start()
        assert started.ok, started
        assert container.read_line()["errno"] == "EXDEV"
        assert not (container.bundle.rootfs / "made").exists()


@requirement("linux.seccomp.action.kill")
def test_kill_ends_the_thread(harness: Harness) -> None:
    assert outcomes(harness, "SCMP_ACT_KILL") == [RETURNS, ENDS]


@requirement("linux.seccomp.action.kill")
def test_kill_is_another_word_for_kill_thread(harness: Harness) -> None:
    # seccomp.h defines the one as the other.
    assert act_line(harness, "SCMP_ACT_KILL", "thread")["returned"] is False


@requirement("linux.seccomp.action.kill-thread")
def test_kill_thread_ends_a_process_that_has_no_other_thread(harness: Harness) -> None:
    assert outcomes(harness, "SCMP_ACT_KILL_THREAD") == [RETURNS, ENDS]


@requirement("linux.seccomp.action.kill-thread")
def test_kill_thread_leaves_other_threads_alone(harness: Harness) -> None:
    assert act_line(harness, "SCMP_ACT_KILL_THREAD", "thread")["returned"] is False


@requirement("linux.seccomp.action.kill-process")
def test_kill_process_ends_all_threads(harness: Harness) -> None:
    rule = Filter((Entry((MATCHED.name,), "SCMP_ACT_KILL_PROCESS"),))
    with harness.created(filtered(harness, rule, "thread", *MATCHED.words)) as container:
        started = container.start()
        assert started.ok, started
        assert container.output() == b""
        assert container.exit_status == -signal.SIGSYS


@requirement("linux.seccomp.action.trap")
def test_trap_sends_a_signal_that_says_why(harness: Harness) -> None:
    line = act_line(harness, "SCMP_ACT_TRAP", "trapped")
    assert line["signal"] == signal.SIGSYS
    assert (line["code"], line["syscall"]) == (SYS_SECCOMP, NUMBERS[MATCHED.name])


@requirement("linux.seccomp.action.trap")
def test_trap_ends_a_process_without_a_handler(harness: Harness) -> None:
    rule = Filter((Entry((MATCHED.name,), "SCMP_ACT_TRAP"),))
    with harness.created(filtered(harness, rule, "syscall", *MATCHED.words)) as container:
        started = container.start()
        assert started.ok, started
        container.wait()
        assert container.exit_status == -signal.SIGSYS


@requirement("linux.seccomp.action.trace")
def test_trace_fails_with_enosys_where_nobody_traces(harness: Harness) -> None:
    assert outcomes(harness, "SCMP_ACT_TRACE") == [RETURNS, fails(errno.ENOSYS)]


@requirement("linux.seccomp.action.trace")
def test_trace_tells_the_tracer(harness: Harness) -> None:
    assert act_line(harness, "SCMP_ACT_TRACE", "traced")["event"] is True


@requirement("linux.seccomp.action.log")
def test_a_call_that_is_logged_is_made(harness: Harness) -> None:
    assert outcomes(harness, "SCMP_ACT_LOG") == [RETURNS, RETURNS]


@requirement("linux.seccomp.action.log")
@needs("kernel-audit")
def test_a_call_is_logged(harness: Harness) -> None:
    with AuditLog() as log:
        outcomes(harness, "SCMP_ACT_LOG")
        codes = log.codes(NUMBERS[MATCHED.name], pids=harness.pids, count=1, timeout_s=1)
    assert codes == [LOG]
