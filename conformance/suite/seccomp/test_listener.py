"""config-linux.md, "Seccomp": ``listenerPath``, ``listenerMetadata`` and notified calls."""

from __future__ import annotations

import errno
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.agents import Agent
from seatrial.conformance.filters import filtered
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.syscalls import NUMBERS

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.conformance.config import Config
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness

NUMBER = str(NUMBERS["munlockall"])
#: Whether the filter can be loaded last: runtimes load it at another time otherwise.
for_both_times = pytest.mark.parametrize(
    "late", [True, False], ids=["no-new-privileges", "new-privileges"]
)


def notifying(harness: Harness, path: str | None, *act: str, late: bool = True) -> Config:
    """Return a config whose filter notifies of one call; the program makes it by default."""
    seccomp: dict[str, Any] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["munlockall"], "action": "SCMP_ACT_NOTIFY"}],
    }
    if path is not None:
        seccomp["listenerPath"] = path
    return filtered(harness, seccomp, *(act or ("syscall", NUMBER)), late=late)


def begin(container: Container) -> None:
    """Create and start it, both of which has to succeed."""
    for operation in (container.create, container.start):
        result = operation()
        assert result.ok, result


# Notified calls


@requirement("linux.seccomp.action.notify", "linux.seccomp.seccomp-fd-sent")
@for_both_times
@given(value=st.integers(1, 2**31), argument=st.integers(0, 2**64 - 1))
@settings(max_examples=5)
def test_the_agent_answers_for_a_call(
    harness: Harness, tmp_path: Path, value: int, argument: int, *, late: bool
) -> None:
    with Agent(tmp_path, timeout_s=harness.runtime.timeout_s) as agent:
        config = notifying(harness, agent.path, "syscall", NUMBER, str(argument), late=late)
        with harness.container(config) as container:
            begin(container)
            listener = agent.receive().listener
            notification = listener.receive()
            assert (notification.number, notification.pid) == (int(NUMBER), container.pid)
            assert notification.arguments[0] == argument
            listener.answer(notification, value=value)
            assert container.read_line() == {"act": "syscall", "ok": True, "result": value}


@requirement("linux.seccomp.action.notify")
def test_the_agent_has_a_call_fail(harness: Harness, agent: Agent) -> None:
    with harness.container(notifying(harness, agent.path)) as container:
        begin(container)
        listener = agent.receive().listener
        listener.answer(listener.receive(), error=errno.EXDEV)
        assert container.read_line()["errno"] == "EXDEV"


@requirement("linux.seccomp.action.notify")
def test_the_reaction_to_notify_without_a_path_is_recorded(harness: Harness) -> None:
    result = harness.attempt(notifying(harness, None))
    harness.note(f"SCMP_ACT_NOTIFY without listenerPath is {_taken(failed=result.failed)}")


@requirement("linux.seccomp.action.notify")
def test_the_reaction_to_notify_as_default_is_recorded(harness: Harness, agent: Agent) -> None:
    # The text allows it, and no runtime can do much after its filter is loaded then.
    config = notifying(harness, agent.path)
    config["linux"]["seccomp"]["defaultAction"] = "SCMP_ACT_NOTIFY"
    with harness.container(config) as container:
        created = container.create()
        if created.failed:
            harness.note("SCMP_ACT_NOTIFY as the default action is refused")
            return
    harness.note("SCMP_ACT_NOTIFY as the default action is accepted")


# The socket


@requirement("linux.seccomp.listener-socket-type")
def test_a_socket_that_is_no_stream_generates_an_error(harness: Harness, tmp_path: Path) -> None:
    timeout_s = harness.runtime.timeout_s
    with Agent(tmp_path, timeout_s=timeout_s, kind=socket.SOCK_DGRAM) as agent:
        assert harness.attempt(notifying(harness, agent.path)).failed


@requirement("linux.seccomp.listener-socket-type", "linux.seccomp.one-state-per-connection")
@for_both_times
def test_a_connection_carries_one_state(harness: Harness, agent: Agent, *, late: bool) -> None:
    with harness.container(notifying(harness, agent.path, late=late)) as container:
        begin(container)
        # Whatever follows the first document makes this no JSON.
        state = agent.receive().state
        assert state.get("state", {}).get("id") == container.id
        assert not agent.is_sought()


