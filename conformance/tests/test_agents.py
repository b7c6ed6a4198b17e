"""The seccomp agent: what comes through its socket, whole or in parts, with or without care."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance.agents import Agent
from seatrial.conformance.errors import Malformed, Misbehaved

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STATE = json.dumps({"fds": ["other", "seccompFd"], "pid": 1}).encode()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    with Agent(tmp_path, timeout_s=0.2) as listening:
        yield listening


def connected(agent: Agent) -> socket.socket:
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sender.connect(agent.path)
    return sender


def test_a_state_comes_with_its_descriptors(agent: Agent) -> None:
    reader, writer = os.pipe()
    with connected(agent) as sender:
        socket.send_fds(sender, [STATE[:9]], [reader, writer])
        sender.sendall(STATE[9:])
    delivery = agent.receive()
    assert delivery.ended
    assert delivery.state["pid"] == 1
    assert len(delivery.parts[0].descriptors) == 2
    assert len(delivery.descriptors) == 2
    assert not os.get_inheritable(delivery.descriptors[0])
    # A pipe is no listener.
    os.write(writer, b"x")
    os.close(reader)
    os.close(writer)
    with pytest.raises((Malformed, Misbehaved)):
        delivery.listener.receive()


def test_a_connection_that_stays_open_has_not_ended(agent: Agent) -> None:
    with connected(agent) as sender:
        sender.sendall(STATE)
        delivery = agent.receive()
    assert not delivery.ended
    with pytest.raises(Malformed, match="only 0 were sent"):
        _ = delivery.listener


@pytest.mark.parametrize("payload", [b"", b"{} {}", b"[]", b"\xff"])
def test_what_is_no_object_is_malformed(agent: Agent, payload: bytes) -> None:
    with connected(agent) as sender:
        sender.sendall(payload)
    with pytest.raises(Malformed):
        _ = agent.receive().state


def test_nobody_is_a_verdict(agent: Agent) -> None:
    assert not agent.is_sought()
    with pytest.raises(Misbehaved, match="nobody connected"):
        agent.receive()


def test_turning_away_tells_whether_it_was_too_late(agent: Agent) -> None:
    with connected(agent):
        assert agent.is_sought()
        assert agent.turn_away()
    with connected(agent) as sender:
        sender.sendall(STATE)
        assert not agent.turn_away()


def test_nothing_is_left(tmp_path: Path) -> None:
    with Agent(tmp_path, timeout_s=1) as agent:
        agent.stop_listening()
    assert list(tmp_path.iterdir()) == []
