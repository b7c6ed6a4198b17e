"""Containers: create, list, inspect, and what can be done to them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from seatrial.engine import (
    clock,
    creation,
    describing,
    limits,
    processes,
    removal,
    restarts,
    runs,
    selecting,
    signalling,
    usage,
)
from seatrial.engine.api import http
from seatrial.engine.errors import BadRequest, Conflict, NotFound
from seatrial.engine.network import describing as network
from seatrial.engine.payloads import CreateRequest, UpdateRequest

if TYPE_CHECKING:
    from aiohttp import web

    from seatrial.engine.containers import Container
    from seatrial.engine.engine import Engine
    from seatrial.engine.events import Filters
    from seatrial.engine.records import Record

_BEFORE = ("precpu_stats", "preread")
_WAITS = {"", "not-running", "next-exit", "removed"}


class Containers:
    """Handlers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def join(self, routes: http.Routes) -> None:
        """Add the paths."""
        routes.add("POST", "/containers/create", self._create)
        routes.add("POST", "/containers/prune", self._prune)
        routes.add("GET", "/containers/json", self._list)
        routes.add("GET", "/containers/{id}/json", self._inspect)
        routes.add("GET", "/containers/{id}/top", self._top)
        routes.add("GET", "/containers/{id}/stats", self._stats)
        routes.add("POST", "/containers/{id}/start", self._start)
        routes.add("POST", "/containers/{id}/stop", self._stop)
        routes.add("POST", "/containers/{id}/restart", self._restart)
        routes.add("POST", "/containers/{id}/kill", self._kill)
        routes.add("POST", "/containers/{id}/pause", self._pause)
        routes.add("POST", "/containers/{id}/unpause", self._unpause)
        routes.add("POST", "/containers/{id}/rename", self._rename)
        routes.add("POST", "/containers/{id}/update", self._update)
        routes.add("POST", "/containers/{id}/wait", self._wait, changes=False)
        routes.add("DELETE", "/containers/{id}", self._remove)

    def _container(self, request: web.Request) -> Container:
        return self._engine.containers.find(request.match_info["id"])

    async def _create(self, request: web.Request) -> web.StreamResponse:
        wanted = await http.body(request, CreateRequest)
        name = request.query.get("name", "")
        container = await creation.create(self._engine, wanted, name, await request.read())
        return http.reply({"Id": container.record.id, "Warnings": []}, 201)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        chosen = http.filters(request, selecting.KNOWN)
        every, limit = http.flag(request, "all"), http.number(request, "limit")
        limit = limit if limit is not None and limit > 0 else None
        found = selecting.containers(self._engine, chosen, every=every, limit=limit)
        size = http.flag(request, "size")
        told = [describing.summary(self._engine, each, size=size) for each in found]
        for each in told:
            network.for_version(each, http.version(request))
        return http.reply(told)

    async def _inspect(self, request: web.Request) -> web.StreamResponse:
        record = self._container(request).record
        size = http.flag(request, "size")
        told = describing.inspect(self._engine, record, size=size)
        network.for_version(told, http.version(request))
        return http.reply(told)

    async def _top(self, request: web.Request) -> web.StreamResponse:
        record = self._container(request).record
        if not record.state.running:
            raise Conflict(f"Container {record.id} is not running")
        pids = await self._engine.runtime(record).pids(record.id)
        titles, rows = await asyncio.to_thread(
            processes.table, pids, request.query.get("ps_args", "-ef")
        )
        return http.reply({"Titles": titles, "Processes": rows})

    async def _stats(self, request: web.Request) -> web.StreamResponse:
        container = self._container(request)
        go_on = http.flag(request, "stream", otherwise=True)
        before = self._reading(container)
        if not go_on and not http.flag(request, "one-shot"):
            await self._a_second(container)
            before["precpu_stats"], before["preread"] = before["cpu_stats"], before["read"]
            before = {**self._reading(container), **{key: before[key] for key in _BEFORE}}
        if not go_on:
            return http.reply(before)
        stream = http.Stream(request)
        await stream.begin()
        await stream.say(before)
        while container.record.state.running:
            await self._a_second(container)
            reading = self._reading(container)
            reading["precpu_stats"], reading["preread"] = before["cpu_stats"], before["read"]
            await stream.say(reading)
            before = reading
        return await stream.end()

    async def _a_second(self, container: Container) -> None:
        """Wait between two readings, but not longer than the container runs."""
        if container.record.state.running:
            over = container.next_exit()
            await asyncio.wait({over}, timeout=1.0)
            over.cancel()

    def _reading(self, container: Container) -> dict[str, Any]:
        record = container.record
        running = record.state.running
        told = (
            usage.read(self._engine.cgroup(record), record.state.pid)
            if running
            else usage.nothing()
        )
        nothing = {"precpu_stats": usage.nothing()["cpu_stats"], "preread": clock.NEVER}
        return {"name": f"/{record.name}", "id": record.id, **told, **nothing}

    async def _start(self, request: web.Request) -> web.StreamResponse:
        if await request.read() not in {b"", b"{}", b"null"} and http.version(request) >= (1, 24):
            raise BadRequest(
                "a container is started as it was created: the request cannot have a body"
            )
        await runs.start(self._engine, self._container(request))
        return http.done()

    async def _stop(self, request: web.Request) -> web.StreamResponse:
        timeout_s, signal = http.number(request, "t"), request.query.get("signal", "")
        await signalling.stop(self._engine, self._container(request), timeout_s, signal)
        return http.done()

    async def _restart(self, request: web.Request) -> web.StreamResponse:
        timeout_s, signal = http.number(request, "t"), request.query.get("signal", "")
        await runs.restart(self._engine, self._container(request), timeout_s, signal)
        return http.done()

    async def _kill(self, request: web.Request) -> web.StreamResponse:
        named = request.match_info["id"]
        try:
            await signalling.kill(
                self._engine, self._container(request), request.query.get("signal", "")
            )
        except (Conflict, NotFound) as error:
            raise type(error)(f"Cannot kill container: {named}: {error}") from None
        return http.done()

    async def _pause(self, request: web.Request) -> web.StreamResponse:
        await signalling.pause(self._engine, self._container(request))
        return http.done()

    async def _unpause(self, request: web.Request) -> web.StreamResponse:
        await signalling.unpause(self._engine, self._container(request))
        return http.done()

    async def _rename(self, request: web.Request) -> web.StreamResponse:
        creation.rename(self._engine, self._container(request), request.query.get("name", ""))
        return http.done()

    async def _update(self, request: web.Request) -> web.StreamResponse:
        wanted = await http.body(request, UpdateRequest)
        container = self._container(request)
        limits.check(wanted)
        async with container.lock:
            record = container.record
            try:
                limits.check_change(record.host, wanted)
            except BadRequest as error:
                raise BadRequest(f"Cannot update container {record.id}: {error}") from None
            if wanted.restart_policy.name:
                restarts.check(wanted.restart_policy)
                record.host.restart_policy = wanted.restart_policy
            resources = limits.resources(wanted)
            if resources and record.state.running:
                await self._engine.runtime(record).update(record.id, resources)
            limits.take(record.host, wanted)
            self._engine.containers.keep(record)
            self._engine.tell(record, "update")
        return http.reply({"Warnings": None})

    async def _wait(self, request: web.Request) -> web.StreamResponse:
        container = self._container(request)
        condition = request.query.get("condition", "")
        if condition not in _WAITS:
            raise BadRequest(f'invalid condition: "{condition}"')
        state = container.record.state
        if condition == "removed":
            end = container.removal()
        elif condition == "next-exit" or state.running or state.status == "restarting":
            end = container.next_exit()
        else:
            end = asyncio.get_running_loop().create_future()
            end.set_result(state.exit_code)
        # The client sends nothing more until it has seen the head.
        stream = http.Stream(request)
        await stream.begin()
        await stream.say({"StatusCode": await end})
        return await stream.end()

    async def _remove(self, request: web.Request) -> web.StreamResponse:
        container = self._container(request)
        if http.flag(request, "link"):
            raise BadRequest("there are no links between containers in this engine")
        await removal.remove(
            self._engine,
            container,
            force=http.flag(request, "force"),
            volumes=http.flag(request, "v"),
        )
        return http.done()

    async def _prune(self, request: web.Request) -> web.StreamResponse:
        chosen = http.filters(request, {"label", "label!", "until"})
        removed, size = [], 0
        for container in self._engine.containers.all():
            record = container.record
            if (
                record.state.running
                or record.state.status == "restarting"
                or not _prunable(record, chosen)
            ):
                continue
            size += await asyncio.to_thread(
                describing.folder_size, f"{self._engine.folder(record)}/upper"
            )
            await removal.remove(self._engine, container, force=False, volumes=False)
            removed.append(record.id)
        self._engine.events.tell("container", "prune", "", {"reclaimed": str(size)})
        return http.reply({"ContainersDeleted": removed or None, "SpaceReclaimed": size})


def _prunable(record: Record, chosen: Filters) -> bool:

    labels = record.config.labels
    if not all(selecting.has_label(labels, each) for each in chosen.get("label", ())):
        return False
    if any(selecting.has_label(labels, each) for each in chosen.get("label!", ())):
        return False
    return all(
        clock.to_ns(record.created) <= min(clock.given_ns(each), time.time_ns())
        for each in chosen.get("until", ())
    )
