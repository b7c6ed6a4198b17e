"""A container's files as it sees them, for ``docker cp`` and ``docker export``."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from seatrial.engine import kernel, preparation
from seatrial.engine.errors import BadRequest, Conflict
from seatrial.engine.extraction import Extractor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from seatrial.engine.containers import Container
    from seatrial.engine.engine import Engine
    from seatrial.engine.records import MountPoint, Record
    from seatrial.engine.snapshots import Snapshot

_BIND = kernel.MS_BIND | kernel.MS_REC
_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class View(NamedTuple):
    """An open root folder, and the devices that hold what is the container's own."""

    root: int
    devices: frozenset[int]


@asynccontextmanager
async def opened(
    engine: Engine, container: Container, *, mounts: bool = True
) -> AsyncIterator[View]:
    """Open a container's root folder; with its volumes and other mounts if these are wanted.

    A running container's is the one that its processes have, so that nothing has to be mounted
    where they could move it. One that does not run cannot be started until this ends.
    """
    record = container.record
    held = preparation.snapshot(record, engine.folder(record), engine.images.layers)
    async with AsyncExitStack() as stack:
        async with AsyncExitStack() as locked:
            await locked.enter_async_context(container.lock)
            if container.removing:
                raise Conflict(f"container {record.id} is marked for removal")
            if record.state.running:
                root = _of_process(record, held) if mounts else os.open(held.root, _PLACE)
            else:
                stack.callback(held.unmount)
                root = await asyncio.to_thread(_assembled, engine, record, held, mounts=mounts)
                stack.push_async_exit(locked.pop_all())
        stack.callback(os.close, root)
        yield View(root, _devices(engine, record, root))


def _devices(engine: Engine, record: Record, root: int) -> frozenset[int]:
    found = {os.fstat(root).st_dev}
    for _, source in _sources(engine, record):
        with suppress(FileNotFoundError):
            found.add(os.stat(source).st_dev)
    return frozenset(found)


def _sources(engine: Engine, record: Record) -> list[tuple[MountPoint, str]]:
    """Return what is mounted from the host, and where it is there."""
    found = []
    for point in record.mounts:
        if point.type == "volume":
            found.append((point, engine.volumes.path(engine.volumes.find(point.name))))
        elif point.type == "bind":
            found.append((point, point.source))
    return found


def _of_process(record: Record, held: Snapshot) -> int:
    root = os.open(f"/proc/{record.state.pid}/root", _PLACE)
    found, expected = os.fstat(root), os.stat(held.root)
    if (found.st_dev, found.st_ino) != (expected.st_dev, expected.st_ino):
        os.close(root)  # the process has just ended, or has chosen another root
        raise Conflict(f"container {record.id} is not running")
    return root


def _assembled(engine: Engine, record: Record, held: Snapshot, *, mounts: bool) -> int:
    """Mount the root filesystem, and in it what a runtime would mount there from the host."""
    held.mount()
    for point, source in _sources(engine, record) if mounts else ():
        with suppress(FileNotFoundError, BadRequest):  # what is missing is told at the next start
            _bind(source, held.root, point.destination, read_only=not point.rw)
    root = os.open(held.root, _PLACE)
    if record.host.readonly_rootfs:
        _make_read_only(root)
    return root


def _bind(source: str, root: str, destination: str, *, read_only: bool) -> None:
    """Mount at a path within a root; its links lead nowhere else, and cannot be moved meanwhile."""
    place = os.path.normpath("/" + destination)
    within = os.open(root, _PLACE)
    try:
        if os.path.isdir(source):
            with Extractor(os.dup(within)) as extractor:
                extractor.folder(place.strip("/"))
        for is_there in (False, True):
            target = kernel.openat2(within, place, os.O_PATH)
            try:
                if not is_there:
                    kernel.mount(source, f"/proc/self/fd/{target}", "", _BIND)
                elif read_only:
                    _make_read_only(target)
            finally:
                os.close(target)
    finally:
        os.close(within)


def _make_read_only(place: int) -> None:
    flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY
    kernel.mount("", f"/proc/self/fd/{place}", "", flags)
