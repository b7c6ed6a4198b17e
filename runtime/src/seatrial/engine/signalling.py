"""What is sent to a container that runs: signals, stop, pause."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from seatrial.engine import health, restarts
from seatrial.engine.errors import BadRequest, Conflict, EngineError, NotModified

if TYPE_CHECKING:
    from seatrial.engine.containers import Container
    from seatrial.engine.engine import Engine
    from seatrial.engine.records import Record

_STOP_TIMEOUT_S = 10


def number(text: str) -> int:
    """Return a signal's number by its name, with or without SIG, or by its number."""
    if text.isdecimal() and 0 < int(text) <= signal.SIGRTMAX:
        return int(text)
    name = "SIG" + text.upper().removeprefix("SIG")
    realtime = name.partition("+" if name.startswith("SIGRTMIN") else "-")
    if realtime[0] in {"SIGRTMIN", "SIGRTMAX"} and realtime[2].isdecimal():
        base, step = signal.Signals[realtime[0]], int(realtime[2])
        found = base + step if realtime[0] == "SIGRTMIN" else base - step
        if signal.SIGRTMIN <= found <= signal.SIGRTMAX:
            return int(found)
    try:
        return int(signal.Signals[name])
    except KeyError:
        raise BadRequest(f"Invalid signal: {text}") from None


async def _send(engine: Engine, container: Container, sent: int) -> None:
    record = container.record
    if record.state.status == "paused" and sent == signal.SIGKILL:
        with suppress(EngineError):
            await engine.runtime(record)("resume", record.id)
    try:
        await engine.runtime(record)("kill", record.id, str(sent))
    except EngineError:
        if record.state.running and os.path.exists(f"/proc/{record.state.pid}"):
            raise
    engine.tell(record, "kill", signal=str(sent))


async def kill(engine: Engine, container: Container, wanted: str) -> None:
    """Send a signal; after SIGKILL return once the container has ended."""
    sent = number(wanted or "KILL")
    if container.record.state.status == "restarting":
        restarts.cancel(engine, container)
        return
    _must_run(container)
    if _ends(container.record, sent):
        container.record.stopped_by_hand = True
    gone = container.next_exit()
    await _send(engine, container, sent)
    if sent == signal.SIGKILL:
        await gone
    else:
        gone.cancel()


def _ends(record: Record, sent: int) -> bool:
    """Whether a signal is meant to end a container, so that no restart is to follow.

    As with Docker, any is unless the container has said which one.
    """
    said = record.config.stop_signal
    return sent == signal.SIGKILL or not said or sent == number(said)


async def stop(
    engine: Engine, container: Container, timeout_s: int | None, wanted: str = ""
) -> None:
    """Ask a container to end, and end it if it does not; raises NotModified if none runs."""
    record = container.record
    record.stopped_by_hand = True
    if record.state.status == "restarting":
        restarts.cancel(engine, container)
        return
    if not record.state.running:
        raise NotModified("container already stopped")
    if timeout_s is None:
        timeout_s = record.config.stop_timeout
    gone = asyncio.shield(container.next_exit())
    await _send(engine, container, number(wanted or record.config.stop_signal or "TERM"))
    limit_s = _STOP_TIMEOUT_S if timeout_s is None else None if timeout_s < 0 else timeout_s
    try:
        await asyncio.wait_for(gone, limit_s)
    except TimeoutError:
        gone = asyncio.shield(container.next_exit())
        if record.state.running:
            await _send(engine, container, signal.SIGKILL)
            await gone
    engine.tell(record, "stop")


async def pause(engine: Engine, container: Container) -> None:
    """Freeze all processes of a container."""
    async with container.lock:
        record = container.record
        _must_run(container)
        if record.state.status == "paused":
            raise Conflict(f"Container {record.id} is already paused")
        await engine.runtime(record)("pause", record.id)
        record.state.status = "paused"
        health.end(container)
        engine.containers.keep(record)
        engine.tell(record, "pause")


async def unpause(engine: Engine, container: Container) -> None:
    """Let them go on."""
    async with container.lock:
        record = container.record
        if record.state.status != "paused":
            raise Conflict(f"Container {record.id} is not paused")
        await engine.runtime(record)("resume", record.id)
        record.state.status = "running"
        engine.containers.keep(record)
        engine.tell(record, "unpause")
        health.begin(engine, container)


def _must_run(container: Container) -> None:
    if not container.record.state.running:
        raise Conflict(f"Container {container.record.id} is not running")
