"""Containers' files: cp in both directions, export, diff, commit."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import asynccontextmanager, suppress
from typing import IO, TYPE_CHECKING

from seatrial.engine import committing, copying, references, signalling, views
from seatrial.engine.api import http
from seatrial.engine.changes import parse as parse_changes
from seatrial.engine.errors import BadRequest
from seatrial.engine.packing import Packer
from seatrial.engine.payloads import Config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiohttp import web

    from seatrial.engine.containers import Container
    from seatrial.engine.engine import Engine

_log = logging.getLogger(__name__)
_CHUNK = 1 << 18
_STAT = "X-Docker-Container-Path-Stat"


class Files:
    """Handlers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def join(self, routes: http.Routes) -> None:
        """Add the paths."""
        routes.add("GET", "/containers/{id}/archive", self._take_out)
        routes.add("PUT", "/containers/{id}/archive", self._put_in)
        routes.add("GET", "/containers/{id}/export", self._export)
        routes.add("GET", "/containers/{id}/changes", self._changes)
        routes.add("POST", "/commit", self._commit)

    def _container(self, request: web.Request) -> Container:
        return self._engine.containers.find(request.match_info["id"])

    def _path(self, request: web.Request) -> str:
        path = request.query.get("path", "")
        if not path or "\0" in path:
            raise BadRequest("missing parameter: path")
        return path

    async def _take_out(self, request: web.Request) -> web.StreamResponse:
        """Answer GET with an archive; HEAD with what is there."""
        container, path = self._container(request), self._path(request)
        async with views.opened(self._engine, container) as view:
            with copying.found(view.root, path, container.record.id) as place:
                told = {_STAT: copying.header(view.root, place)}
                if request.method == "HEAD":
                    answer = http.done(200)
                    answer.headers.update(told)
                    return answer
                return await _streamed(
                    request, lambda file: copying.pack(place, file, view.devices), told
                )

    async def _put_in(self, request: web.Request) -> web.StreamResponse:
        container, path = self._container(request), self._path(request)
        keep = http.flag(request, "noOverwriteDirNonDir")
        folder = self._engine.settings.scratch
        async with (
            http.received(request, folder) as file,
            views.opened(self._engine, container) as view,
        ):
            identifier = container.record.id
            await asyncio.to_thread(copying.unpack, view.root, path, file, identifier, keep=keep)
        return http.done(200)

    async def _export(self, request: web.Request) -> web.StreamResponse:
        container = self._container(request)

        def write(file: IO[bytes]) -> None:
            folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=view.root)
            try:
                with Packer(file) as packer:
                    packer.content(folder, "")
            finally:
                os.close(folder)

        async with views.opened(self._engine, container, mounts=False) as view:
            self._engine.tell(container.record, "export")
            return await _streamed(request, write, {}, "application/octet-stream")

    async def _changes(self, request: web.Request) -> web.StreamResponse:
        record = self._container(request).record
        found = await asyncio.to_thread(committing.changes, self._engine, record)
        return http.reply([{"Path": each.path, "Kind": each.kind} for each in found] or None)

    async def _commit(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        container = self._engine.containers.find(query.get("container", ""))
        record, images = container.record, self._engine.images
        repository = query.get("repo", "")
        target = references.with_tag(repository, query.get("tag", "")) if repository else None
        if target is not None and target.digest:
            raise BadRequest("cannot commit to digest reference")
        config = committing.members(record.config)
        if (await request.read()).strip() not in {b"", b"null"}:
            config.update(committing.members(await http.body(request, Config)))
        config = parse_changes(query.getall("changes", []), config)
        wanted = committing.Wanted(query.get("author", ""), query.get("comment", ""), config)
        pause = http.flag(request, "pause", otherwise=True) and record.state.status == "running"
        async with _paused(self._engine, container, wanted=pause), images.lock:
            image = await asyncio.to_thread(committing.commit, self._engine, record, wanted)
            if target is not None:
                images.tag(image, target, action="")
        self._engine.tell(record, "commit", comment=wanted.comment, imageID=image.id)
        return http.reply({"Id": image.id}, 201)


@asynccontextmanager
async def _paused(engine: Engine, container: Container, *, wanted: bool) -> AsyncIterator[None]:
    """Let a container stand still for a while."""
    if not wanted:
        yield
        return
    await signalling.pause(engine, container)
    try:
        yield
    finally:
        await signalling.unpause(engine, container)


async def _streamed(
    request: web.Request,
    write: Callable[[IO[bytes]], None],
    told: dict[str, str],
    kind: str = "application/x-tar",
) -> web.StreamResponse:
    """Send what a thread writes; a client that goes away ends it."""
    reading, writing = os.pipe2(os.O_CLOEXEC)

    def fill() -> None:
        with os.fdopen(writing, "wb") as file, suppress(BrokenPipeError):
            write(file)

    filling = asyncio.ensure_future(asyncio.to_thread(fill))
    stream = http.Stream(request, kind)
    stream.response.headers.update(told)
    try:
        await stream.begin()
        while data := await asyncio.to_thread(os.read, reading, _CHUNK):
            await stream.response.write(data)
    finally:
        os.close(reading)
        try:
            await asyncio.shield(filling)
        except OSError as error:  # too late for a status: the client sees that the end is missing
            _log.warning("%s: %s", request.path, error)
            if request.transport is not None:
                request.transport.abort()
    return await stream.end()
