"""``docker rm``: a container, and with it what only it had."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from seatrial.engine import preparation, signalling
from seatrial.engine.errors import Conflict, NotFound
from seatrial.engine.extraction import remove_tree

if TYPE_CHECKING:
    from seatrial.engine.containers import Container
    from seatrial.engine.engine import Engine
    from seatrial.engine.records import Record


async def remove(engine: Engine, container: Container, *, force: bool, volumes: bool) -> None:
    """Remove a container, with its nameless volumes if that is wanted."""
    record = container.record
    if container.removing:
        raise Conflict(f"removal of container {record.id} is already in progress")
    if record.state.running or record.state.status == "restarting":
        if not force:
            raise Conflict(_why_not(record))
        container.removing = True
        with suppress(Conflict):
            await signalling.kill(engine, container, "KILL")
    container.removing = True
    record.unfinished = "with volumes" if volumes else "alone"
    engine.containers.keep(record)
    async with container.lock:
        await finish(engine, container)
        container.waiting.dismiss()
        for key, each in list(engine.execs.items()):
            if each.container is container:
                del engine.execs[key]
        engine.tell(record, "destroy")
        container.tell_removal()


async def finish(engine: Engine, container: Container) -> None:
    """Remove what there is of a container; it is forgotten last, so that nothing is left of it."""
    record = container.record
    await asyncio.to_thread(
        preparation.remove_folder, record, engine.folder(record), engine.images.layers
    )
    with suppress(FileNotFoundError):
        remove_tree(None, engine.settings.exec_folder(record.id))
    if record.unfinished == "with volumes":
        _remove_anonymous_volumes(engine, record)
    engine.containers.forget(record)


def _why_not(record: Record) -> str:
    advice = "Stop the container before attempting removal or force remove"
    if record.state.status != "paused":
        return f"You cannot remove a running container {record.id}. {advice}"
    advice = "Unpause and then stop the container before attempting removal or force remove"
    return f"You cannot remove a paused container {record.id}. {advice}"


def _remove_anonymous_volumes(engine: Engine, record: Record) -> None:
    for point in record.mounts:
        if point.type != "volume":
            continue
        with suppress(NotFound, Conflict):
            if engine.volumes.find(point.name).anonymous:
                users = engine.containers.with_volume(point.name)
                engine.volumes.remove(point.name, [each for each in users if each != record.id])
