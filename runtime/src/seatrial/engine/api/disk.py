"""What the engine's disk holds: ``docker system df``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from seatrial.engine import describing
from seatrial.engine.api import http
from seatrial.engine.api.images import Images
from seatrial.engine.api.volumes import Volumes
from seatrial.engine.errors import BadRequest

if TYPE_CHECKING:
    from aiohttp import web

    from seatrial.engine.engine import Engine

_TYPES = {"container", "image", "volume", "build-cache"}


class Disk:
    """The handler."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._images, self._volumes = Images(engine), Volumes(engine)

    def join(self, routes: http.Routes) -> None:
        """Add the path."""
        routes.add("GET", "/system/df", self._tell)

    async def _tell(self, request: web.Request) -> web.StreamResponse:
        wanted = set(request.query.getall("type", [])) or _TYPES
        if not wanted <= _TYPES:
            raise BadRequest(f"unknown object type: {', '.join(sorted(wanted - _TYPES))}")
        told: dict[str, Any] = {}
        if "image" in wanted:
            told["LayersSize"], told["Images"] = self._of_images(request)
        if "container" in wanted:
            told["Containers"] = await asyncio.to_thread(self._of_containers)
        if "volume" in wanted:
            told["Volumes"] = await asyncio.to_thread(self._of_volumes)
        if "build-cache" in wanted:
            told["BuildCache"] = []
        return http.reply(told)

    def _of_images(self, request: web.Request) -> tuple[int, list[dict[str, Any]]]:
        images = self._engine.images
        users: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for image in images.all():
            for diff_id in {layer.diff_id for layer in image.layers}:
                users[diff_id] = users.get(diff_id, 0) + 1
            sizes.update({layer.diff_id: layer.size_bytes for layer in image.layers})
        records = [container.record for container in self._engine.containers.all()]
        listed = []
        for image in images.all():
            shared = sum(each.size_bytes for each in image.layers if users[each.diff_id] > 1)
            used = sum(record.image_id == image.id for record in records)
            summary = self._images.summary(request, image)
            listed.append({**summary, "SharedSize": shared, "Containers": used})
        return sum(sizes.values()), listed

    def _of_containers(self) -> list[dict[str, Any]]:
        return [
            describing.summary(self._engine, container.record, size=True)
            for container in self._engine.containers.all()
        ]

    def _of_volumes(self) -> list[dict[str, Any]]:
        engine, told = self._engine, []
        for volume in engine.volumes.all():
            usage = {
                "Size": describing.folder_size(engine.volumes.path(volume)),
                "RefCount": len(engine.containers.with_volume(volume.name)),
            }
            told.append({**self._volumes.document(volume), "UsageData": usage})
        return told
