"""What has to be there before a runtime can make a container: root filesystem, files, config."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from seatrial.engine import bundle, mountpoints, users
from seatrial.engine.errors import BadRequest
from seatrial.engine.explaining import PAYLOAD
from seatrial.engine.extraction import Extractor, remove_tree
from seatrial.engine.snapshots import Snapshot

if TYPE_CHECKING:
    from seatrial.engine.layers import Layers
    from seatrial.engine.records import Record
    from seatrial.engine.volumes import Volumes


def snapshot(record: Record, folder: str, layers: Layers) -> Snapshot:
    """Return a container's root filesystem."""
    return Snapshot(folder, [layers.path(each) for each in record.layers])


def make_folder(
    record: Record, folder: str, layers: Layers, volumes: Volumes, payload: bytes
) -> None:
    """Make a new container's folder, and fill its volumes with what the image has there."""
    os.makedirs(folder, mode=0o710)
    with open(f"{folder}/{PAYLOAD}", "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(payload)
    held = snapshot(record, folder, layers)
    held.make()
    empty = [point for point in record.mounts if point.copy_up]
    work = record.config.working_dir.strip("/")
    if not empty and not work:
        return
    held.mount()
    try:
        for point in empty:
            volumes.fill(volumes.find(point.name), held.root, point.destination)
        if work:
            _make_working_folder(held.root, work)
    finally:
        held.unmount()


def _make_working_folder(root: str, path: str) -> None:
    with Extractor(root) as extractor, suppress(BadRequest):  # the runtime will complain of it
        extractor.folder(os.path.normpath(path))


def prepare(
    record: Record,
    folder: str,
    layers: Layers,
    *,
    cgroup: str,
    namespaces: dict[str, str],
    host_capabilities: frozenset[str],
    files: str,
) -> dict[str, Any]:
    """Mount the root filesystem and write config.json; return the config."""
    held = snapshot(record, folder, layers)
    for point in record.mounts:
        if point.type == "bind" and "make-source" in point.options:
            with suppress(FileExistsError):
                os.makedirs(point.source)
    mountpoints.check_propagation(record.mounts)
    held.mount()
    try:
        user = users.find(held.root, record.config.user, record.host.group_add)
        place = bundle.Place(held.root, files, cgroup, user, namespaces, host_capabilities)
        made = bundle.config(record, place)
        with open(f"{folder}/config.json", "w", encoding="utf-8") as file:
            json.dump(made, file)
    except BaseException:
        held.unmount()
        raise
    return made


def remove_folder(record: Record, folder: str, layers: Layers) -> None:
    """Remove a container's folder, with all that it has changed."""
    snapshot(record, folder, layers).remove()
    with suppress(FileNotFoundError):
        remove_tree(None, folder)
