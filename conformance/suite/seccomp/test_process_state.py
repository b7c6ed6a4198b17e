"""config-linux.md, "The Container Process State"."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.agents import Agent
from seatrial.conformance.filters import filtered
from seatrial.conformance.marks import requirement
from seatrial.conformance.states import SEMVER, breaches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from seatrial.conformance.agents import Delivery
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness

for_both_times = pytest.mark.parametrize(
    "late", [True, False], ids=["no-new-privileges", "new-privileges"]
)


@contextlib.contextmanager
def delivered(
    harness: Harness, agent: Agent, *, late: bool = True, **members: Any
) -> Iterator[tuple[Container, Delivery]]:
    """Give a container whose filter has a listener, and what the agent was sent of it."""
    seccomp: dict[str, Any] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["munlockall"], "action": "SCMP_ACT_NOTIFY"}],
        "listenerPath": agent.path,
    }
    seccomp |= {key: value for key, value in members.items() if key != "annotations"}
    config = filtered(harness, seccomp, "pause", late=late)
    config["annotations"] = members.get("annotations", {})
    with harness.running(config) as container:
        yield container, agent.receive()


@requirement("linux.seccomp-state.json-payload")
@for_both_times
def test_the_state_is_json(harness: Harness, agent: Agent, *, late: bool) -> None:
    with delivered(harness, agent, late=late) as (_, delivery):
        assert delivery.state


@requirement("linux.seccomp-state.fds-by-scm-rights", "linux.seccomp-state.fds-in-first-sendmsg")
@for_both_times
def test_the_descriptor_comes_with_the_first_part(
    harness: Harness, agent: Agent, *, late: bool
) -> None:
    with delivered(harness, agent, late=late) as (_, delivery):
        assert [len(part.descriptors) for part in delivery.parts[:1]] == [1]
        assert not any(part.descriptors for part in delivery.parts[1:])


@requirement("linux.seccomp-state.fds-in-first-sendmsg")
def test_a_long_state_has_its_descriptor_with_its_beginning(harness: Harness, agent: Agent) -> None:
    # More than is read at once, and less than a socket holds that nobody reads yet.
    metadata = "m" * 100_000
    with delivered(harness, agent, listenerMetadata=metadata) as (_, delivery):
        assert delivery.state.get("metadata") == metadata
        assert len(delivery.parts) > 1
        assert [bool(part.descriptors) for part in delivery.parts[:2]] == [True, False]


@requirement("linux.seccomp-state.fds-order", "linux.seccomp.seccomp-fd-sent")
@for_both_times
def test_every_descriptor_has_a_name(harness: Harness, agent: Agent, *, late: bool) -> None:
    with delivered(harness, agent, late=late) as (_, delivery):
        names = delivery.state.get("fds", [])
        assert "seccompFd" in names
        assert len(names) == len(delivery.descriptors)


@requirement("linux.seccomp-state.oci-version-present")
def test_the_state_has_a_version(harness: Harness, agent: Agent) -> None:
    with delivered(harness, agent) as (_, delivery):
        assert SEMVER.fullmatch(str(delivery.state.get("ociVersion")))


@requirement("linux.seccomp-state.pid-present")
@for_both_times
def test_the_pid_is_that_of_the_container_process(
    harness: Harness, agent: Agent, *, late: bool
) -> None:
    with delivered(harness, agent, late=late) as (container, delivery):
        assert delivery.state.get("pid") == container.pid


@requirement("linux.seccomp-state.state-present")
@for_both_times
def test_the_state_of_the_container_is_a_state(
    harness: Harness, agent: Agent, *, late: bool
) -> None:
    with delivered(harness, agent, late=late) as (_, delivery):
        state = delivery.state.get("state")
        assert isinstance(state, dict)
        assert breaches(state) == []


@requirement("linux.seccomp-state.state-present")
@for_both_times
def test_the_state_of_the_container_says_what_is_known_of_it(
    harness: Harness, agent: Agent, *, late: bool
) -> None:
    said = {"org.seatrial.word": "value"}
    with delivered(harness, agent, late=late, annotations=said) as (container, delivery):
        state = delivery.state.get("state", {})
        shown = container.state()
        known = ("id", "pid", "bundle", "annotations")
        assert {key: state.get(key) for key in known} == {key: shown.get(key) for key in known}
        # Nothing says when the filter is loaded, but the program does not run then.
        assert state.get("status") in {"creating", "created"}


@requirement("linux.seccomp.listener-metadata-delivered")
@given(metadata=st.text(st.characters(codec="utf-8", exclude_characters="\0")))
@settings(max_examples=10)
def test_the_metadata_arrives_as_it_is(harness: Harness, tmp_path: Path, metadata: str) -> None:
    with (
        Agent(tmp_path, timeout_s=harness.runtime.timeout_s) as agent,
        delivered(harness, agent, listenerMetadata=metadata) as (_, delivery),
    ):
        # Empty is as good as missing.
        assert delivery.state.get("metadata", "") == metadata
