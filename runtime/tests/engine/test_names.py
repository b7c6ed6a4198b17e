"""The name server of a container, and what may be sent to it: attacks A40 and A43."""

from __future__ import annotations

import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemons.room import Follower
    from daemons.seatriald import Seatriald

#: An upstream server at 192.0.2.53: it says what it is asked, and answers with 192.0.2.1 after a
#: forged answer with another number, and one to another question.
_UPSTREAM = """
import socket, sys
with socket.socket(type=socket.SOCK_DGRAM) as served:
    served.bind(("192.0.2.53", 53))
    print("ready", flush=True)
    while True:
        data, whence = served.recvfrom(4096)
        print("asked", data[13 : 13 + data[12]].decode(), flush=True)
        def answer(number, address, question=data[12:]):
            head = number + bytes.fromhex("8180 0001 0001 0000 0000")
            record = bytes.fromhex("c00c 0001 0001 0000003c 0004")
            return head + question + record + socket.inet_aton(address)
        served.sendto(answer(bytes([data[0] ^ 1, data[1]]), "192.0.2.66"), whence)
        other = data[12:].replace(b"far", b"bar")
        served.sendto(answer(data[:2], "192.0.2.66", other), whence)
        served.sendto(answer(data[:2], "192.0.2.1"), whence)
"""
#: Sends what it is given as hexadecimal numbers, by UDP or TCP, and says what comes back.
_SEND = """
import socket, sys
kind, data = sys.argv[1], bytes.fromhex(sys.argv[2])
with socket.socket(type=socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as asking:
    asking.settimeout(9)
    asking.connect(("127.0.0.11", 53))
    asking.sendall(data)
    if kind == "tcp":
        asking.shutdown(socket.SHUT_WR)
    print(asking.recv(4096).hex())
"""
_HEADER = struct.pack("!HHHHHH", 0x1234, 0x0100, 1, 0, 0, 0)
_TAIL = struct.pack("!HH", 1, 1)


def question(name: str) -> bytes:
    """Return a query for a name's IPv4 addresses."""
    labels = b"".join(bytes([len(each)]) + each.encode() for each in name.split("."))
    return _HEADER + labels + b"\0" + _TAIL


@pytest.fixture(scope="module")
def upstream(engine: Seatriald) -> Iterator[Follower]:
    """Let this host know one server, on a device of its own; it tells what it is asked."""
    for command in (
        "ip link add upstream type bridge",
        "ip addr add 192.0.2.53/24 dev upstream",
        "ip link set upstream up",
        "rm -f /etc/resolv.conf; echo nameserver 192.0.2.53 >/etc/resolv.conf",
    ):
        engine.room.must("sh", "-c", command)
    with engine.room.follow("python3", "-c", _UPSTREAM) as server:
        server.expect("ready")
        yield server
    engine.room.must("ip", "link", "del", "upstream")


@pytest.fixture
def moored(engine: Seatriald, upstream: Follower) -> Iterator[str]:
    """Return a container in a network of its own."""
    del upstream
    assert engine("network", "create", "mooring").status == 0
    name = engine.begin_container("sleep", "1000", options=("--network=mooring",))
    yield name
    assert engine("rm", "--force", name).status == 0
    assert engine("network", "rm", "mooring").status == 0


def send(engine: Seatriald, name: str, kind: str, data: bytes) -> bytes:
    """Send something to a container's name server; return what comes back."""
    entering = ("nsenter", "--net", "--target", str(engine.state(name)["Pid"]), "--")
    return bytes.fromhex(engine.room.must(*entering, "python3", "-c", _SEND, kind, data.hex()).text)


def test_what_nobody_here_is_called_is_asked_upstream(
    engine: Seatriald, moored: str, upstream: Follower
) -> None:
    told = engine("exec", moored, "busybox", "nslookup", "-type=a", "far.example")
    upstream.expect("asked far\n")
    assert "192.0.2.1\n" in told.stdout
    assert "192.0.2.66" not in told.stdout


def test_an_internal_network_sends_nothing_out(engine: Seatriald, upstream: Follower) -> None:
    assert engine("network", "create", "--internal", "cove").status == 0
    inside = ("--network=cove",)
    asked = engine.run("busybox", "nslookup", "inner.example", options=inside)
    assert (asked.status, "SERVFAIL" in asked.stdout) == (1, True)
    assert engine.run("busybox", "ping", "-c1", "192.0.2.53", options=inside).status == 1
    engine.run("busybox", "nslookup", "outer.example", options=("--network=bridge",))
    upstream.expect("asked ")
    assert upstream.said.startswith("outer")
    assert engine("network", "rm", "cove").status == 0


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (_HEADER + b"\xc0\x0c" + _TAIL, 1),
        (_HEADER + b"\xc0\x0e\xc0\x0c" + _TAIL, 1),
        (_HEADER + b"\x3f" + b"x" * 5, 1),
        (_HEADER, 1),
        (question("a" * 63)[:2] + b"\x10\x00" + question("x")[4:], 4),
    ],
    ids=["loop", "two", "cut", "empty", "status"],
)
def test_queries_that_are_none_are_answered_as_such(
    engine: Seatriald, moored: str, data: bytes, code: int
) -> None:
    answer = send(engine, moored, "udp", data)
    assert (answer[:2], answer[3] & 15) == (data[:2], code)
    assert moored.encode() in send(engine, moored, "udp", question(moored))


def test_the_longest_message_by_tcp_is_no_matter(engine: Seatriald, moored: str) -> None:
    longest = question(moored) + b"\0" * (65535 - len(question(moored)))
    answer = send(engine, moored, "tcp", struct.pack("!H", 65535) + longest[:1000])
    assert answer == b""
    whole = send(engine, moored, "tcp", struct.pack("!H", len(question(moored))) + question(moored))
    assert moored.encode() in whole


def test_a_daemon_with_very_many_descriptors_serves_names() -> None:
    program = """
import os, resource
from seatrial.engine.network import links, namespaces, resolver
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
namespace = namespaces.make(links.prepare)
held = [os.dup(0) for _ in range(1100)]
sockets = namespaces.inside(namespace, resolver.open_sockets)
print(sockets.datagrams.getsockname()[0])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "127.0.0.11\n", "")
