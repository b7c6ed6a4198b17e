"""Who may not talk to whom: attacks A40 to A42."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from daemons.pages import address, fetch, fetch_within, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemons.seatriald import Seatriald

_CLOSED = "--opt=com.docker.network.bridge.enable_icc=false"


@pytest.fixture
def waters(engine: Seatriald) -> Iterator[dict[str, str]]:
    """Return containers that serve, by the networks that they are in: each is of another kind."""
    kinds = {"east": (), "west": (), "shut": (_CLOSED,), "inland": ("--internal",)}
    for network, options in kinds.items():
        assert engine("network", "create", *options, network).status == 0
    yield {network: serving(engine, f"--network={network}") for network in kinds}
    assert engine("rm", "--force", *engine("ps", "--all", "--quiet").lines).status == 0
    assert engine("network", "rm", *kinds).status == 0


def test_networks_are_apart(engine: Seatriald, waters: dict[str, str]) -> None:
    where = {network: address(engine, name, network) for network, name in waters.items()}
    for network, target in where.items():
        assert fetch(engine, target) == "hello", network
    assert fetch_within(engine, "east", where["east"]) == "hello"
    for origin, target in (("east", "west"), ("west", "east"), ("inland", "east")):
        assert fetch_within(engine, origin, where[target]) == "", (origin, target)


def test_containers_of_a_closed_network_are_apart(
    engine: Seatriald, waters: dict[str, str]
) -> None:
    target = address(engine, waters["shut"], "shut")
    gateway = engine.inspect(waters["shut"])["NetworkSettings"]["Networks"]["shut"]["Gateway"]
    # By the bridge's ports, then by the host as a router.
    for route in ("true", f"ip route add {target}/32 via {gateway}"):
        command = f"{route} && busybox timeout 2 busybox ping -c1 -W1 {target}; exit $?"
        options = ("--network=shut", "--cap-add=NET_ADMIN")
        assert "1 packets received" not in engine.run("sh", "-c", command, options=options).stdout


def test_an_internal_network_has_no_way_out(engine: Seatriald, waters: dict[str, str]) -> None:
    gateway = engine("network", "inspect", "--format={{(index .IPAM.Config 0).Gateway}}", "inland")
    outside = address(engine, waters["east"], "east")
    assert "default" not in engine.run("ip", "route", options=("--network=inland",)).stdout
    command = (
        f"ip route add default via {gateway.text} && "
        f"busybox timeout 2 busybox wget -q -O - http://{outside}/; exit $?"
    )
    options = ("--network=inland", "--cap-add=NET_ADMIN")
    done = engine.run("sh", "-c", command, options=options)
    assert (done.status != 0, done.stdout) == (True, "")


def test_no_container_tells_the_host_of_routes(engine: Seatriald, waters: dict[str, str]) -> None:
    del waters
    command = "cat /proc/sys/net/ipv6/conf/br-*/accept_ra /proc/sys/net/ipv6/conf/veth*/accept_ra"
    assert set(engine.room.must("sh", "-c", command).lines) == {"0"}
