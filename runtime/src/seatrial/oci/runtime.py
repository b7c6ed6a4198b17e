"""The operations of runtime.md, in process: create, start, state, kill, delete."""

from __future__ import annotations

import os
import signal

from seatrial.oci import _core, freezer
from seatrial.oci import listener as listeners
from seatrial.oci.creation import create
from seatrial.oci.deletion import delete, destroy
from seatrial.oci.errors import HookError, OCIError, WrongStatus
from seatrial.oci.failures import failed
from seatrial.oci.operations import Stage
from seatrial.oci.states import names_of, state, state_of, status_of
from seatrial.oci.store import Folder, born

__all__ = ["create", "delete", "kill", "start", "state"]


def start(identifier: str, *, root: str) -> None:
    """Run the program of a created container; raises ``OCIError``."""
    folder = Folder(root, identifier)
    lock = folder.lock()
    try:
        record = folder.record()
        status = status_of(folder, record)
        if status != "created":
            raise WrongStatus(f"container {identifier} is {status}, not created")
        if not record.has_process:
            raise OCIError(f"container {identifier} was configured without process")
        binary = folder.binary_plan()
        state_now = state_of(record, status)
        with listeners.reach(record.listener, state_now, record.pid) as agent:
            connection = folder.take_start()
            if connection is None:
                raise WrongStatus(f"container {identifier} is not waiting for start")
            with connection:
                failure = _core.start(connection.fileno(), *agent)
        if failure is not None:
            error = failed(binary, failure)
            if isinstance(error, HookError):
                destroy(folder, record, binary)
            raise error
        named, bundle, extra = names_of(record.id, record.bundle, record.annotations)
        failure = _core.run_stage(
            binary, Stage.STARTED, record.pid, named, bundle, b"running", extra
        )
        if failure is not None:
            destroy(folder, record, binary)
            raise failed(binary, failure)
    finally:
        os.close(lock)


def kill(identifier: str, sent: int, *, root: str, everyone: bool = False) -> None:
    """Send a signal to the container process, or to all in its cgroups; raises ``OCIError``."""
    folder = Folder(root, identifier)
    record = folder.record()
    if everyone:
        from seatrial.oci import cgroup_processes

        cgroup_processes.signal_all(folder.plan(), sent)
        return
    status = status_of(folder, record)
    if status == "stopped":
        raise _not_running(identifier)
    try:
        pidfd = os.pidfd_open(record.pid)
    except ProcessLookupError:
        raise _not_running(identifier) from None
    try:
        if born(record.pid) != record.born:
            raise _not_running(identifier)
        signal.pidfd_send_signal(pidfd, sent)
        if status == "paused" and sent == signal.SIGKILL:
            # A frozen process of v1 does not even end.
            freezer.thaw_by(record.freezer)
    except ProcessLookupError:
        raise _not_running(identifier) from None
    finally:
        os.close(pidfd)


def _not_running(identifier: str) -> WrongStatus:
    # By these words containerd tells it from other failures (the shim's checkKillError).
    return WrongStatus(f"container not running: {identifier} is stopped")
