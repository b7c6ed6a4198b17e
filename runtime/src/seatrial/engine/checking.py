"""``seatriald check``: whether what is remembered, what is on the disk and what runs agree."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seatrial.engine import cgroups, preparation
from seatrial.engine.names import ids_in
from seatrial.engine.registry.manifests import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seatrial.engine.engine import Engine
    from seatrial.engine.records import Record


def complaints(engine: Engine) -> list[str]:
    """Return what does not agree, a sentence each; nothing if all does."""
    return [complaint for check in CHECKS for complaint in check(engine)]


def _settled(engine: Engine) -> list[Record]:
    """Return the containers that nothing is being done to."""
    return [each.record for each in engine.containers.all() if not each.lock.locked()]


def _running(engine: Engine) -> set[str]:
    return {each.id for each in _settled(engine) if each.state.running}


def _known(engine: Engine) -> set[str]:
    return {each.record.id for each in engine.containers.all()}


def _busy(engine: Engine) -> set[str]:
    return _known(engine) - {each.id for each in _settled(engine)}


def _database(engine: Engine) -> Iterator[str]:
    yield from (f"database: {each}" for each in engine.database.defects())


def _folders(engine: Engine) -> Iterator[str]:
    found, known = ids_in(f"{engine.settings.root}/containers"), _known(engine)
    yield from (f"folder of no container: {each}" for each in sorted(found - known))
    yield from (f"container without a folder: {each}" for each in sorted(known - found))
    for each in _settled(engine):
        if each.unfinished:
            yield f"container that is half made or half removed: {each.id}"


def _mounts(engine: Engine) -> Iterator[str]:
    running = _running(engine)
    for record in _settled(engine):
        mounted = preparation.snapshot(record, engine.folder(record), engine.images.layers).mounted
        if mounted != (record.id in running):
            said = "mounted, and it does not run" if mounted else "not mounted, and it runs"
            yield f"root filesystem of {record.id}: {said}"
    unknown = f"{engine.settings.root}/containers/"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            where = line.split(" ")[4]
            if where.startswith(unknown) and where.split("/")[-2] not in _known(engine):
                yield f"mount of no container: {where}"


def _supervisors(engine: Engine) -> Iterator[str]:
    running = _running(engine)
    for identifier in sorted(ids_in(engine.settings.exec_root) - running - _busy(engine)):
        yield f"folder of a supervisor, and nothing runs: {identifier}"
    for container in engine.containers.all():
        record = container.record
        if record.id not in running:
            continue
        if container.link is None:
            yield f"container that runs without a supervisor: {record.id}"
        if not os.path.exists(f"/proc/{record.state.pid}"):
            yield f"container that runs without a process: {record.id}"


def _runtimes(engine: Engine) -> Iterator[str]:
    running, busy = _running(engine), _busy(engine)
    held = {each for runtime in engine.runtimes.values() for each in runtime.containers()}
    yield from (f"the runtime has one that does not run: {each}" for each in held - running - busy)
    yield from (f"the runtime does not know of: {each}" for each in running - held)


def _cgroups(engine: Engine) -> Iterator[str]:
    running, busy = _running(engine), _busy(engine)
    for where in sorted(set(cgroups.mounts().values())):
        folder = f"{where}/{engine.settings.cgroup_parent.strip('/')}"
        for identifier in sorted(ids_in(folder) - running - busy):
            yield f"cgroup of no container that runs: {folder}/{identifier}"


def _volumes(engine: Engine) -> Iterator[str]:
    known, found = {each.name for each in engine.volumes.all()}, set(engine.volumes.folders())
    yield from (f"folder of no volume: {each}" for each in sorted(found - known))
    yield from (f"volume without a folder: {each}" for each in sorted(known - found))
    for record in _settled(engine):
        for point in record.mounts:
            if point.name and point.name not in known:
                yield f"volume of {record.id} that is not there: {point.name}"


def _images(engine: Engine) -> Iterator[str]:
    images = engine.images
    blobs, layers = images.blobs.digests(), images.layers.diff_ids()
    known_blobs, known_layers = set[str](), set(engine.layers_in_use())
    for image in images.all():
        parts = {image.id, image.manifest, *(layer.blob for layer in image.layers)}
        laid_out = {layer.diff_id for layer in image.layers}
        known_blobs |= parts
        known_layers |= laid_out
        yield from (f"image {image.id} lacks a blob: {each}" for each in sorted(parts - blobs))
        yield from (f"image {image.id} lacks a layer: {each}" for each in sorted(laid_out - layers))
        for each in sorted({image.id, image.manifest} & blobs):
            if digest_of(images.blobs.read(each)) != each:
                yield f"image {image.id} has a blob of another digest: {each}"
    if images.busy:  # what is on its way belongs to nothing yet
        return
    yield from (f"blob of no image: {each}" for each in sorted(blobs - known_blobs))
    yield from (f"layer of no image: {each}" for each in sorted(layers - known_layers))


CHECKS: tuple[Callable[[Engine], Iterator[str]], ...] = (
    _database,
    _folders,
    _mounts,
    _supervisors,
    _runtimes,
    _cgroups,
    _volumes,
    _images,
)
