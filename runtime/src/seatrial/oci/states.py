"""The state of a container (runtime.md, "State"), from what create wrote down and from the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.oci import freezer
from seatrial.oci.store import OCI_VERSION, Folder, born, quoted, quoted_object

if TYPE_CHECKING:
    from seatrial.oci.store import Record


def state(identifier: str, *, root: str) -> dict[str, Any]:
    """Return the state (runtime.md, "State")."""
    folder = Folder(root, identifier)
    record = folder.record()
    return state_of(record, status_of(folder, record))


def state_of(record: Record, status: str) -> dict[str, Any]:
    """Return the state of a container in ``status``."""
    found: dict[str, Any] = {"ociVersion": OCI_VERSION, "id": record.id, "status": status}
    if status != "stopped":
        found["pid"] = record.pid
    found["bundle"] = record.bundle
    if record.annotations:
        found["annotations"] = record.annotations
    return found


def status_of(folder: Folder, record: Record) -> str:
    """Return created, running, paused or stopped."""
    if born(record.pid) != record.born:
        return "stopped"
    if freezer.shows_frozen(record.freezer):
        return "paused"
    return "created" if folder.waits_for_start() else "running"


def summary(identifier: str, *, root: str) -> dict[str, Any]:
    """Return what a list shows of a container: its state and more."""
    folder = Folder(root, identifier)
    record = folder.record()
    found = state_of(record, status_of(folder, record))
    return {
        "ociVersion": found["ociVersion"],
        "id": record.id,
        "pid": found.get("pid", 0),
        "status": found["status"],
        "bundle": record.bundle,
        "created": record.created,
        "annotations": record.annotations,
        "owner": "root",
    }


def names_of(
    identifier: str, bundle: str, annotations: dict[str, str]
) -> tuple[bytes, bytes, bytes]:
    """Return id, bundle and further members of the state as JSON, for the executor."""
    extra = f',"annotations":{quoted_object(annotations)}' if annotations else ""
    return quoted(identifier).encode(), quoted(bundle).encode(), extra.encode()
