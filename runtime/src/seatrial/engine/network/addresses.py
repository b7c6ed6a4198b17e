"""Which addresses networks have: pools that subnets come from, and what is taken of a subnet."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING

from msgspec import Struct

from seatrial.engine.errors import BadRequest, Forbidden, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network
#: What networks get that ask for no subnet, as Docker has them: a pool, and how long prefixes are.
_POOLS = (
    ("172.17.0.0/16", 16), ("172.18.0.0/16", 16), ("172.19.0.0/16", 16), ("172.20.0.0/14", 16),
    ("172.24.0.0/14", 16), ("172.28.0.0/14", 16), ("192.168.0.0/16", 20),
)  # fmt: skip


class Pool(Struct, frozen=True):
    """A subnet of a network, with what is set apart in it; all as text."""

    subnet: str
    gateway: str
    ip_range: str = ""
    #: By name: addresses that something else has.
    auxiliary: dict[str, str] | None = None

    @property
    def network(self) -> Subnet:
        """The subnet."""
        return ipaddress.ip_network(self.subnet)

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.network.version


def asked(subnet: str, gateway: str, ip_range: str, auxiliary: dict[str, str] | None) -> Pool:
    """Return the pool that somebody asks for; raises BadRequest for one that is none."""
    network = _network(subnet, "subnet")
    chosen = network
    if ip_range:
        chosen = _network(ip_range, "ip-range")
        if chosen.version != network.version or not chosen.subnet_of(network):  # type: ignore[arg-type]
            raise BadRequest(f"invalid ip-range {ip_range}: it is not within subnet {network}")
    for name, each in {"gateway": gateway, **(auxiliary or {})}.items():
        if each and address(each) not in network:
            raise BadRequest(f"no matching subnet for {name} {each}: it is not within {network}")
    return Pool(
        str(network),
        gateway or str(next(_hosts(network, chosen))),
        ip_range and str(chosen),
        auxiliary,
    )


def free_subnet(taken: Iterable[Subnet]) -> Pool:
    """Return the first subnet of the default pools that overlaps with none that is taken."""
    used = list(taken)
    for pool, length in _POOLS:
        for subnet in IPv4Network(pool).subnets(new_prefix=length):
            if not any(each.overlaps(subnet) for each in used):
                return Pool(str(subnet), str(subnet[1]))
    raise NotFound(
        "all predefined address pools have been fully subnetted (hint: docker network create "
        "--subnet, or docker network prune)"
    )


def free_subnet6(seed: str, taken: Iterable[Subnet]) -> Pool:
    """Return an IPv6 subnet of this engine's own (RFC 4193), the first that is free."""
    used = list(taken)
    prefix = IPv6Network(f"fd{seed[:2]}:{seed[2:6]}:{seed[6:10]}::/48")
    subnets = prefix.subnets(new_prefix=64)
    subnet = next(each for each in subnets if not any(other.overlaps(each) for other in used))
    return Pool(str(subnet), str(subnet[1]))


def address(text: str) -> Address:
    """Read an address."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise BadRequest(f"invalid IP address: {text}") from None


def _network(text: str, what: str) -> Subnet:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise BadRequest(f"invalid {what} {text}: invalid CIDR block notation") from None


def _hosts(network: Subnet, among: Subnet) -> Iterator[Address]:
    """Return the addresses of a range that somebody can have; of the smallest subnets all."""
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.num_addresses > 2:  # noqa: PLR2004 - RFC 3021: of two, both
        first, last = first + 1, last - (network.version == 4)  # noqa: PLR2004 - IPv6 has no broadcast
    first, last = max(first, int(among[0])), min(last, int(among[-1]))
    kind = type(network.network_address)
    return (kind(each) for each in range(first, last + 1))


class Leases:
    """What is taken of one pool. It lives in memory alone: endpoints say what they have."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._reserved = {address(each) for each in (pool.auxiliary or {}).values()}
        self._reserved.add(address(pool.gateway))
        self._taken: set[Address] = set()

    def take(self, wanted: str = "") -> str:
        """Take an address, the lowest that is free if none is wanted."""
        if wanted:
            chosen = address(wanted)
            if chosen not in self.pool.network:
                raise BadRequest(f"no configured subnet contains IP address {wanted}")
            if chosen in self._taken or chosen in self._reserved:
                raise Forbidden("Address already in use")
        else:
            chosen = self._free()
        self._taken.add(chosen)
        return str(chosen)

    def _free(self) -> Address:
        within = ipaddress.ip_network(self.pool.ip_range or self.pool.subnet)
        for each in _hosts(self.pool.network, within):
            if each not in self._taken and each not in self._reserved:
                return each
        raise NotFound(
            f"no available IPv{self.pool.version} addresses on this network's address pools: "
            f"{within}"
        )

    def give_back(self, held: str) -> None:
        """Let somebody else have an address; empty is none."""
        if held:
            self._taken.discard(address(held))
