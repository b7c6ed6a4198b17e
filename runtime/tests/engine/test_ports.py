"""Published ports: who reaches what, and from where."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from daemons.pages import address, fetch, fetch_within, serving
from daemons.room import TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemons.seatriald import Seatriald

#: A host beside this one, on a cable: it may send whatever it likes.
_NEIGHBOUR = """
ip netns add neighbour
ip link add cable type veth peer name cable netns neighbour
ip addr add 198.51.100.1/24 dev cable
ip link set cable up
ip -n neighbour addr add 198.51.100.2/24 dev cable
ip -n neighbour link set cable up
ip -n neighbour link set lo up
"""


_ECHO = """
import socket
with socket.socket(type=socket.SOCK_DGRAM) as served:
    served.bind(("", 99))
    print("ready", flush=True)
    served.sendto(*served.recvfrom(9))
"""
_ASK = """
import socket
with socket.socket(type=socket.SOCK_DGRAM) as asking:
    asking.settimeout(9)
    asking.connect(("127.0.0.1", 8473))
    asking.send(b"ahoy")
    print(asking.recv(9).decode())
"""


@pytest.fixture(scope="module")
def neighbour(engine: Seatriald) -> Iterator[str]:
    """Return the address under which a neighbour knows the engine's host."""
    engine.room.must("sh", "-e", "-c", _NEIGHBOUR)
    yield "198.51.100.1"
    engine.room.must("ip", "netns", "del", "neighbour")


def fetch_from_outside(engine: Seatriald, where: str) -> str:
    """Fetch the page from the neighbour."""
    wget = ("busybox", "timeout", "2", "busybox", "wget", "-q", "-O", "-", f"http://{where}/")
    return engine.room.run("ip", "netns", "exec", "neighbour", *wget).text


def route_from_outside(engine: Seatriald, target: str, by: str) -> None:
    """Let the neighbour send what is for an address to the engine's host."""
    route = ("ip", "-n", "neighbour", "route", "replace", target, "via", by, "dev", "cable")
    engine.room.must(*route)


def test_a_port_is_reached_from_everywhere(engine: Seatriald, neighbour: str) -> None:
    name = serving(engine, "--network=bridge", "--publish=8470:80")
    assert engine("port", name).lines[0] == "80/tcp -> 0.0.0.0:8470"
    for where in ("127.0.0.1", "172.17.0.1", "[::1]", neighbour):
        assert fetch(engine, f"{where}:8470") == "hello", where
    assert fetch_from_outside(engine, f"{neighbour}:8470") == "hello"
    assert fetch_within(engine, "bridge", "172.17.0.1:8470") == "hello"
    own = ("busybox", "timeout", "3", "busybox", "wget", "-q", "-O", "-")
    assert engine("exec", name, *own, "http://172.17.0.1:8470/").text == "hello"
    assert engine("rm", "--force", name).status == 0
    assert fetch(engine, "127.0.0.1:8470") == ""


def test_a_port_on_loopback_is_reached_from_there_alone(engine: Seatriald, neighbour: str) -> None:
    name = serving(engine, "--network=bridge", "--publish=127.0.0.1:8471:80")
    assert fetch(engine, "127.0.0.1:8471") == "hello"
    assert fetch_from_outside(engine, f"{neighbour}:8471") == ""
    assert fetch_within(engine, "bridge", "172.17.0.1:8471") == ""
    # moby issue 45610: loopback addresses that come by the cable.
    allow = "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet"
    engine.room.must("ip", "netns", "exec", "neighbour", "sh", "-c", allow)
    engine.room.must("sh", "-c", "ip -n neighbour addr del 127.0.0.1/8 dev lo")
    route_from_outside(engine, "127.0.0.1/32", neighbour)
    assert fetch_from_outside(engine, "127.0.0.1:8471") == ""
    assert engine("rm", "--force", name).status == 0


def test_a_neighbour_reaches_nothing_that_is_not_published(
    engine: Seatriald, neighbour: str
) -> None:
    name = serving(engine, "--network=bridge")
    inner = address(engine, name, "bridge")
    route_from_outside(engine, "172.17.0.0/16", neighbour)
    assert fetch(engine, inner) == "hello"
    assert fetch_from_outside(engine, inner) == ""
    assert engine("rm", "--force", name).status == 0


