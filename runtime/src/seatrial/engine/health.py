"""Health checks: a program that is run in a container again and again, and what it makes of it."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from typing import TYPE_CHECKING

from seatrial.engine import clock, execution
from seatrial.engine.containers import Client
from seatrial.engine.errors import BadRequest, EngineError
from seatrial.engine.payloads import ExecRequest, Healthcheck
from seatrial.engine.records import Health, HealthResult

if TYPE_CHECKING:
    from seatrial.engine.containers import Container
    from seatrial.engine.engine import Engine
    from seatrial.engine.execution import Exec

_BILLION = 1_000_000_000
_INTERVAL_NS, _TIMEOUT_NS = 30 * _BILLION, 30 * _BILLION
_RETRIES = 3
_LEAST_NS = 1_000_000
#: Results that are remembered, and how much of what each said.
_RESULTS, _LONGEST_OUTPUT = 5, 4096
_HEADER = struct.Struct(">BxxxL")
_TIMES = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
}


def check(wanted: Healthcheck | None) -> None:
    """Refuse what makes no sense."""
    if wanted is None:
        return
    for name, title in _TIMES.items():
        if 0 != getattr(wanted, name) < _LEAST_NS:
            raise BadRequest(f"{title} in Healthcheck cannot be less than 1ms")
    if wanted.retries < 0:
        raise BadRequest("Retries in Healthcheck cannot be negative")


def merged(asked: Healthcheck | None, image: Healthcheck | None) -> Healthcheck | None:
    """Return what was asked for, with what the image says where nothing was."""
    if asked is None or image is None:
        return asked or image
    names = Healthcheck.__struct_fields__
    return Healthcheck(**{name: getattr(asked, name) or getattr(image, name) for name in names})


def begin(engine: Engine, container: Container) -> None:
    """Watch a container that runs now, if there is a check for it."""
    command = _command(container)
    if command and container.health is None:
        container.health = engine.tasks.begin(_watch(engine, container, command))


def start_anew(container: Container) -> None:
    """Let a container that is about to run be neither healthy nor unhealthy."""
    state = container.record.state
    if not _command(container):
        state.health = None
    else:
        state.health = Health(log=state.health.log if state.health is not None else [])


def end(container: Container) -> None:
    """Watch no longer: the container has ended, or is paused; Docker calls that unhealthy."""
    if container.health is not None:
        container.health.cancel()
        container.health = None
        state = container.record.state
        if state.health is not None:
            state.health.status = "unhealthy"


def _command(container: Container) -> list[str]:
    config = container.record.config
    kind, *words = (config.healthcheck.test if config.healthcheck is not None else None) or ["NONE"]
    if kind == "CMD-SHELL":
        return [*(config.shell or ["/bin/sh", "-c"]), *words]
    return words if kind == "CMD" else []


async def _watch(engine: Engine, container: Container, command: list[str]) -> None:
    wanted = container.record.config.healthcheck
    assert wanted is not None  # noqa: S101 - it has a command
    while True:
        await asyncio.sleep(_wait_ns(container, wanted) / _BILLION)
        result = await _probe(engine, container, command, wanted.timeout or _TIMEOUT_NS)
        _take(engine, container, wanted, result)


def _wait_ns(container: Container, wanted: Healthcheck) -> int:
    """Return the time to the next probe; in the start period it may be another."""
    health = container.record.state.health
    young = time.time_ns() - clock.to_ns(container.record.state.started_at) < wanted.start_period
    if wanted.start_interval and young and health is not None and health.status == "starting":
        return wanted.start_interval
    return wanted.interval or _INTERVAL_NS


def _take(engine: Engine, container: Container, wanted: Healthcheck, result: HealthResult) -> None:
    """Remember a result, and tell if the container's health is another now."""
    record, health = container.record, container.record.state.health
    assert health is not None  # noqa: S101 - it is watched
    health.log = [*health.log, result][-_RESULTS:]
    before = health.status
    if result.exit_code == 0:
        health.failing_streak, health.status = 0, "healthy"
    else:
        age_ns = clock.to_ns(result.start) - clock.to_ns(record.state.started_at)
        if before != "starting" or age_ns >= wanted.start_period:
            health.failing_streak += 1
        if health.failing_streak >= (wanted.retries or _RETRIES):
            health.status = "unhealthy"
    engine.containers.keep(record)
    if health.status != before:
        engine.tell(record, f"health_status: {health.status}")


async def _probe(
    engine: Engine, container: Container, command: list[str], timeout_ns: int
) -> HealthResult:
    """Run the check once."""
    began = clock.now()
    request = ExecRequest(cmd=command, attach_stdout=True, attach_stderr=True)
    output = bytearray()
    try:
        run = execution.create(engine, container, request)
        ours, theirs = socket.socketpair()
        with theirs:
            client = Client(theirs, ("stdout", "stderr"), b"", "")
            await execution.start(engine, run, client)
        code = await _end(run, ours, output, timeout_ns)
    except EngineError as error:
        output[:] = str(error).encode()
        code = -1
    text = bytes(output[:_LONGEST_OUTPUT]).decode(errors="replace")
    return HealthResult(began, clock.now(), code, text)


async def _end(run: Exec, ours: socket.socket, output: bytearray, timeout_ns: int) -> int:
    reader, writer = await asyncio.open_connection(sock=ours)
    try:
        async with asyncio.timeout(timeout_ns / _BILLION):
            await _read(reader, output)
            return await run.end()
    except TimeoutError:
        await execution.kill(run)
        text = f"Health check exceeded timeout ({_seconds(timeout_ns)})"
        output[:] = (
            f"{text}: {output.decode(errors='replace')}".encode() if output else text.encode()
        )
        return -1
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader, output: bytearray) -> None:
    """Read frames to their end; what is too long is read and left out."""
    while header := await reader.read(_HEADER.size):
        if len(header) < _HEADER.size:
            header += await reader.readexactly(_HEADER.size - len(header))
        left = _HEADER.unpack(header)[1]
        while left and (data := await reader.read(left)):
            left -= len(data)
            output += data[: max(_LONGEST_OUTPUT - len(output), 0)]


def _seconds(time_ns: int) -> str:
    """Write a duration as Go does, for whole and broken seconds."""
    return f"{time_ns / _BILLION:g}s" if time_ns >= _BILLION else f"{time_ns / 1_000_000:g}ms"