@requirement("linux.seccomp.connection-closed")
@for_both_times
def test_the_connection_is_closed_after_the_state(
    harness: Harness, agent: Agent, *, late: bool
) -> None:
    with harness.container(notifying(harness, agent.path, late=late)) as container:
        begin(container)
        assert agent.receive().ended
        # And not because all has come to an end.
        assert container.alive


@requirement("linux.seccomp.connection-not-reused")
def test_each_container_has_a_connection_of_its_own(harness: Harness, agent: Agent) -> None:
    config = notifying(harness, agent.path)
    with harness.container(config) as one, harness.container(config) as other:
        begin(one)
        begin(other)
        states = [agent.receive().state for _ in "12"]
        assert {state.get("state", {}).get("id") for state in states} == {one.id, other.id}


@requirement("linux.seccomp.connection-not-reused", "linux.seccomp.one-state-per-connection")
@needs("exec")
def test_each_process_has_a_connection_of_its_own(
    harness: Harness, agent: Agent, tmp_path: Path
) -> None:
    config = notifying(harness, agent.path, "pause")
    with harness.container(config) as container:
        begin(container)
        container.read_line()
        first = agent.receive()
        process = {**config["process"], "args": ["/probe", "exit", "0"]}
        file = tmp_path / "process.json"
        file.write_text(json.dumps(process))
        result = harness.runtime.invoke("exec", id=container.id, process=str(file))
        assert result.ok, result
        second = agent.receive()
        assert first.ended
        assert second.ended
        assert second.state.get("state", {}).get("id") == container.id
        assert second.state.get("pid") != first.state.get("pid")


# Failures


@requirement("linux.seccomp.send-failure-errors")
@for_both_times
def test_a_path_where_nothing_is_generates_an_error(
    harness: Harness, tmp_path: Path, *, late: bool
) -> None:
    config = notifying(harness, str(tmp_path / "missing"), late=late)
    assert harness.attempt(config).failed


@requirement("linux.seccomp.send-failure-errors")
@for_both_times
def test_a_socket_on_which_nobody_listens_generates_an_error(
    harness: Harness, agent: Agent, *, late: bool
) -> None:
    agent.stop_listening()
    assert harness.attempt(notifying(harness, agent.path, late=late)).failed


@requirement("linux.seccomp.send-failure-errors")
@for_both_times
def test_an_agent_that_hangs_up_before_the_state_was_sent_is_an_error(
    harness: Harness, agent: Agent, *, late: bool
) -> None:
    with harness.container(notifying(harness, agent.path, late=late)) as container:
        created = container.create()
        assert created.ok, created
        # A runtime that sends as soon as it has connected leaves no time for hanging up.
        if agent.is_sought() and agent.turn_away():
            assert container.start().failed


@requirement("linux.seccomp.send-failure-errors")
def test_without_an_agent_the_program_does_not_run(harness: Harness, tmp_path: Path) -> None:
    config = notifying(harness, str(tmp_path / "missing"), "mkdir", "/made")
    with harness.bundle(config) as bundle:
        result = harness.attempt(config, bundle=bundle)
        assert result.failed
        assert not (bundle.rootfs / "made").exists()


# What is ignored, and what has to be refused


@requirement("linux.seccomp.listener-ignored-without-notify")
@for_both_times
def test_without_notify_the_path_is_ignored(
    harness: Harness, tmp_path: Path, *, late: bool
) -> None:
    seccomp = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": str(tmp_path / "missing"),
        "syscalls": [{"names": ["munlockall"], "action": "SCMP_ACT_ERRNO"}],
    }
    config = filtered(harness, seccomp, "syscall", NUMBER, late=late)
    with harness.container(config) as container:
        begin(container)
        assert container.read_line()["errno"] == "EPERM"


@requirement("linux.seccomp.listener-metadata-needs-path")
def test_the_reaction_to_metadata_without_a_path_is_recorded(harness: Harness) -> None:
    # The rule is for authors; that a member is there is not the same as an invalid value.
    seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "text"}
    result = harness.attempt(filtered(harness, seccomp))
    harness.note(f"listenerMetadata without listenerPath is {_taken(failed=result.failed)}")


def _taken(*, failed: bool) -> str:
    return "refused" if failed else "accepted"