def test_no_container_reaches_what_listens_on_the_hosts_loopback(engine: Seatriald) -> None:
    server = ("busybox", "httpd", "-f", "-p", "127.0.0.1:8472", "-h", "/etc")
    with engine.room.follow(*server):
        program = (
            "ip addr del 127.0.0.1/8 dev lo; echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet; "
            "ip route add 127.0.0.1/32 via 172.17.0.1 || exit 7; "
            "busybox timeout 2 busybox wget -q -O - http://127.0.0.1:8472/passwd; exit $?"
        )
        done = engine.run("sh", "-c", program, options=("--network=bridge", "--privileged"))
    assert (done.status not in {0, 7}, done.stdout) == (True, "")


def test_datagrams_are_passed_on(engine: Seatriald) -> None:
    options = ("--network=bridge", "--publish=8473:99/udp")
    name = engine.begin_container("sleep", "1000", options=options)
    with engine.within(name, "python3", "-c", _ECHO) as echo:
        echo.expect("ready")
        assert engine.room.run("python3", "-c", _ASK).text == "ahoy"
    assert engine("rm", "--force", name).status == 0


def test_ports_are_chosen_from_a_range_and_from_the_kernels(engine: Seatriald) -> None:
    both = [
        serving(engine, "--network=bridge", "--publish=8474-8475:80"),
        serving(engine, "--network=bridge", "--publish=8474-8475:80"),
        serving(engine, "--network=bridge", "--expose=80", "--publish-all"),
    ]
    told = [engine("port", name, "80/tcp").lines[0] for name in both]
    assert told[:2] == ["0.0.0.0:8474", "0.0.0.0:8475"]
    assert 32768 <= int(told[2].rpartition(":")[2]) <= 60999
    assert [fetch(engine, each) for each in told] == ["hello"] * 3
    third = engine.run("true", options=("--network=bridge", "--publish=8474-8475:80"))
    assert (third.status, "port is already allocated" in third.stderr) == (125, True)
    assert engine("rm", "--force", *both).status == 0


def test_a_port_that_somebody_has_is_refused_and_not_held(engine: Seatriald) -> None:
    name = engine.begin_container(
        "true", options=("--network=bridge", "--publish=8476:80", "--publish=8477:81")
    )
    assert engine("wait", name).text == "0"
    with engine.room.follow("busybox", "httpd", "-f", "-v", "-p", "8477"):
        refused = engine("start", name)
        while "address already in use" not in refused.stderr.lower():
            engine("stop", name)
            refused = engine("start", name)
    assert serving(engine, "--network=bridge", "--publish=8476:80")
    assert engine("rm", "--force", *engine("ps", "--all", "--quiet").lines).status == 0


def test_rules_that_somebody_flushes_are_made_again(engine: Seatriald, neighbour: str) -> None:
    name = serving(engine, "--network=bridge", "--publish=8478:80")
    engine.room.must("nft", "flush", "ruleset")
    deadline = time.monotonic() + TIMEOUT_S
    while "8478" not in engine.room.must("nft", "list", "ruleset").stdout:
        assert time.monotonic() < deadline, "the rules are not made again"
    assert fetch_from_outside(engine, f"{neighbour}:8478") == "hello"
    route_from_outside(engine, "172.17.0.0/16", neighbour)
    assert fetch_from_outside(engine, address(engine, name, "bridge")) == ""
    assert engine("rm", "--force", name).status == 0


def test_ports_are_told_as_docker_tells_them(engine: Seatriald) -> None:
    name = serving(engine, "--network=bridge", "--publish=127.0.0.1:8479:80", "--expose=81")
    told = engine.inspect(name)["NetworkSettings"]["Ports"]
    assert told == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8479"}], "81/tcp": None}
    listed = engine("ps", "--filter", f"name={name}", "--format={{.Ports}}").text
    assert listed == "81/tcp, 127.0.0.1:8479->80/tcp"
    assert engine("rm", "--force", name).status == 0
