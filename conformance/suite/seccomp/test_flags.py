"""config-linux.md, "Seccomp": ``flags``."""

from __future__ import annotations

import errno
import os
import signal
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance.filters import RETURNS, Call, Entry, Filter, fails, filtered, observed
from seatrial.conformance.kernel_audit import AuditLog
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.syscalls import NUMBERS

if TYPE_CHECKING:
    from seatrial.conformance.agents import Agent
    from seatrial.conformance.harness import Harness

#: What the log says that was done to a call, without the errno.
LOG, ERRNO = 0x7FFC0000, 0x00050000
DENIED = fails(errno.EXDEV)


def flagged(*flags: str) -> Filter:
    """Return a filter that is loaded with flags and denies one call."""
    entry = Entry(("munlockall",), "SCMP_ACT_ERRNO", (), errno.EXDEV)
    return Filter((entry,), members={"flags": list(flags)})


def is_refused(harness: Harness, flag: str) -> bool:
    """Whether a runtime does not support a flag, which it may as long as it says so."""
    refused = harness.attempt(filtered(harness, flagged(flag))).failed
    if refused:
        harness.note(f"{flag} is refused")
    return refused


def store_bypass(harness: Harness, seccomp: Filter | None) -> str:
    """Return what the kernel says of a program's exposure to speculative store bypass."""
    config = harness.config("read", "/proc/self/status")
    if seccomp is not None:
        config = filtered(harness, seccomp, "read", "/proc/self/status")
    with harness.created(config) as container:
        started = container.start()
        assert started.ok, started
        lines = str(container.read_line()["content"]).splitlines()
    return next((line for line in lines if line.startswith("Speculation_Store_Bypass:")), "")


@pytest.mark.parametrize(
    "flag",
    [
        pytest.param("SECCOMP_FILTER_FLAG_TSYNC", marks=requirement("linux.seccomp.flag.tsync")),
        pytest.param("SECCOMP_FILTER_FLAG_LOG", marks=requirement("linux.seccomp.flag.log")),
        pytest.param(
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW", marks=requirement("linux.seccomp.flag.spec-allow")
        ),
    ],
)
@pytest.mark.parametrize("late", [True, False], ids=["no-new-privileges", "new-privileges"])
def test_a_filter_with_a_flag_filters(harness: Harness, flag: str, *, late: bool) -> None:
    if is_refused(harness, flag):
        return
    calls = [Call("munlockall"), Call("getegid")]
    assert observed(harness, flagged(flag), calls, late=late) == [DENIED, RETURNS]


@requirement("linux.seccomp.flag.log")
@needs("kernel-audit")
@pytest.mark.parametrize(
    "others",
    [
        [],
        ["SECCOMP_FILTER_FLAG_TSYNC"],
        ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
        # Which the kernel takes with a listener only.
        ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
    ],
    ids=lambda others: "".join(others).rpartition("FLAG_")[2].lower() or "alone",
)
def test_with_the_flag_log_denied_calls_are_logged(harness: Harness, others: list[str]) -> None:
    flags = ["SECCOMP_FILTER_FLAG_LOG", *others]
    if harness.attempt(filtered(harness, flagged(*flags))).failed:
        harness.note(f"flags {' and '.join(flags)} are refused")
        return
    with AuditLog() as log:
        observed(harness, flagged(*flags), [Call("munlockall")])
        codes = log.codes(NUMBERS["munlockall"], pids=harness.pids, count=1, timeout_s=1)
    assert codes == [ERRNO]


@requirement("linux.seccomp.flag.log")
@needs("kernel-audit")
def test_without_the_flag_log_denied_calls_are_not_logged(harness: Harness) -> None:
    # The call that is logged for its action comes last, so that nothing has to be waited for.
    last = Entry(("getegid",), "SCMP_ACT_LOG")
    rule = Filter((*flagged().entries, last))
    with AuditLog() as log:
        observed(harness, rule, [Call("munlockall"), Call("getegid")])
        calls = NUMBERS["getegid"], NUMBERS["munlockall"]
        codes = log.codes(*calls, pids=harness.pids, count=1, timeout_s=1)
    assert codes == [LOG]


@requirement("linux.seccomp.flag.spec-allow")
def test_with_the_flag_spec_allow_speculation_is_what_it_is_without_a_filter(
    harness: Harness,
) -> None:
    flag = "SECCOMP_FILTER_FLAG_SPEC_ALLOW"
    if not is_refused(harness, flag):
        assert store_bypass(harness, flagged(flag)) == store_bypass(harness, None)


@requirement("linux.seccomp.flag.wait-killable-recv")
def test_with_the_flag_wait_killable_recv_a_signal_waits_for_the_answer(
    harness: Harness, agent: Agent
) -> None:
    rule = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
        "syscalls": [{"names": ["munlockall"], "action": "SCMP_ACT_NOTIFY"}],
        "listenerPath": agent.path,
    }
    act = ["handle", str(int(signal.SIGUSR1)), "+", "syscall", str(NUMBERS["munlockall"])]
    with harness.container(filtered(harness, rule, *act)) as container:
        if container.create().failed or container.start().failed:
            harness.note("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is refused")
            return
        listener = agent.receive().listener
        notification = listener.receive()
        os.kill(notification.pid, signal.SIGUSR1)
        # Otherwise the call would be interrupted, and be over.
        assert not listener.is_asked_again()
        assert listener.waits(notification)
        listener.answer(notification, value=7)
        assert [container.read_line()["act"], container.read_line()["result"]] == ["handle", 7]


@requirement("linux.seccomp.flag.wait-killable-recv")
def test_without_the_flag_wait_killable_recv_a_signal_interrupts(
    harness: Harness, agent: Agent
) -> None:
    rule = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["munlockall"], "action": "SCMP_ACT_NOTIFY"}],
        "listenerPath": agent.path,
    }
    act = ["handle", str(int(signal.SIGUSR1)), "+", "syscall", str(NUMBERS["munlockall"])]
    with harness.container(filtered(harness, rule, *act)) as container:
        for operation in (container.create, container.start):
            result = operation()
            assert result.ok, result
        notification = agent.receive().listener.receive()
        os.kill(notification.pid, signal.SIGUSR1)
        assert [container.read_line()["act"], container.read_line()["errno"]] == ["handle", "EINTR"]
