"""A container's run: from start to its end, and whether another one follows."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from seatrial.engine import (
    cgroups,
    clock,
    creation,
    health,
    preparation,
    processes,
    removal,
    restarts,
    signalling,
)
from seatrial.engine.errors import BadRequest, Conflict, EngineError, NotModified
from seatrial.engine.extraction import remove_tree
from seatrial.engine.supervision import Link, SupervisorGone

if TYPE_CHECKING:
    import socket

    from seatrial.engine.containers import Container
    from seatrial.engine.engine import Engine
    from seatrial.engine.messages import Message
    from seatrial.engine.records import Record

_EXIT_FILE, _PID_FILE = "exit.json", "supervisor.pid"
_KILLED = 137
_log = logging.getLogger(__name__)


async def start(engine: Engine, container: Container) -> None:
    """Let a container run; raises NotModified if it does."""
    async with container.lock:
        state = container.record.state
        if container.removing:
            raise Conflict("container is marked for removal and cannot be started")
        if state.status == "paused":
            raise Conflict("cannot start a paused container, try unpause instead")
        if state.running:
            raise NotModified("container already started")
        restarts.cancel(engine, container)
        container.record.stopped_by_hand = False
        container.record.restart_count = 0
        why = await _begin(engine, container)
    if why is not None:
        if container.record.host.auto_remove:
            await removal.remove(engine, container, force=False, volumes=True)
        raise why


async def restart(engine: Engine, container: Container, timeout_s: int | None, wanted: str) -> None:
    """Stop a container if it runs, and start it."""
    with suppress(NotModified):
        await signalling.stop(engine, container, timeout_s, wanted)
    await start(engine, container)
    engine.tell(container.record, "restart")


def start_after(engine: Engine, container: Container, delay_s: float) -> None:
    """Let a container run again after a while, if nobody decides otherwise."""
    container.restarting = engine.tasks.begin(_begin_after(engine, container, delay_s))


async def _begin_after(engine: Engine, container: Container, delay_s: float) -> None:
    await asyncio.sleep(delay_s)
    async with container.lock:
        if container.record.state.status != "restarting":
            return
        container.restarting = None
        why = await _begin(engine, container)
    if why is not None:
        _log.warning("container %s: %s", container.record.id[:12], why)


# --- its beginning ------------------------------------------------------------------------------


async def _begin(engine: Engine, container: Container) -> EngineError | None:
    """Let a container run; return why it does not."""
    record = container.record
    try:
        network = await engine.networking.attach(record)
    except (EngineError, OSError) as error:
        why = EngineError(f"failed to set up container networking: {error}")
        await _failed(engine, container, str(why))
        return why
    try:
        engine.containers.keep(record)  # a daemon that is killed now has to find what it has
        order = await _prepare(engine, record, network)
        container.link = follow(engine, container, engine.nursery.spawn(order))
        for client in container.waiting.take():
            with client.connection:
                await container.link.ask(
                    "attach", descriptors=(client.connection.fileno(),), exec="", **client.order()
                )
        answer = await container.link.ask("start")
    except (EngineError, OSError) as error:
        if isinstance(error, SupervisorGone):
            await end_by_force(engine, record)
        await _failed(engine, container, str(error))
        return error if isinstance(error, EngineError) else EngineError(str(error))
    finally:
        if network is not None:
            os.close(network)  # the container's processes keep the namespace now
    if answer["error"]:
        await _failed(engine, container, answer["error"])
        return BadRequest(f"failed to create task for container: {answer['error']}")
    state = record.state
    state.status, state.pid, state.error = "running", answer["pid"], ""
    state.exit_code, state.oom_killed = 0, False
    state.started_at = clock.from_ns(answer["started_ns"])
    health.start_anew(container)
    engine.containers.keep(record)
    engine.tell(record, "start")
    health.begin(engine, container)
    return None


async def _prepare(engine: Engine, record: Record, network: int | None) -> Message:
    folder, exec_folder = engine.folder(record), engine.settings.exec_folder(record.id)
    with suppress(FileNotFoundError):
        remove_tree(None, exec_folder)
    os.mkdir(exec_folder, 0o700)
    cgroup = engine.cgroup(record)
    await asyncio.to_thread(
        preparation.prepare,
        record,
        folder,
        engine.images.layers,
        cgroup=cgroup,
        namespaces=_namespaces(engine, record, network),
        host_capabilities=engine.host_capabilities,
        files=engine.networking.folder_of_files(record),
    )
    environment = await engine.runtime(record).prepare(folder)
    log_path = engine.log_path(record)
    max_bytes, max_files = creation.log_limits(record.host)
    log = {"path": log_path, "max_bytes": max_bytes, "max_files": max_files} if log_path else None
    return {
        "id": record.id,
        "folder": exec_folder,
        "bundle": folder,
        "runtime": engine.runtime(record).command,
        "environment": environment,
        "tty": record.config.tty,
        "stdin": record.config.open_stdin,
        "stdin_once": record.config.stdin_once,
        "log": log,
        "oom_file": cgroups.oom_file(cgroup),
    }


def _namespaces(engine: Engine, record: Record, network: int | None) -> dict[str, str]:
    """Return the namespaces that are there before a container: their paths, by kind."""
    host = record.host
    modes = {"pid": host.pid_mode, "network": host.network_mode, "ipc": host.ipc_mode}
    files = {"pid": "pid", "network": "net", "ipc": "ipc"}
    found = {}
    if network is not None:
        found["network"] = f"/proc/{os.getpid()}/fd/{network}"
    for kind, mode in modes.items():
        if mode.startswith("container:"):
            other = engine.containers.find(mode.partition(":")[2]).record
            if not other.state.running:
                raise Conflict(
                    f"cannot join {kind} namespace of a non running container: {other.id}"
                )
            found[kind] = f"/proc/{other.state.pid}/ns/{files[kind]}"
    return found


async def _failed(engine: Engine, container: Container, why: str) -> None:
    """Remember why it did not begin; whoever waits for the end hears of it."""
    record = container.record
    if container.link is not None:
        container.link.close()
        container.link = None
    container.waiting.dismiss()
    code = 127 if "no such file" in why.lower() or "not found" in why.lower() else 128
    code = 126 if "permission denied" in why.lower() else code
    record.state.exit_code, record.state.error = code, why
    if record.state.status == "restarting":
        record.state.status = "exited"
    engine.containers.keep(record)
    await clean(engine, record)
    container.tell_exit()
    engine.tell(record, "die", exitCode=str(code))


async def clean(engine: Engine, record: Record) -> None:
    """Take away what a run needed."""
    await engine.networking.release(record)
    held = preparation.snapshot(record, engine.folder(record), engine.images.layers)
    await asyncio.to_thread(held.unmount)
    with suppress(FileNotFoundError):
        remove_tree(None, engine.settings.exec_folder(record.id))


# --- its end ------------------------------------------------------------------------------------


def follow(engine: Engine, container: Container, connection: socket.socket) -> Link:
    """Hear what a container's supervisor has to tell."""

    def on_event(message: Message) -> None:
        if message["event"] == "exited":
            engine.tasks.begin(_ended(engine, container, link, message))
        elif message["event"] == "exec-exited":
            _exec_ended(engine, container, message)

    def on_lost() -> None:
        engine.tasks.begin(_supervisor_lost(engine, container, link))

    link = Link(connection, on_event, on_lost)
    return link


