"""Deleting a container (runtime.md, "Delete"), and undoing a create that failed."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import time
from typing import TYPE_CHECKING

from seatrial.oci import _core, freezer, log
from seatrial.oci import plan as plans
from seatrial.oci.errors import Damaged, NoSuchContainer, OCIError, WrongStatus
from seatrial.oci.failures import failed
from seatrial.oci.operations import Kind, Stage
from seatrial.oci.plan import Plan
from seatrial.oci.states import names_of, status_of
from seatrial.oci.store import Folder, born

if TYPE_CHECKING:
    from seatrial.oci.store import Record

_WAIT_S = 10.0


def delete(identifier: str, *, root: str, force: bool = False) -> None:
    """Delete a stopped container; ``force`` kills it first, and is content with none."""
    folder = Folder(root, identifier)
    try:
        lock = folder.lock()
    except NoSuchContainer:
        if force:
            return
        raise
    try:
        if folder.is_left_over():
            if not force:
                raise OCIError(
                    f"container {identifier} is what a runtime that was killed has left "
                    "(hint: delete --force removes it)"
                )
            _clear(folder)
            return
        try:
            record = folder.record()
        except Damaged:
            if not force:
                raise
            _clear(folder)
            return
        status = status_of(folder, record)
        if status != "stopped" and not force:
            raise WrongStatus(f"container {identifier} is {status}, not stopped")
        try:
            binary = folder.binary_plan()
        except Damaged as error:
            if not force:
                raise
            _end(record)
            folder.remove()
            log.warn(f"{error}: what create made elsewhere is left")
            return
        destroy(folder, record, binary)
    finally:
        os.close(lock)


def destroy(folder: Folder, record: Record, binary: bytes) -> None:
    """End the process, undo what create did, and call the poststop hooks."""
    _end(record)
    # With the first process of a pid namespace all in it have ended (pid_namespaces(7)).
    if not plans.namespaces_of(binary) & plans.NEW_PID:
        _end_all(binary, record.id)
    # The container is no more, but what it had is known until it is gone.
    folder.forget()
    try:
        _deleted(binary, record.id, names_of(record.id, record.bundle, record.annotations))
    except OCIError:
        folder.recall()
        raise
    folder.remove()


def _clear(folder: Folder) -> None:
    """Undo what a runtime did that was killed amid a create or a delete."""
    with contextlib.suppress(NoSuchContainer, Damaged):
        binary = folder.binary_plan()
        # Its process ended with it, unless it had come to wait for start.
        _end_all(binary, folder.id)
        undo(binary, folder.id, hooks=False, names=names_of(folder.id, "", {}))
    folder.remove()


def _end_all(binary: bytes, identifier: str) -> None:
    """Kill what is left in the container's cgroups."""
    if not _core.cgroups_are_empty(binary):
        from seatrial.oci import cgroup_processes

        cgroup_processes.end_all(Plan.decode(binary), identifier)


def _end(record: Record) -> None:
    try:
        pidfd = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return
    try:
        if born(record.pid) == record.born:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            if freezer.shows_frozen(record.freezer):
                freezer.thaw_by(record.freezer)
            poller = select.poll()
            poller.register(pidfd, select.POLLIN)
            if not poller.poll(_WAIT_S * 1000):
                raise OCIError(f"process {record.pid} does not end, {_WAIT_S:g} s after SIGKILL")
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)


def undo(binary: bytes, identifier: str, *, hooks: bool, names: tuple[bytes, bytes, bytes]) -> None:
    """Undo what create did; with ``hooks`` the poststop hooks are called."""
    from seatrial.oci import intel_rdt

    ops = [op for op in Plan.decode(binary).ops if op.stage == Stage.DELETED]
    if not hooks:
        ops = [op for op in ops if op.kind != Kind.HOOK]
    _deleted(Plan(0, intel_rdt.undone(ops)).encode(), identifier, names)


def _deleted(binary: bytes, identifier: str, names: tuple[bytes, bytes, bytes]) -> None:
    """Do what is to be done once a container is no more; raises ``OperationError``."""
    deadline = time.monotonic() + _WAIT_S

    def warn(number: int, index: int) -> None:
        log.warn(str(failed(binary, (number, index))))

    while True:
        failure = _core.run_stage(
            binary, Stage.DELETED, 0, names[0], names[1], b"stopped", names[2], warn
        )
        # A killed task leaves its cgroup a moment after its end is seen.
        if failure is None or failure[0] != errno.EBUSY or time.monotonic() > deadline:
            break
        # Or somebody has put one there that is not in its pid namespace.
        _end_all(binary, identifier)
        os.sched_yield()
    if failure is not None:
        raise failed(binary, failure)
