"""After a restart of the daemon: what became of the containers that ran while none did."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from seatrial.engine import clock, health, messages, removal, runs
from seatrial.engine.errors import EngineError
from seatrial.engine.extraction import remove_tree
from seatrial.engine.names import ids_in
from seatrial.engine.snapshots import Snapshot
from seatrial.engine.supervision import SupervisorGone

if TYPE_CHECKING:
    from seatrial.engine.containers import Container
    from seatrial.engine.engine import Engine

_SOCKET, _EXIT_FILE = "supervisor.sock", "exit.json"


async def recover(engine: Engine) -> None:
    """Find the containers that run, end those that do not, start what is to be started."""
    for container in engine.containers.all():
        exec_folder = engine.settings.exec_folder(container.record.id)
        try:
            connection = messages.connect(exec_folder, _SOCKET)
        except OSError:
            await _recover_ended(engine, container, exec_folder)
        else:
            await _recover_running(engine, container, connection)
    for container in engine.containers.all():
        if container.record.unfinished:
            volumes = container.record.unfinished == "with volumes"
            await removal.remove(engine, container, force=True, volumes=volumes)
    await engine.networking.sweep()
    await _sweep(engine)
    for container in engine.containers.all():
        _restart_by_policy(engine, container)


async def _recover_running(engine: Engine, container: Container, connection: socket.socket) -> None:
    """Take a container over from the daemon before; one that is about to run is waited for."""
    record = container.record
    container.link = runs.follow(engine, container, connection)
    try:
        answer = await container.link.ask("state")
    except SupervisorGone:
        return  # its loss is taken care of
    if not answer["pid"]:
        # Nobody has told it to start, and nobody will: it ends.
        container.link.close()
        container.link = None
        await runs.clean(engine, record)
        return
    if not record.state.running:
        record.state.status = "running"
    record.state.pid = answer["pid"]
    await engine.networking.recover(record)
    record.state.started_at = clock.from_ns(answer["started_ns"])
    engine.containers.keep(record)
    if record.state.status == "running":
        health.begin(engine, container)


async def _recover_ended(engine: Engine, container: Container, exec_folder: str) -> None:
    record = container.record
    if not record.state.running and not os.path.exists(f"{exec_folder}/{_EXIT_FILE}"):
        # Whoever wanted it to run was never told that it does.
        if os.path.isdir(exec_folder):
            await runs.end_by_force(engine, record)
        await runs.clean(engine, record)
        return
    # Its supervisor is lost, just as if that had happened now.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    container.link = runs.follow(engine, container, ours)


def _restart_by_policy(engine: Engine, container: Container) -> None:
    record = container.record
    policy = record.host.restart_policy.name
    wanted = policy == "always" or (policy == "unless-stopped" and not record.stopped_by_hand)
    if record.state.status == "restarting" or (wanted and record.state.status == "exited"):
        record.state.status = "restarting"
        runs.start_after(engine, container, 0)
    elif record.host.auto_remove and record.state.status == "exited" and container.link is None:
        engine.tasks.begin(removal.remove(engine, container, force=False, volumes=True))


async def _sweep(engine: Engine) -> None:
    """Remove what no container has: of a daemon that was killed meanwhile."""
    known = {container.record.id for container in engine.containers.all()}
    for runtime in engine.runtimes.values():
        for identifier in runtime.containers() - known:
            with suppress(EngineError):
                await runtime("delete", "--force", identifier)
    for parent in (f"{engine.settings.root}/containers", engine.settings.exec_root):
        for identifier in ids_in(parent) - known:
            Snapshot(f"{parent}/{identifier}", []).unmount()
            remove_tree(None, f"{parent}/{identifier}")
    engine.volumes.sweep()
    engine.images.sweep(engine.layers_in_use())
