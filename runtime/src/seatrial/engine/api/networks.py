"""Networks: the two that need nothing of the host, none and host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.engine import clock, describing
from seatrial.engine.api import http
from seatrial.engine.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from seatrial.engine.engine import Engine

_DRIVERS = {"host": "host", "none": "null"}
_NOT_YET = "this engine has no networks but none and host yet"


class Networks:
    """Handlers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._created = engine.database.fact("networks", clock.now())

    def join(self, routes: http.Routes) -> None:
        """Add the paths."""
        routes.add("GET", "/networks", self._list)
        routes.add("POST", "/networks/prune", self._prune)
        routes.refuse("POST", "/networks/create", _NOT_YET)
        routes.add("GET", "/networks/{name}", self._inspect)
        routes.refuse("DELETE", "/networks/{name}", "the networks none and host cannot be removed")
        routes.refuse("POST", "/networks/{name}/connect", _NOT_YET)
        routes.refuse("POST", "/networks/{name}/disconnect", _NOT_YET)

    def _document(self, name: str) -> dict[str, Any]:
        return {
            "Name": name,
            "Id": describing.network_id(self._engine, name),
            "Created": self._created,
            "Scope": "local",
            "Driver": _DRIVERS[name],
            "EnableIPv4": True,
            "EnableIPv6": False,
            "IPAM": {"Driver": "default", "Options": None, "Config": []},
            "Internal": False,
            "Attachable": False,
            "Ingress": False,
            "ConfigFrom": {"Network": ""},
            "ConfigOnly": False,
            "Containers": {},
            "Options": {},
            "Labels": {},
        }

    async def _list(self, request: web.Request) -> web.StreamResponse:
        known = {"dangling", "driver", "id", "label", "name", "scope", "type"}
        chosen = http.filters(request, known)
        every = [self._document(name) for name in _DRIVERS]
        return http.reply([each for each in every if _chosen(each, chosen)])

    async def _inspect(self, request: web.Request) -> web.StreamResponse:
        wanted = request.match_info["name"]
        for document in map(self._document, _DRIVERS):
            if wanted == document["Name"] or document["Id"].startswith(wanted):
                name = document["Name"]
                document["Containers"] = {
                    each.record.id: {
                        "Name": each.record.name,
                        "EndpointID": "",
                        "MacAddress": "",
                        "IPv4Address": "",
                        "IPv6Address": "",
                    }
                    for each in self._engine.containers.all()
                    if each.record.host.network_mode == name and each.record.state.running
                }
                return http.reply(document)
        raise NotFound(f"network {wanted} not found")

    async def _prune(self, request: web.Request) -> web.StreamResponse:
        http.filters(request, {"label", "label!", "until"})
        return http.reply({"NetworksDeleted": None})


def _chosen(document: dict[str, Any], chosen: dict[str, list[str]]) -> bool:
    tests: dict[str, Callable[[str], bool]] = {
        "dangling": lambda _: False,
        "driver": lambda value: document["Driver"] == value,
        "id": document["Id"].startswith,
        "label": lambda _: False,
        "name": lambda value: value in document["Name"],
        "scope": lambda value: value == "local",
        "type": lambda value: value == "builtin",
    }
    return all(any(tests[kind](value) for value in values) for kind, values in chosen.items())
