"""Who is called what: the names that containers have for one another in the networks they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from seatrial.engine.network.networks import BRIDGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from seatrial.engine.network.endpoints import Endpoint
    from seatrial.engine.records import Record

_SHORT_ID = 12


class Found(NamedTuple):
    """A container's addresses in a network; empty for what it has not."""

    address: str
    address6: str


def names(record: Record, endpoint: Endpoint) -> list[str]:
    """Return what a container is called in a network of somebody's own."""
    own = [record.name, *(endpoint.asked.aliases or ()), record.id[:_SHORT_ID]]
    return list(dict.fromkeys(own))


class Directory:
    """Names looked up from within a container; ``records`` are all containers."""

    def __init__(self, records: Callable[[], Iterable[Record]]) -> None:
        self._records = records

    def find(self, asking: Record, name: str) -> list[Found]:
        """Return those whom a container may call by a name, in any network they share."""
        wanted = name.lower()
        found = []
        for network, endpoint in _own(asking):
            linked = _links(endpoint)
            for record, other in self._in(network):
                known = {each.lower() for each in names(record, other)}
                known |= {alias for alias, target in linked.items() if target.lower() in known}
                known |= {f"{each}.{network.lower()}" for each in known}
                if wanted in known:
                    found.append(Found(other.address, other.address6))
        return found

    def name_of(self, asking: Record, address: str) -> str:
        """Return who has an address in a network that a container shares; empty for nobody."""
        for network, _ in _own(asking):
            for record, other in self._in(network):
                if address in {other.address, other.address6}:
                    return f"{record.name}.{network}"
        return ""

    def _in(self, network: str) -> Iterator[tuple[Record, Endpoint]]:
        for record in self._records():
            endpoint = record.endpoints.get(network)
            if endpoint is not None and endpoint.address:
                yield record, endpoint


def _own(record: Record) -> Iterator[tuple[str, Endpoint]]:
    """Return a container's networks in which there are names: not Docker's default bridge."""
    for network, endpoint in record.endpoints.items():
        if endpoint.id and network != BRIDGE:
            yield network, endpoint


def _links(endpoint: Endpoint) -> dict[str, str]:
    """Return what a container alone calls others in a network, with what they are called."""
    made = {}
    for each in endpoint.asked.links or ():
        target, _, alias = each.partition(":")
        made[(alias or target).lower()] = target.removeprefix("/")
    return made
