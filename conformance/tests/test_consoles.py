"""Consoles: a terminal comes through the socket, whenever it is sent, and is read to its end."""

from __future__ import annotations

import os
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance.consoles import Console, ConsoleSocket
from seatrial.conformance.errors import HarnessError, Hung, Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMEOUT_S = 10.0
#: For what never comes.
PATIENCE_S = 0.05


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[ConsoleSocket]:
    # pytest's own path may be long, and holds the name of the test.
    with ConsoleSocket(tmp_path) as console_socket:
        yield console_socket


@pytest.fixture
def terminal() -> Iterator[tuple[Console, int]]:
    """A console and the program's end of its terminal."""
    master, slave = os.openpty()
    with Console(master, timeout_s=TIMEOUT_S) as console:
        yield console, slave


def send(listener: ConsoleSocket, *descriptors: int) -> None:
    """Do what a runtime does: connect, send, and be gone before anybody has accepted."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(listener.path)
        socket.send_fds(connection, [b"/dev/ptmx"], descriptors)


@contextmanager
def sent_pty(listener: ConsoleSocket) -> Iterator[int]:
    """Send a new pseudoterminal's master, and give the other end."""
    master, slave = os.openpty()
    send(listener, master)
    os.close(master)
    yield slave
    os.close(slave)


def test_a_terminal_that_was_sent_before_anybody_looked_is_received(
    listener: ConsoleSocket,
) -> None:
    with sent_pty(listener) as slave, listener.receive(timeout_s=TIMEOUT_S) as console:
        os.write(slave, b'{"act": "say"}\n')
        assert console.read_line() == {"act": "say"}


def test_what_is_received_is_not_handed_down_to_the_next_command(listener: ConsoleSocket) -> None:
    with sent_pty(listener), listener.receive(timeout_s=TIMEOUT_S) as console:
        assert not os.get_inheritable(console.fileno())


def test_nothing_that_connects_is_a_hang(listener: ConsoleSocket) -> None:
    with pytest.raises(Hung, match="nobody connected"):
        listener.receive(timeout_s=PATIENCE_S)


def test_nothing_that_is_sent_is_a_hang(listener: ConsoleSocket) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(listener.path)
        with pytest.raises(Hung, match="nothing was sent"):
            listener.receive(timeout_s=PATIENCE_S)


def test_a_message_without_a_descriptor_is_malformed(listener: ConsoleSocket) -> None:
    send(listener)
    with pytest.raises(Malformed, match="0 descriptors"):
        listener.receive(timeout_s=TIMEOUT_S)


def test_a_connection_that_is_closed_at_once_is_malformed(listener: ConsoleSocket) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(listener.path)
    with pytest.raises(Malformed, match="0 descriptors"):
        listener.receive(timeout_s=TIMEOUT_S)


def test_two_descriptors_are_malformed_and_do_not_stay_open(listener: ConsoleSocket) -> None:
    before = os.listdir("/proc/self/fd")
    master, slave = os.openpty()
    send(listener, master, slave)
    os.close(master)
    os.close(slave)
    with pytest.raises(Malformed, match="2 descriptors"):
        listener.receive(timeout_s=TIMEOUT_S)
    assert os.listdir("/proc/self/fd") == before


def test_a_descriptor_that_is_no_terminal_is_malformed(listener: ConsoleSocket) -> None:
    reader, writer = os.pipe()
    send(listener, reader)
    with pytest.raises(Malformed, match="not a terminal"):
        listener.receive(timeout_s=TIMEOUT_S)
    os.close(reader)
    os.close(writer)


def test_a_path_that_no_socket_can_have_is_our_own_error(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    with pytest.raises(HarnessError, match="too long"):
        ConsoleSocket(folder)


def test_the_socket_is_gone_after_its_context(tmp_path: Path) -> None:
    with ConsoleSocket(tmp_path) as console_socket:
        assert os.path.exists(console_socket.path)
    assert not list(tmp_path.iterdir())


def test_the_output_ends_when_nobody_has_the_terminal_any_more(
    terminal: tuple[Console, int],
) -> None:
    console, slave = terminal
    os.write(slave, b"one\ntwo")
    os.close(slave)
    assert console.output() == b"one\r\ntwo"
    assert console.ended


def test_lines_come_one_by_one_and_in_order(terminal: tuple[Console, int]) -> None:
    console, slave = terminal
    os.write(slave, b'{"act": "one"}\n{"act": "two"}\n')
    assert [console.read_line()["act"], console.read_line()["act"]] == ["one", "two"]
    os.close(slave)
    with pytest.raises(Malformed, match="without a line"):
        console.read_line()


def test_a_terminal_that_stays_open_and_silent_is_a_hang() -> None:
    master, slave = os.openpty()
    began = time.monotonic()
    with Console(master, timeout_s=PATIENCE_S) as console, pytest.raises(Hung, match="nothing"):
        console.output()
    assert time.monotonic() - began < TIMEOUT_S
    os.close(slave)


def test_a_program_that_printed_no_report_is_malformed(terminal: tuple[Console, int]) -> None:
    console, slave = terminal
    os.close(slave)
    with pytest.raises(Malformed, match="printed nothing"):
        console.report()


def test_what_is_typed_is_what_the_program_reads(terminal: tuple[Console, int]) -> None:
    console, slave = terminal
    console.write(b"typed\n")
    assert os.read(slave, 100) == b"typed\n"
    os.close(slave)
