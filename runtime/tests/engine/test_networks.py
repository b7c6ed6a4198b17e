"""Networks, as docker's client and the kernel see them."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from daemons import image
from daemons.pages import address, fetch, fetch_within, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemons.seatriald import Seatriald


def links(engine: Seatriald) -> set[str]:
    """Return the devices of the room, but for those of the default network."""
    told = json.loads(engine.room.must("ip", "-json", "link").stdout)
    return {each["ifname"] for each in told} - {"lo", "seatrial0"}


def elements(engine: Seatriald) -> int:
    """Return how many elements the sets and maps of our table have."""
    told = json.loads(engine.room.must("nft", "-j", "list", "table", "inet", "seatrial").stdout)
    parts = [next(iter(each.values())) for each in told["nftables"]]
    return sum(len(each.get("elem", ())) for each in parts)


@pytest.fixture
def pond(engine: Seatriald) -> Iterator[str]:
    """Return a network of our own; nothing is left of it in the end."""
    before = links(engine), elements(engine)
    assert engine("network", "create", "pond").status == 0
    yield "pond"
    left = engine("ps", "--all", "--quiet").lines
    if left:
        assert engine("rm", "--force", *left).status == 0
    assert engine("network", "rm", "pond").text == "pond"
    assert (links(engine), elements(engine)) == before


def inspected(engine: Seatriald, network: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(engine("network", "inspect", network).stdout)
    return found[0]


def test_three_networks_are_always_there(engine: Seatriald) -> None:
    told = engine("network", "ls", "--format={{.Name}} {{.Driver}} {{.Scope}}").lines
    assert {"bridge bridge local", "host host local", "none null local"} <= set(told)
    for name in ("bridge", "host", "none"):
        refused = engine("network", "rm", name)
        assert (refused.status, "pre-defined network" in refused.stderr) == (1, True)


def test_containers_of_a_network_call_one_another_by_name(engine: Seatriald, pond: str) -> None:
    name = serving(engine, f"--network={pond}", "--network-alias=boat")
    short = engine.inspect(name)["Id"][:12]
    for called in (name, "boat", "BOAT", short, f"{name}.{pond}"):
        assert fetch_within(engine, pond, called) == "hello", called


def test_a_name_means_nothing_in_other_networks(engine: Seatriald, pond: str) -> None:
    name = serving(engine, f"--network={pond}")
    assert engine("network", "create", "lake").status == 0
    asked = engine.run("busybox", "nslookup", name, options=("--network=lake",))
    assert asked.status == 1
    assert engine("network", "rm", "lake").status == 0


def test_an_address_has_the_name_of_its_container(engine: Seatriald, pond: str) -> None:
    name = serving(engine, f"--network={pond}")
    asked = ("busybox", "nslookup", address(engine, name, pond))
    assert f"name = {name}.{pond}" in engine.run(*asked, options=(f"--network={pond}",)).stdout


def test_a_link_is_a_name_for_one_container_alone(engine: Seatriald, pond: str) -> None:
    name = serving(engine, f"--network={pond}")
    linked = engine.run(
        *("busybox", "nslookup", "quay"), options=(f"--network={pond}", f"--link={name}:quay")
    )
    assert address(engine, name, pond) in linked.stdout
    assert engine.run("busybox", "nslookup", "quay", options=(f"--network={pond}",)).status == 1


def test_a_container_is_connected_and_disconnected_while_it_runs(
    engine: Seatriald, pond: str
) -> None:
    name = serving(engine, "--network=bridge")
    assert engine("network", "connect", "--alias=pier", pond, name).status == 0
    assert fetch_within(engine, pond, "pier") == "hello"
    told = engine("exec", name, "ip", "-4", "-o", "addr").stdout
    assert f"eth1    inet {address(engine, name, pond)}/16" in told
    hosts = engine("exec", name, "cat", "/etc/hosts").stdout
    assert address(engine, name, pond) in hosts
    assert engine("network", "disconnect", "bridge", name).status == 0
    assert "eth0" not in engine("exec", name, "ip", "link").stdout
    assert engine("network", "disconnect", pond, name).status == 0
    assert fetch_within(engine, pond, "pier") == ""


def test_addresses_can_be_chosen_where_the_subnet_was(engine: Seatriald) -> None:
    given = ("--subnet=10.88.7.0/24", "--gateway=10.88.7.254", "--ip-range=10.88.7.64/26")
    assert engine("network", "create", *given, "--label=depth=3", "bay").status == 0
    show = ("sh", "-c", "ip -4 -o addr show eth0; ip route")
    chosen = engine.run(*show, options=("--network=bay", "--ip=10.88.7.9")).stdout
    assert "inet 10.88.7.9/24" in chosen
    assert "default via 10.88.7.254" in chosen
    assert "inet 10.88.7.64/24" in engine.run(*show, options=("--network=bay",)).stdout
    for wanted, told in (("10.99.0.1", "no configured subnet"), ("10.88.7.254", "already in use")):
        refused = engine.run("true", options=("--network=bay", f"--ip={wanted}"))
        assert (refused.status, told in refused.stderr) == (125, True), refused
    config = inspected(engine, "bay")["IPAM"]["Config"]
    assert config == [
        {"Subnet": "10.88.7.0/24", "IPRange": "10.88.7.64/26", "Gateway": "10.88.7.254"}
    ]
    assert engine("network", "ls", "--quiet", "--filter=label=depth=3").lines
    assert engine("network", "rm", "bay").status == 0


def test_ipv6_is_spoken_where_it_was_asked_for(engine: Seatriald) -> None:
    assert engine("network", "create", "--ipv6", "--subnet=fd00:5ea::/64", "sound").status == 0
    name = serving(engine, "--network=sound", "--publish=8460:80")
    told = engine.inspect(name)["NetworkSettings"]["Networks"]["sound"]
    assert (told["GlobalIPv6Address"], told["IPv6Gateway"]) == ("fd00:5ea::2", "fd00:5ea::1")
    assert engine.run("busybox", "ping", "-c1", name, options=("--network=sound",)).status == 0
    assert fetch(engine, "[fd00:5ea::1]:8460") == "hello"
    without = engine.run("ip", "-6", "-o", "addr", options=("--network=bridge",)).stdout
    assert "eth0" not in without
    assert engine("rm", "--force", name).status == 0
    assert engine("network", "rm", "sound").status == 0


def test_a_network_in_use_is_not_removed_and_one_without_use_is_pruned(
    engine: Seatriald, pond: str
) -> None:
    serving(engine, f"--network={pond}")
    assert engine("network", "create", "idle").status == 0
    refused = engine("network", "rm", pond)
    assert (refused.status, "has active endpoints" in refused.stderr) == (1, True)
    assert engine("network", "prune", "--force").lines[:2] == ["Deleted Networks:", "idle"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("bridge",), "already exists"),
        (("--subnet=10.1.2.3", "--subnet=10.1.2.3/33", "x"), "invalid subnet"),
        (("--subnet=172.17.0.0/24", "x"), "Pool overlaps"),
        (("--subnet=10.3.0.0/24", "--gateway=10.4.0.1", "x"), "no matching subnet"),
        (("--driver=macvlan", "x"), "could not find plugin"),
        (("--driver=host", "x"), 'only one instance of "host"'),
        (("--opt=com.docker.network.driver.mtu=9", "x"), "invalid MTU"),
        (("--opt=com.docker.network.bridge.name=a/b", "x"), "invalid bridge name"),
        (("--opt=com.docker.network.bridge.name=lo", "x"), "which is no bridge"),
        (("--opt=com.docker.network.bridge.enable_icc=perhaps", "x"), "is no boolean"),
        (("a b",), "are allowed"),
    ],
)
def test_networks_that_cannot_be_are_refused(
    engine: Seatriald, words: tuple[str, ...], told: str
) -> None:
    refused = engine("network", "create", *words)
    assert (refused.status, told in refused.stderr) == (1, True), refused


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--network=nowhere",), "network nowhere not found"),
        (("--network=bridge", "--ip=172.17.0.9"), "user defined networks only"),
        (("--network=bridge", "--network-alias=x"), "etwork-scoped alias"),
        (("--network=bridge", "--mac-address=01:02:03:04:05:06"), "multicast"),
        (("--network=bridge", "--publish=192.0.2.77:8461:80"), "failed to bind host port"),
    ],
)
def test_what_a_container_cannot_be_in_a_network_is_said(
    engine: Seatriald, options: tuple[str, ...], told: str
) -> None:
    refused = engine.run("true", options=options)
    assert (refused.status, told in refused.stderr) == (125, True), refused


def test_the_files_of_a_container_say_who_it_is(engine: Seatriald) -> None:
    options = ("--network=bridge", "--hostname=mast", "--add-host=far:192.0.2.1", "--dns=192.0.2.2")
    told = engine.run("cat", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", options=options)
    assert told.lines[0] == "mast"
    assert "192.0.2.1\tfar" in told.lines
    assert any(line.startswith("172.17.0.") and line.endswith("\tmast") for line in told.lines)
    assert "nameserver 192.0.2.2" in told.lines


def test_a_namespace_is_shared_with_its_files(engine: Seatriald, pond: str) -> None:
    name = serving(engine, f"--network={pond}", "--hostname=deck")
    shared = (f"--network=container:{name}",)
    assert engine.run("busybox", "hostname", options=shared).text == "deck"
    assert engine.run("cat", "/etc/resolv.conf", options=shared).lines[0] == "nameserver 127.0.0.11"
    fetched = engine.run("busybox", "wget", "-q", "-O", "-", "http://127.0.0.1/", options=shared)
    assert fetched.text == "hello"


def test_networks_outlive_a_killed_daemon(engine: Seatriald, pond: str) -> None:
    name = serving(engine, f"--network={pond}", "--publish=8480:80")
    ended = serving(engine, f"--network={pond}", "--publish=8481:80")
    watched = os.pidfd_open(engine.pid_outside(ended))
    engine.kill_daemon()
    assert fetch(engine, "127.0.0.1:8480") == "hello"
    signal.pidfd_send_signal(watched, signal.SIGKILL)
    os.close(watched)
    engine.begin_again()
    assert engine("wait", ended).text == "137"
    assert fetch(engine, "127.0.0.1:8480") == "hello"
    assert fetch_within(engine, pond, name) == "hello"
    assert len(inspected(engine, pond)["Containers"]) == 1
    assert fetch(engine, "127.0.0.1:8481") == ""
    assert serving(engine, f"--network={pond}", "--publish=8481:80")


def test_links_of_the_default_network_are_lines_of_hosts(engine: Seatriald) -> None:
    name = serving(engine, "--network=bridge")
    # With --network=bridge the client would refuse the link.
    linked = ("run", "--rm", f"--link={name}:tug", image.NAME)
    fetched = engine(*linked, "busybox", "wget", "-q", "-O", "-", "http://tug/")
    assert fetched.stdout == "hello\n", fetched
    assert engine("rm", "--force", name).status == 0
