"""Volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.engine import describing, selecting
from seatrial.engine.api import http
from seatrial.engine.errors import NotFound
from seatrial.engine.payloads import VolumeRequest

if TYPE_CHECKING:
    from aiohttp import web

    from seatrial.engine.engine import Engine
    from seatrial.engine.volumes import Volume

#: Before this version a prune took volumes with names too.
_ALL_UNTIL = (1, 42)


class Volumes:
    """Handlers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def join(self, routes: http.Routes) -> None:
        """Add the paths."""
        routes.add("GET", "/volumes", self._list)
        routes.add("POST", "/volumes/create", self._create)
        routes.add("POST", "/volumes/prune", self._prune)
        routes.add("GET", "/volumes/{name}", self._inspect)
        routes.add("DELETE", "/volumes/{name}", self._remove)
        routes.refuse("PUT", "/volumes/{name}", "this engine has no cluster volumes")

    def document(self, volume: Volume) -> dict[str, Any]:
        """Return what is told of a volume."""
        return {
            "CreatedAt": volume.created.partition(".")[0].removesuffix("Z") + "Z",
            "Driver": "local",
            "Labels": volume.labels,
            "Mountpoint": self._engine.volumes.path(volume),
            "Name": volume.name,
            "Options": volume.options,
            "Scope": "local",
        }

    async def _list(self, request: web.Request) -> web.StreamResponse:
        chosen = http.filters(request, {"dangling", "driver", "label", "name"})
        found = [
            self.document(each) for each in self._engine.volumes.all() if self._chosen(each, chosen)
        ]
        return http.reply({"Volumes": found, "Warnings": None})

    def _chosen(self, volume: Volume, chosen: dict[str, list[str]]) -> bool:
        for kind, values in chosen.items():
            if kind == "dangling":
                unused = not self._engine.containers.with_volume(volume.name)
                found = unused == (values[:1] in (["true"], ["1"]))
            elif kind == "driver":
                found = "local" in values
            elif kind == "label":
                found = all(selecting.has_label(volume.labels, each) for each in values)
            else:
                found = any(each in volume.name for each in values)
            if not found:
                return False
        return True

    async def _create(self, request: web.Request) -> web.StreamResponse:
        wanted = await http.body(request, VolumeRequest)
        volume = self._engine.volumes.wanted(
            wanted.name, driver=wanted.driver, labels=wanted.labels, options=wanted.driver_opts
        )
        self._engine.volumes.make(volume)
        return http.reply(self.document(volume), 201)

    async def _inspect(self, request: web.Request) -> web.StreamResponse:
        return http.reply(self.document(self._engine.volumes.find(request.match_info["name"])))

    async def _remove(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        try:
            self._engine.volumes.find(name)
        except NotFound:
            if http.flag(request, "force"):
                return http.done()
            raise
        users = self._engine.containers.with_volume(name)
        self._engine.volumes.remove(name, users)
        return http.done()

    async def _prune(self, request: web.Request) -> web.StreamResponse:
        chosen = http.filters(request, {"all", "label", "label!"})
        every = "all" in chosen and chosen["all"][:1] in (["true"], ["1"])
        every = every or http.version(request) < _ALL_UNTIL
        removed, size = [], 0
        for volume in self._engine.volumes.all():
            labels = {"label": chosen["label"]} if "label" in chosen else {}
            unwanted = any(
                selecting.has_label(volume.labels, each) for each in chosen.get("label!", ())
            )
            if unwanted or not (every or volume.anonymous) or not self._chosen(volume, labels):
                continue
            if self._engine.containers.with_volume(volume.name):
                continue
            size += describing.folder_size(self._engine.volumes.path(volume))
            self._engine.volumes.remove(volume.name, [])
            removed.append(volume.name)
        self._engine.events.tell("volume", "prune", "", {"reclaimed": str(size)})
        return http.reply({"VolumesDeleted": removed or None, "SpaceReclaimed": size})
