"""What this daemon does for containers in networks while they run: ports and names."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from seatrial.engine.errors import EngineError
from seatrial.engine.network import files, firewall, namespaces, resolver
from seatrial.engine.network.directory import Directory
from seatrial.engine.network.endpoints import published_addresses
from seatrial.engine.network.ports import Ports
from seatrial.engine.network.relays import Relays
from seatrial.engine.network.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from seatrial.engine.network.firewall import Firewall
    from seatrial.engine.network.networks import Network
    from seatrial.engine.records import Record

_log = logging.getLogger(__name__)


class Services:
    """Published ports with their rules and relays, and name servers."""

    def __init__(
        self,
        rules: Firewall,
        records: Callable[[], Iterable[Record]],
        enclosed: Callable[[Record], bool],
    ) -> None:
        self._firewall, self._enclosed = rules, enclosed
        self._ports, self._relays, self._directory = Ports(), Relays(), Directory(records)
        self._resolvers: dict[str, Resolver] = {}

    def expect(self, record: Record) -> None:
        """Let the ports be in the rules of a container that runs already."""
        self._firewall.expect(self._elements(record))

    def publish(self, record: Record, network: Network) -> None:
        """Take the host's ports that a container is to have."""
        try:
            record.published = self._ports.publish(record.config, record.host, network.host_address)
        except EngineError as error:
            raise EngineError(
                "driver failed programming external connectivity on endpoint "
                f"{record.name} ({record.endpoints[network.name].id}): {error}"
            ) from None

    async def begin(self, record: Record, namespace: int) -> None:
        """Let packets and questions through."""
        self._firewall.add(self._elements(record))
        await self._relay(record)
        if files.has_names(record):
            await self.resolve(record, namespace)

    async def begin_again(self, record: Record) -> None:
        """Serve a container that ran when another daemon did; its rules are there."""
        try:
            self._ports.hold(record.published)
        except EngineError as error:
            _log.warning("container %s: %s", record.id[:12], error)
        await self._relay(record)
        if files.has_names(record):
            namespace = namespaces.of_process(record.state.pid)
            try:
                await self.resolve(record, namespace)
            finally:
                os.close(namespace)

    async def _relay(self, record: Record) -> None:
        address, address6 = published_addresses(record)
        for port in record.published:
            held = self._ports.socket(port)
            if held is not None and port.protocol == "tcp":
                await self._relays.begin(port, held, address or address6)

    def _elements(self, record: Record) -> firewall.Elements:
        return firewall.of_ports(record.published, *published_addresses(record))

    async def resolve(self, record: Record, namespace: int) -> None:
        """Answer a container's questions for names, if that is not done already."""
        if record.id in self._resolvers:
            return
        sockets = await asyncio.to_thread(namespaces.inside, namespace, resolver.open_sockets)
        served = self._resolvers[record.id] = Resolver(
            resolver.Names(
                lambda name: self._directory.find(record, name),
                lambda address: self._directory.name_of(record, address),
                lambda: [] if self._enclosed(record) else files.upstreams(record),
            )
        )
        await served.begin(sockets)

    def end(self, record: Record) -> None:
        """Do nothing more for a container; its ports are anybody's."""
        served = self._resolvers.pop(record.id, None)
        if served is not None:
            served.close()
        self._firewall.take_away(self._elements(record))
        for port in record.published:
            self._relays.end(port)
        self._ports.release(record.published)
        record.published = []

    def close(self) -> None:
        """Answer no more questions."""
        for each in self._resolvers.values():
            each.close()
