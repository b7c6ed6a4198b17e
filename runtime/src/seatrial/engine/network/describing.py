"""Networks, and containers in them, as the interface tells of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from seatrial.engine.network import directory, ports
from seatrial.engine.network.networks import BRIDGE, BUILTIN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.engine.network.endpoints import Endpoint
    from seatrial.engine.network.networks import Network
    from seatrial.engine.records import Record

#: Since this version a container's names in a network are told apart from what was asked for.
_NAMES_SINCE = (1, 44)


def document(network: Network, inside: Iterable[tuple[Record, Endpoint]] = ()) -> dict[str, Any]:
    """Return what is told of a network, and of the containers in it."""
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": network.created,
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv4": True,
        "EnableIPv6": network.ipv6,
        "IPAM": {
            "Driver": "default",
            "Options": network.ipam_options,
            "Config": [_pool(pool) for pool in network.pools],
        },
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {record.id: _inside(record, endpoint) for record, endpoint in inside},
        "Options": network.options,
        "Labels": network.labels,
    }


def _pool(pool: Any) -> dict[str, Any]:  # noqa: ANN401
    made = {"Subnet": pool.subnet}
    if pool.ip_range:
        made["IPRange"] = pool.ip_range
    made["Gateway"] = pool.gateway
    if pool.auxiliary:
        made["AuxiliaryAddresses"] = pool.auxiliary
    return made


def _inside(record: Record, endpoint: Endpoint) -> dict[str, str]:
    held = endpoint
    return {
        "Name": record.name,
        "EndpointID": held.id,
        "MacAddress": held.mac,
        "IPv4Address": f"{held.address}/{held.prefix}" if held.address else "",
        "IPv6Address": f"{held.address6}/{held.prefix6}" if held.address6 else "",
    }


def _endpoint(record: Record, name: str, endpoint: Endpoint) -> dict[str, Any]:
    asked = endpoint.asked
    wanted = asked.ipam_config
    own = name not in BUILTIN
    return {
        "IPAMConfig": msgspec.to_builtins(wanted) if wanted is not None else None,
        "Links": asked.links,
        "Aliases": asked.aliases,
        "MacAddress": endpoint.mac,
        "DriverOpts": asked.driver_opts,
        "GwPriority": asked.gw_priority,
        "NetworkID": endpoint.network,
        "EndpointID": endpoint.id,
        "Gateway": endpoint.gateway,
        "IPAddress": endpoint.address,
        "IPPrefixLen": endpoint.prefix,
        "IPv6Gateway": endpoint.gateway6,
        "GlobalIPv6Address": endpoint.address6,
        "GlobalIPv6PrefixLen": endpoint.prefix6,
        "DNSNames": directory.names(record, endpoint) if own else None,
    }


def networks(record: Record) -> dict[str, Any]:
    """Return what a container is in each of its networks."""
    return {name: _endpoint(record, name, each) for name, each in record.endpoints.items()}


def for_version(told: dict[str, Any], version: tuple[int, int]) -> None:
    """Tell of a container's networks what clients of a version look for."""
    if version >= _NAMES_SINCE:
        return
    for each in told["NetworkSettings"]["Networks"].values():
        names = each.pop("DNSNames")
        del each["GwPriority"]
        if names is not None:
            each["Aliases"] = [*(each["Aliases"] or ()), names[-1]]


def published(record: Record) -> list[dict[str, Any]]:
    """Return a container's ports, as the list of containers has them."""
    if not record.state.running:
        return []
    made: list[dict[str, Any]] = []
    for name in ports.exposed(record.config, record.host):
        port, _, protocol = name.partition("/")
        own = {"PrivatePort": int(port), "Type": protocol}
        shown = [
            {"IP": each.host_address, "PublicPort": each.host_port, **own}
            for each in record.published
            if each.name == name
        ]
        made += shown or [own]
    return made


def settings(record: Record) -> dict[str, Any]:
    """Return all that inspect tells of a container's networks."""
    running = record.state.running
    default = record.endpoints.get(BRIDGE)
    own = networks(record).get(BRIDGE, {})
    bindings: dict[str, Any] = {}
    for name in ports.exposed(record.config, record.host) if running else ():
        held = [
            {"HostIp": each.host_address, "HostPort": str(each.host_port)}
            for each in record.published
            if each.name == name
        ]
        bindings[name] = held or None
    alone = running and not record.host.network_mode.startswith("container:")
    made = {
        "Bridge": "",
        "SandboxID": record.id if alone else "",
        "SandboxKey": f"/proc/{record.state.pid}/ns/net" if running else "",
        "Ports": bindings,
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": "",
        "Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "MacAddress": "",
    }
    if default is not None:
        made.update({name: own[name] for name in made if name in own})
    return {**made, "Networks": networks(record)}
