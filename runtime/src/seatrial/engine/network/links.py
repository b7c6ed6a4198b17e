"""Devices and addresses, over netlink: bridges, pairs of devices, routes (rtnetlink(7)).

pyroute2 has an event loop of its own, so nothing here is for the thread that the daemon's is in.
"""

from __future__ import annotations

import errno
import ipaddress
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pyroute2.iproute.linux import IPRoute  # type: ignore[import-untyped]
from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]

from seatrial.engine.errors import EngineError, Forbidden

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.engine.network.addresses import Subnet
    from seatrial.engine.network.endpoints import Endpoint
    from seatrial.engine.network.networks import Network

#: The number of every namespace's loopback device.
_LOOPBACK = 1
#: No duplicates are looked for (RFC 4862), as every address is given out here.
_NODAD = 0x02


@contextmanager
def _netlink(what: str) -> Iterator[Any]:
    """Open a connection to the kernel; what it refuses is told with what was to be done."""
    try:
        with IPRoute() as connection:
            yield connection
    except NetlinkError as error:
        raise EngineError(f"{what}: {error}") from error


def subnets_in_use(without: set[str]) -> list[Subnet]:
    """Return the subnets that this host has routes to, but for those of some devices."""
    found: list[Subnet] = []
    with _netlink("cannot read the routes") as kernel:
        own = {index for name in without for index in kernel.link_lookup(ifname=name)}
        for route in kernel.get_routes(family=2):
            target, length = route.get_attr("RTA_DST"), route["dst_len"]
            if target and length and route.get_attr("RTA_OIF") not in own:
                found.append(ipaddress.ip_network(f"{target}/{length}", strict=False))
    return found


def make_bridge(network: Network) -> None:
    """Make a network's bridge with its addresses, if it is not there."""
    name = network.device
    with _netlink(f"cannot make the bridge {name}") as kernel:
        with _unless(errno.EEXIST):
            kernel.link("add", ifname=name, kind="bridge", mtu=network.mtu)
        link = next(iter(kernel.get_links(ifname=name)))
        index = link["index"]
        if link.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") != "bridge":
            raise Forbidden(f"there is a device {name} which is no bridge")
        set_ipv6(name, on=network.ipv6)
        _sysctl(f"ipv4/conf/{name}/route_localnet", "1")
        for pool in network.pools:
            more = {"flags": _NODAD} if pool.version == 6 else {}  # noqa: PLR2004 - IPv6
            with _unless(errno.EEXIST):
                kernel.addr(
                    "add",
                    index=index,
                    address=pool.gateway,
                    prefixlen=pool.network.prefixlen,
                    **more,
                )
        kernel.link("set", index=index, state="up")


def set_ipv6(device: str, *, on: bool) -> None:
    """Let a device speak IPv6 or not; never does a neighbour tell it of routes (CVE-2020-13401)."""
    _sysctl(f"ipv6/conf/{device}/accept_ra", "0")
    _sysctl(f"ipv6/conf/{device}/disable_ipv6", "0" if on else "1")


def remove(device: str) -> None:
    """Remove a device, and with it its peer."""
    with _netlink(f"cannot remove the device {device}") as kernel, _unless(errno.ENODEV):
        kernel.link("del", ifname=device)


def remove_others(bridges: set[str], known: set[str]) -> None:
    """Remove the devices at our bridges that nobody knows of."""
    with _netlink("cannot list the devices") as kernel:
        own = {index for name in bridges for index in kernel.link_lookup(ifname=name)}
        for link in kernel.get_links():
            name = link.get_attr("IFLA_IFNAME")
            if link.get_attr("IFLA_MASTER") in own and name not in known:
                with _unless(errno.ENODEV):
                    kernel.link("del", index=link["index"])


def make_pair(endpoint: Endpoint, network: Network, namespace: int) -> None:
    """Make a pair of devices: one at the network's bridge, the other in a namespace."""
    name = endpoint.host_device
    with _netlink(f"cannot connect to the bridge {network.device}") as kernel:
        bridge = kernel.link_lookup(ifname=network.device)
        if not bridge:
            raise EngineError(f"the bridge {network.device} is gone (hint: start seatriald again)")
        kernel.link(
            "add",
            ifname=name,
            kind="veth",
            mtu=network.mtu,
            peer={
                "ifname": endpoint.device,
                "net_ns_fd": namespace,
                "address": endpoint.mac,
                "mtu": network.mtu,
            },
        )
        set_ipv6(name, on=False)
        index = kernel.link_lookup(ifname=name)[0]
        kernel.link("set", index=index, master=bridge[0], state="up")
        # A packet for a published port may go back to where it came from (hairpin); containers
        # that may not talk do not even see each other's frames (isolated).
        kernel.brport("set", index=index, mode=1, isolated=int(not network.open))


def prepare() -> None:
    """Make the namespace that this thread is in ready for devices."""
    with _netlink("cannot set up the loopback device") as kernel:
        kernel.link("set", index=_LOOPBACK, state="up")
    set_ipv6("default", on=False)


def configure(endpoint: Endpoint) -> None:
    """Give a device its addresses, in the namespace that this thread is in."""
    with _netlink(f"cannot set up the device {endpoint.device}") as kernel:
        index = kernel.link_lookup(ifname=endpoint.device)[0]
        if endpoint.address:
            kernel.addr("add", index=index, address=endpoint.address, prefixlen=endpoint.prefix)
        if endpoint.address6:
            set_ipv6(endpoint.device, on=True)
            kernel.addr(
                "add",
                index=index,
                address=endpoint.address6,
                prefixlen=endpoint.prefix6,
                flags=_NODAD,
            )
        kernel.link("set", index=index, state="up")


def set_gateways(gateway: str, gateway6: str) -> None:
    """Set where all else goes, in the namespace that this thread is in; empty for nowhere."""
    with _netlink("cannot set the default route") as kernel:
        for family, address in ((2, gateway), (10, gateway6)):
            if address:
                kernel.route("replace", family=family, dst="default", gateway=address)
            else:
                # Without IPv6 there are no tables of its routes (ENOENT).
                with _unless(errno.ESRCH, errno.ENOENT):
                    kernel.route("del", family=family, dst="default")


@contextmanager
def _unless(*numbers: int) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        if error.code not in numbers:
            raise


def _sysctl(name: str, value: str) -> None:
    # A kernel without IPv6 has none of its files.
    with suppress(FileNotFoundError), open(f"/proc/sys/net/{name}", "w", encoding="ascii") as file:
        file.write(value)


def forward(*, ipv6: bool) -> None:
    """Let this host pass packets on."""
    _sysctl("ipv4/ip_forward", "1")
    if ipv6:
        _sysctl("ipv6/conf/all/forwarding", "1")