def _exec_ended(engine: Engine, container: Container, message: Message) -> None:
    found = engine.execs.get(message["exec"])
    if found is not None:
        found.ended(message["exit_code"])
        engine.tell(
            container.record, "exec_die", execID=found.id, exitCode=str(message["exit_code"])
        )


async def _supervisor_lost(engine: Engine, container: Container, link: Link) -> None:
    """Find out how a container ended whose supervisor is gone."""
    async with container.lock:
        if container.link is not link:
            return
        record = container.record
        path = f"{engine.settings.exec_folder(record.id)}/{_EXIT_FILE}"
        try:
            with open(path, encoding="utf-8") as file:
                told = json.load(file)
        except FileNotFoundError:
            # It was killed. Nobody holds the container's streams any more, so that ends too.
            await end_by_force(engine, record)
            told = {"exit_code": _KILLED, "finished_ns": time.time_ns(), "oom_killed": False}
        await _take_end(engine, container, link, told)


async def end_by_force(engine: Engine, record: Record) -> None:
    """End what a killed supervisor has left: commands of the runtime, then what they made."""
    path = f"{engine.settings.exec_folder(record.id)}/{_PID_FILE}"
    with suppress(FileNotFoundError), open(path, encoding="ascii") as file:
        await asyncio.to_thread(processes.end_session, int(file.read() or "0"))
    try:
        await engine.runtime(record)("delete", "--force", record.id)
    except EngineError as error:
        _log.warning("container %s: %s", record.id[:12], error)


async def _ended(engine: Engine, container: Container, link: Link, told: Message) -> None:
    async with container.lock:
        if container.link is link:
            await _take_end(engine, container, link, told)


async def _take_end(engine: Engine, container: Container, link: Link, told: Message) -> None:
    """Remember how a run ended, and see to what follows."""
    link.close()
    container.link = None
    health.end(container)
    record, state = container.record, container.record.state
    lasted_s = (told["finished_ns"] - clock.to_ns(state.started_at)) / 1e9
    state.status, state.pid = "exited", 0
    state.exit_code, state.oom_killed = told["exit_code"], told["oom_killed"]
    state.finished_at = clock.from_ns(told["finished_ns"])
    for each in list(engine.execs.values()):
        if each.container is container and each.running:
            each.ended(_KILLED)
    await clean(engine, record)
    delay_s = restarts.delay_s(container, lasted_s)
    if delay_s is not None:
        state.status = "restarting"
        record.restart_count += 1
    engine.containers.keep(record)
    if state.oom_killed:
        engine.tell(record, "oom")
    engine.tell(record, "die", exitCode=str(state.exit_code))
    if delay_s is not None:
        start_after(engine, container, delay_s)
        return
    container.tell_exit()
    if record.host.auto_remove:
        engine.tasks.begin(removal.remove(engine, container, force=False, volumes=True))
