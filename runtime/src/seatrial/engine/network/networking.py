"""Containers in networks: what is done before one starts, and after it has ended.

Nothing is kept of a running container's network but what its record says, its namespace (which
ends with its last process, and takes the devices with it), elements of the firewall's sets, and
sockets of this daemon. So a daemon that is killed leaves nothing that the next one does not find.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from seatrial.engine import names, payloads
from seatrial.engine.errors import BadRequest, Conflict, EngineError, Forbidden
from seatrial.engine.network import endpoints, files, firewall, links, namespaces, ports
from seatrial.engine.network.endpoints import Endpoint
from seatrial.engine.network.firewall import Firewall
from seatrial.engine.network.networks import BRIDGE, Networks
from seatrial.engine.network.payloads import EndpointSettings
from seatrial.engine.network.services import Services

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.engine.containers import Containers
    from seatrial.engine.database import Database
    from seatrial.engine.events import Events
    from seatrial.engine.network.addresses import Subnet
    from seatrial.engine.network.networks import Network
    from seatrial.engine.network.payloads import NetworkRequest
    from seatrial.engine.payloads import CreateRequest
    from seatrial.engine.records import Record

#: Endpoints in networks that have a bridge, with those networks.
Joined = list[tuple[Endpoint, "Network"]]


class Networking:
    """The networks, and the containers in them."""

    def __init__(
        self,
        database: Database,
        containers: Containers,
        events: Events,
        folder: Callable[[Record], str],
        *,
        engine_id: str,
        bridge: str,
    ) -> None:
        self.networks = Networks(database, engine_id=engine_id, bridge=bridge)
        self._containers, self._events, self._folder = containers, events, folder
        self._firewall = Firewall()
        self._services = Services(
            self._firewall,
            lambda: (each.record for each in containers.all()),
            lambda record: all(network.internal for _, network in self._joined(record)),
        )

    # --- the daemon's begin and end -------------------------------------------------------------

    async def begin(self) -> None:
        """Make the bridges and the rules, with what containers have that run already."""
        self.networks.begin(await self._subnets_of_host())
        links.forward(ipv6=any(network.ipv6 for network in self.networks.bridges()))
        for network in self.networks.bridges():
            await asyncio.to_thread(links.make_bridge, network)
            self._firewall.expect(firewall.of_network(network))
        for container in self._containers.all():
            for endpoint, network in self._joined(container.record):
                if endpoint.id:
                    self._lease(endpoint, network)
            self._services.expect(container.record)
        self._firewall.begin()

    async def _subnets_of_host(self) -> list[Subnet]:
        own = {network.device for network in self.networks.bridges()}
        return await asyncio.to_thread(links.subnets_in_use, own)

    async def sweep(self) -> None:
        """Take away what containers have of networks that do not run after all."""
        known = set()
        for container in self._containers.all():
            if not container.record.state.running:
                await self.release(container.record)
            known |= {each.host_device for each in container.record.endpoints.values()}
        bridges = {network.device for network in self.networks.bridges()}
        await asyncio.to_thread(links.remove_others, bridges, known)

    def close(self) -> None:
        """Let everything go; containers go on, and so do the rules."""
        self._services.close()
        self._firewall.close()

    # --- networks -------------------------------------------------------------------------------

    async def create(self, request: NetworkRequest) -> Network:
        """Make a network."""
        network = self.networks.create(request, await self._subnets_of_host())
        try:
            if network.ipv6:
                links.forward(ipv6=True)
            await asyncio.to_thread(links.make_bridge, network)
            self._firewall.add(firewall.of_network(network))
        except BaseException:
            self.networks.remove(network)
            with suppress(EngineError):
                await asyncio.to_thread(links.remove, network.device)
            raise
        self._tell(network, "create")
        return network

    async def remove(self, network: Network) -> None:
        """Remove a network that no container is in."""
        if network.builtin:
            raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
        if self.inside(network):
            raise Forbidden(
                f"error while removing network: network {network.name} id {network.id} has "
                "active endpoints"
            )
        self._firewall.take_away(firewall.of_network(network))
        self.networks.remove(network)
        await asyncio.to_thread(links.remove, network.device)
        self._tell(network, "destroy")

    def inside(self, network: Network) -> list[tuple[Record, Endpoint]]:
        """Return the running containers that are in a network."""
        found = []
        for container in self._containers.all():
            endpoint = container.record.endpoints.get(network.name)
            if endpoint is not None and container.record.state.running:
                found.append((container.record, endpoint))
        return found

    def _tell(self, network: Network, action: str, **more: str) -> None:
        attributes = {"name": network.name, "type": network.driver, **more}
        self._events.tell("network", action, network.id, attributes)

    # --- a container's life ---------------------------------------------------------------------

    def assign(self, record: Record, request: CreateRequest) -> None:
        """Say which networks a new container is to be in; raises what is wrong with that."""
        ports.check(record.config, record.host)
        mode = record.host.network_mode
        if mode.startswith("container:"):
            _check_shared(record)
            shared = self._containers.find(mode.partition(":")[2]).record
            record.config.hostname = shared.config.hostname
            return
        asked = {
            BRIDGE if name == "default" else name: payloads.convert(EndpointSettings, each or {})
            for name, each in (request.networking_config.endpoints_config or {}).items()
        }
        # Clients may name a network by its id in one place, and by its name in another.
        given = {self.networks.find(name).name: each for name, each in asked.items()}
        first = self.networks.find(mode).name
        for name in dict.fromkeys([first, *given]):
            settings = given.get(name, EndpointSettings())
            if name == first:
                settings.mac_address = settings.mac_address or record.config.mac_address
                settings.links = settings.links or record.host.links
            self._assign(record, self.networks.find(name), settings)

    def _assign(self, record: Record, network: Network, settings: EndpointSettings) -> None:
        if network.driver == "bridge":
            endpoints.check(
                settings, user_defined=not network.builtin, own_subnet=network.own_subnet
            )
            for each in settings.links or ():
                self._containers.find(each.partition(":")[0])
        if record.endpoints and {"host", "none"} & {network.name, *record.endpoints}:
            raise BadRequest(
                "conflicting options: the networks host and none cannot be had beside others"
            )
        record.endpoints[network.name] = Endpoint(network.id, settings)

    def _joined(self, record: Record) -> Joined:
        held = [(each, self.networks.find(name)) for name, each in record.endpoints.items()]
        return [(each, network) for each, network in held if network.driver == "bridge"]

    async def attach(self, record: Record) -> int | None:
        """Make a container's namespace and all that it has of networks, before it starts.

        Returns:
            The namespace's descriptor, to be closed once the container's processes keep it; None
            if the container has none of ours.
        """
        joined = self._joined(record)
        if not joined:
            self._write_files(record)
            return None
        for endpoint, network in joined:
            self._lease(endpoint, network)
        endpoints.name_devices([endpoint for endpoint, _ in joined])
        outward = next((network for _, network in joined if not network.internal), None)
        if outward is not None:
            self._services.publish(record, outward)
        self._write_files(record)
        namespace = await asyncio.to_thread(self._wire, record, joined)
        try:
            await self._services.begin(record, namespace)
        except BaseException:
            os.close(namespace)
            raise
        for _, network in joined:
            self._tell(network, "connect", container=record.id)
        return namespace

    def _lease(self, endpoint: Endpoint, network: Network) -> None:
        """Give an endpoint its addresses; those that it has already it keeps."""
        wanted = endpoint.asked.ipam_config or endpoints.NO_ADDRESSES
        endpoint.id = endpoint.id or names.new_id()
        for leases in self.networks.leases(network):
            pool = leases.pool
            gateway = "" if network.internal else pool.gateway
            if pool.version == 4:  # noqa: PLR2004 - IPv4
                endpoint.address = leases.take(endpoint.address or wanted.ipv4_address)
                endpoint.prefix, endpoint.gateway = pool.network.prefixlen, gateway
            else:
                endpoint.address6 = leases.take(endpoint.address6 or wanted.ipv6_address)
                endpoint.prefix6, endpoint.gateway6 = pool.network.prefixlen, gateway
        made = endpoints.mac_of(endpoint.address)
        endpoint.mac = endpoint.mac or endpoint.asked.mac_address or made

    def _wire(self, record: Record, joined: Joined) -> int:
        """Make namespace and devices."""
        namespace = namespaces.make(links.prepare)
        try:
            for endpoint, network in joined:
                links.make_pair(endpoint, network, namespace)
            self._configure(record, namespace, *(endpoint for endpoint, _ in joined))
        except BaseException:
            os.close(namespace)
            raise
        return namespace

    def _configure(self, record: Record, namespace: int, *new: Endpoint) -> None:
        def configure() -> None:
            for endpoint in new:
                links.configure(endpoint)
            links.set_gateways(*endpoints.gateways(record))

        namespaces.inside(namespace, configure)

    async def release(self, record: Record) -> None:
        """Take away all that a container has of networks."""
        self._services.end(record)
        for endpoint, network in self._joined(record):
            await self._release(record, endpoint, network)

    async def _release(self, record: Record, endpoint: Endpoint, network: Network) -> None:
        if not endpoint.id:
            return
        device = endpoint.host_device
        for leases in self.networks.leases(network):
            four = leases.pool.version == 4  # noqa: PLR2004 - IPv4
            leases.give_back(endpoint.address if four else endpoint.address6)
        endpoint.clear()
        # The namespace takes it away too, but not before its last process is gone.
        with suppress(EngineError):
            await asyncio.to_thread(links.remove, device)
        self._tell(network, "disconnect", container=record.id)

    async def recover(self, record: Record) -> None:
        """Serve a container again that ran when another daemon did."""
        await self._services.begin_again(record)

    # --- connect and disconnect -----------------------------------------------------------------

    async def connect(self, record: Record, network: Network, settings: EndpointSettings) -> None:
        """Put a container into one more network."""
        if network.name in record.endpoints:
            raise Forbidden(
                f"endpoint with name {record.name} already exists in network {network.name}"
            )
        if record.host.network_mode.startswith("container:"):
            raise Conflict(
                "container sharing network namespace with another container or host cannot be "
                "connected to any other network"
            )
        self._assign(record, network, settings)
        endpoint = record.endpoints[network.name]
        if not record.state.running:
            return
        namespace = namespaces.of_process(record.state.pid)
        try:
            self._lease(endpoint, network)
            endpoints.name_devices([each for each, _ in self._joined(record)])
            await asyncio.to_thread(self._plug, record, endpoint, network, namespace)
            if files.has_names(record):
                await self._services.resolve(record, namespace)
        except BaseException:
            await self._release(record, endpoint, network)
            del record.endpoints[network.name]
            raise
        finally:
            os.close(namespace)
        self._write_files(record)
        self._tell(network, "connect", container=record.id)

    def _plug(self, record: Record, endpoint: Endpoint, network: Network, namespace: int) -> None:
        links.make_pair(endpoint, network, namespace)
        self._configure(record, namespace, endpoint)

    async def disconnect(self, record: Record, network: Network, *, force: bool) -> None:
        """Take a container out of a network."""
        endpoint = record.endpoints.get(network.name)
        if endpoint is None:
            if force:
                return
            raise Forbidden(f"container {record.id} is not connected to network {network.name}")
        if network.driver == "host":
            raise Forbidden("container cannot be disconnected from host network")
        del record.endpoints[network.name]
        if not record.state.running or network.driver != "bridge":
            return
        await self._release(record, endpoint, network)
        namespace = namespaces.of_process(record.state.pid)
        try:
            await asyncio.to_thread(self._configure, record, namespace)
        finally:
            os.close(namespace)
        self._write_files(record)

    # --- files ----------------------------------------------------------------------------------

    def folder_of_files(self, record: Record) -> str:
        """Return where a container's /etc/hosts and the like are: with those who share, once."""
        mode = record.host.network_mode
        while mode.startswith("container:"):
            record = self._containers.find(mode.partition(":")[2]).record
            mode = record.host.network_mode
        return self._folder(record)

    def _write_files(self, record: Record) -> None:
        bridge = self.networks.find(BRIDGE)
        files.write(record, self._folder(record), self._linked(record), bridge.pools[0].gateway)

    def _linked(self, record: Record) -> list[str]:
        """Return the lines of /etc/hosts for the links of the default bridge."""
        lines = []
        for each in (record.host.links or ()) if BRIDGE in record.endpoints else ():
            target, _, alias = each.rpartition(":")
            other = self._containers.find((target or alias).removeprefix("/")).record
            endpoint = other.endpoints.get(BRIDGE)
            if endpoint is None or not endpoint.address:
                raise Conflict(f"Cannot link to a non running container: /{other.name} AS {alias}")
            called = dict.fromkeys([alias.rpartition("/")[2], other.id[:12], other.name])
            lines.append(f"{endpoint.address}\t{' '.join(called)}")
        return lines


def _check_shared(record: Record) -> None:
    """Refuse what only the container can have whose namespace is shared."""
    host = record.host
    for given, what in (
        (host.port_bindings or host.publish_all_ports, "port publishing and the container type"),
        (host.links, "links and the container type"),
        (host.dns, "dns and the container type"),
        (host.extra_hosts, "custom host-to-IP mapping and the container type"),
        (record.config.mac_address, "mac-address and the container type"),
    ):
        if given:
            raise BadRequest(f"conflicting options: {what} network mode")
