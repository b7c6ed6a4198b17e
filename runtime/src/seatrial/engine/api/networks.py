"""Networks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from seatrial.engine import clock, selecting
from seatrial.engine.api import http
from seatrial.engine.errors import BadRequest
from seatrial.engine.network import describing
from seatrial.engine.network.payloads import (
    ConnectRequest,
    DisconnectRequest,
    EndpointSettings,
    NetworkRequest,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from seatrial.engine.engine import Engine
    from seatrial.engine.events import Filters
    from seatrial.engine.network.networks import Network

_KNOWN = {"dangling", "driver", "id", "label", "name", "scope", "type"}


class Networks:
    """Handlers."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._networking = engine, engine.networking

    def join(self, routes: http.Routes) -> None:
        """Add the paths."""
        routes.add("GET", "/networks", self._list)
        routes.add("POST", "/networks/create", self._create)
        routes.add("POST", "/networks/prune", self._prune)
        routes.add("GET", "/networks/{name}", self._inspect)
        routes.add("DELETE", "/networks/{name}", self._remove)
        routes.add("POST", "/networks/{name}/connect", self._connect)
        routes.add("POST", "/networks/{name}/disconnect", self._disconnect)

    def _network(self, request: web.Request) -> Network:
        return self._networking.networks.find(request.match_info["name"])

    async def _list(self, request: web.Request) -> web.StreamResponse:
        chosen = http.filters(request, _KNOWN)
        for kind in ("dangling", "type"):
            known = {"true", "false", "1", "0"} if kind == "dangling" else {"builtin", "custom"}
            for value in chosen.get(kind, ()):
                if value not in known:
                    raise BadRequest(f"invalid filter: '{kind}={value}'")
        found = self._networking.networks.all()
        return http.reply(
            [describing.document(each) for each in found if self._chosen(each, chosen)]
        )

    def _chosen(self, network: Network, chosen: Filters) -> bool:
        tests: dict[str, Callable[[str], bool]] = {
            "dangling": lambda value: self._unused(network) == (value in {"true", "1"}),
            "driver": lambda value: network.driver == value,
            "id": network.id.startswith,
            "name": lambda value: value in network.name,
            "scope": lambda value: value == "local",
            "type": lambda value: network.builtin == (value == "builtin"),
        }
        labels = chosen.get("label", ())
        return all(selecting.has_label(network.labels, each) for each in labels) and all(
            any(tests[kind](value) for value in values)
            for kind, values in chosen.items()
            if kind != "label"
        )

    def _unused(self, network: Network) -> bool:
        return not network.builtin and not self._networking.inside(network)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        network = await self._networking.create(await http.body(request, NetworkRequest))
        return http.reply({"Id": network.id, "Warning": ""}, 201)

    async def _inspect(self, request: web.Request) -> web.StreamResponse:
        network = self._network(request)
        if request.query.get("scope", "local") != "local":
            raise BadRequest("networks of this engine are of scope local")
        return http.reply(describing.document(network, self._networking.inside(network)))

    async def _remove(self, request: web.Request) -> web.StreamResponse:
        await self._networking.remove(self._network(request))
        return http.done()

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        wanted = await http.body(request, ConnectRequest)
        container = self._engine.containers.find(wanted.container)
        async with container.lock:
            await self._networking.connect(
                container.record,
                self._network(request),
                wanted.endpoint_config or EndpointSettings(),
            )
            self._engine.containers.keep(container.record)
        return http.done(200)

    async def _disconnect(self, request: web.Request) -> web.StreamResponse:
        wanted = await http.body(request, DisconnectRequest)
        container = self._engine.containers.find(wanted.container)
        async with container.lock:
            await self._networking.disconnect(
                container.record, self._network(request), force=wanted.force
            )
            self._engine.containers.keep(container.record)
        return http.done(200)

    async def _prune(self, request: web.Request) -> web.StreamResponse:
        chosen = http.filters(request, {"label", "label!", "until"})
        removed = [
            network
            for network in self._networking.networks.all()
            if self._unused(network) and _prunable(network, chosen)
        ]
        for network in removed:
            await self._networking.remove(network)
        return http.reply({"NetworksDeleted": [network.name for network in removed] or None})


def _prunable(network: Network, chosen: Filters) -> bool:
    if not all(selecting.has_label(network.labels, each) for each in chosen.get("label", ())):
        return False
    if any(selecting.has_label(network.labels, each) for each in chosen.get("label!", ())):
        return False
    return all(
        clock.to_ns(network.created) <= min(clock.given_ns(each), time.time_ns())
        for each in chosen.get("until", ())
    )
