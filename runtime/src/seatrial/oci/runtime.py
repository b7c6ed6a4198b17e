"""The operations of runtime.md, in process: create, start, state, kill, delete."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from seatrial.oci import _core, freezer, log
from seatrial.oci import listener as listeners
from seatrial.oci.errors import (
    Damaged,
    HookError,
    NoSuchContainer,
    OCIError,
    OperationError,
    WrongStatus,
    reason,
)
from seatrial.oci.operations import Kind, Stage
from seatrial.oci.plan import Plan
from seatrial.oci.store import (
    OCI_VERSION,
    Folder,
    Record,
    born,
    quoted,
    quoted_object,
    write_whole,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.compiler import Compiled
    from seatrial.oci.config import Config
    from seatrial.oci.events import Teller

_WAIT_S = 10.0
#: The executor's last step (runtime/csrc/executor.h).
_ENTERED = 5


class Created(msgspec.Struct):
    """A container that was created: ``pidfd`` is the caller's to close."""

    pid: int
    pidfd: int
    #: What it was made of.
    source: Source | None = None


class Source(msgspec.Struct):
    """A bundle's config, and what it was compiled to."""

    bundle: str
    root: str
    content: bytes
    config: Config
    compiled: Compiled


def create(
    identifier: str,
    *,
    bundle: str,
    root: str,
    console_socket: str | socket.socket | None = None,
    preserve_fds: int = 0,
    systemd: bool = False,
    pid_file: str | None = None,
    new_keyring: bool = True,
    teller: Teller | None = None,
) -> Created:
    """Create a container; raises ``OCIError``, and then nothing of it is left (runtime.md).

    ``teller`` is told of each step; what it raises gives the create up.
    """
    folder = Folder(root, identifier)
    source = prepare(
        identifier,
        bundle=bundle,
        root=root,
        console=console_socket is not None,
        systemd=systemd,
        new_keyring=new_keyring,
    )
    bundle, spec, plan = source.bundle, source.config, source.compiled.plan
    binary = source.compiled.binary
    check_kernel()
    if teller is not None:
        teller.tell("compiled")
    names = names_of(identifier, bundle, spec.annotations)

    def watch(step: int, pid: int) -> None:
        """Keep that there is a container, before its process hears that it may outlive us."""
        if teller is not None:
            teller.step(step, pid)
        if step != _ENTERED:
            return
        record = Record(
            id=identifier,
            bundle=bundle,
            pid=pid,
            born=born(pid) or 0,
            created=datetime.now(UTC).isoformat(),
            has_process=spec.process is not None,
            annotations=spec.annotations,
            listener=listeners.of(spec),
            freezer=next((op.extra for op in plan.ops if op.kind == Kind.ATTACH and op.extra), ""),
        )
        folder.write("record", record.encode())
        if pid_file is not None:
            write_pid_file(pid_file, pid)

    lock = folder.make()
    try:
        # Before anything is done: should we be killed, a delete by force knows what to undo.
        folder.write("plan", binary)
        folder.write("config.json", source.content)
        with folder.listen() as listener, _connect(console_socket) as console:
            pid, pidfd, failure = _core.create(
                binary,
                listener.fileno(),
                console.fileno() if console else -1,
                preserve_fds,
                *names,
                watch,
                teller is not None and teller.on_event is not None,
            )
        if failure is not None:
            raise failed(plan, failure)  # noqa: TRY301 - undone like what is raised elsewhere
    except BaseException as error:
        _give_up(folder, plan, hooks=isinstance(error, HookError), names=names)
        raise
    finally:
        os.close(lock)
    return Created(pid, pidfd, source)


def prepare(
    identifier: str,
    *,
    bundle: str,
    root: str,
    console: bool | None = None,
    systemd: bool = False,
    new_keyring: bool = True,
) -> Source:
    """Compile a bundle's config for one container; raises ``OCIError``.

    With ``console`` it is looked at whether there is a console socket where one is needed.
    """
    # Nothing else needs the config's types and the compiler of each of its sections.
    from seatrial.oci import compiler, config

    bundle = os.path.realpath(bundle)
    content = read_config(bundle)
    spec = config.decode(content)
    terminal = spec.process is not None and spec.process.terminal
    if console is not None and terminal != console:
        raise OCIError(
            "process.terminal is set, so a console socket is needed"
            if terminal
            else "a console socket is given, but process.terminal is not set"
        )
    compiled = compiler.compile_for(
        spec,
        bundle=bundle,
        identifier=identifier,
        root=root,
        systemd=systemd,
        new_keyring=new_keyring,
    )
    return Source(bundle, root, content, spec, compiled)


def _give_up(folder: Folder, plan: Plan, *, hooks: bool, names: tuple[bytes, bytes, bytes]) -> None:
    """Undo a create that failed: its error is the one that counts."""
    try:
        _undo(plan, hooks=hooks, names=names)
        folder.remove()
    except (OCIError, OSError) as error:
        why = error if isinstance(error, OCIError) else reason(error.errno)
        log.warn(f"{why} (hint: delete --force {folder.id} tries again)")


def check_kernel() -> None:
    """Refuse a kernel that cannot do what the executor asks of it; raises ``OCIError``."""
    missing = _core.missing_call()
    if missing is not None:
        raise OCIError(
            f"this kernel ({os.uname().release}) has no {missing}(2), or something around this "
            "process hides it: containers are made with the mount API of Linux 5.12"
        )


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
        plan = stored_plan(folder)
        state_now = state_of(record, status)
        with listeners.reach(record.listener, state_now, record.pid) as agent:
            connection = folder.take_start()
            if connection is None:
                raise WrongStatus(f"container {identifier} is not waiting for start")
            with connection:
                failure = _core.start(connection.fileno(), *agent)
        if failure is not None:
            error = failed(plan, failure)
            if isinstance(error, HookError):
                _destroy(folder, record, plan)
            raise error
        failure = _run(folder, record, Stage.STARTED, "running", record.pid)
        if failure is not None:
            _destroy(folder, record, plan)
            raise failed(plan, failure)
    finally:
        os.close(lock)


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


def summary(identifier: str, *, root: str) -> dict[str, Any]:
    """Return what a list shows of a container: its state and more."""
    folder = Folder(root, identifier)
    record = folder.record()
    found = state(identifier, root=root)
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


def kill(identifier: str, sent: int, *, root: str, everyone: bool = False) -> None:
    """Send a signal to the container process, or to all in its cgroups; raises ``OCIError``."""
    folder = Folder(root, identifier)
    record = folder.record()
    if everyone:
        from seatrial.oci import cgroup_processes

        cgroup_processes.signal_all(stored_plan(folder), sent)
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
            plan = stored_plan(folder)
        except Damaged as error:
            if not force:
                raise
            _end(record)
            folder.remove()
            log.warn(f"{error}: what create made elsewhere is left")
            return
        _destroy(folder, record, plan)
    finally:
        os.close(lock)


def read_config(bundle: str) -> bytes:
    """Read a bundle's ``config.json``; raises ``OCIError``."""
    path = os.path.join(bundle, "config.json")
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise OCIError(f"cannot read {path}: {reason(error.errno)}") from None


@contextlib.contextmanager
def _connect(console: str | socket.socket | None) -> Iterator[socket.socket | None]:
    if isinstance(console, str):
        console = connect_console(console)
    try:
        yield console
    finally:
        if console is not None:
            console.close()


def connect_console(path: str) -> socket.socket:
    """Connect to a console socket; raises ``OCIError``."""
    console = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        console.connect(path)
    except OSError as error:
        console.close()
        raise OCIError(f"cannot connect to console socket {path}: {reason(error.errno)}") from None
    return console


def write_pid_file(path: str, pid: int) -> None:
    """Write a pid so that whoever waits for the file reads it whole."""
    write_whole(path, str(pid).encode())


def names_of(
    identifier: str, bundle: str, annotations: dict[str, str]
) -> tuple[bytes, bytes, bytes]:
    """Return id, bundle and further members of the state as JSON, for the executor."""
    extra = f',"annotations":{quoted_object(annotations)}' if annotations else ""
    return quoted(identifier).encode(), quoted(bundle).encode(), extra.encode()


def status_of(folder: Folder, record: Record) -> str:
    """Return created, running, paused or stopped."""
    if born(record.pid) != record.born:
        return "stopped"
    if freezer.shows_frozen(record.freezer):
        return "paused"
    return "created" if folder.waits_for_start() else "running"


def stored_plan(folder: Folder) -> Plan:
    """Return the plan that was stored at create; raises ``OCIError``."""
    binary = folder.read("plan")
    try:
        # Nothing is done, as there is no such stage: the executor looks whether it is a plan.
        _core.run_stage(binary, len(Stage), 0, b"", b"", b"", b"")
        return Plan.decode(binary)
    except ValueError:
        raise folder.damaged("plan") from None


def _run(
    folder: Folder, record: Record, stage: Stage, status: str, pid: int
) -> tuple[int, int] | None:
    identifier, bundle, extra = names_of(record.id, record.bundle, record.annotations)
    failure: tuple[int, int] | None = _core.run_stage(
        folder.read("plan"), stage, pid, identifier, bundle, status.encode(), extra
    )
    return failure


def _destroy(folder: Folder, record: Record, plan: Plan) -> None:
    """End the process, undo what create did, and call the poststop hooks."""
    _end(record)
    from seatrial.oci import cgroup_processes

    cgroup_processes.end_all(plan, record.id)
    # The container is no more, but what it had is known until it is gone.
    folder.forget()
    try:
        _deleted(plan, plan.encode(), names_of(record.id, record.bundle, record.annotations))
    except OCIError:
        folder.recall()
        raise
    folder.remove()


def _clear(folder: Folder) -> None:
    """Undo what a runtime did that was killed amid a create or a delete."""
    from seatrial.oci import cgroup_processes

    with contextlib.suppress(NoSuchContainer, Damaged):
        plan = stored_plan(folder)
        # Its process ended with it, unless it had come to wait for start.
        cgroup_processes.end_all(plan, folder.id)
        _undo(plan, hooks=False, names=names_of(folder.id, "", {}))
    folder.remove()


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


def _undo(plan: Plan, *, hooks: bool, names: tuple[bytes, bytes, bytes]) -> None:
    ops = [op for op in plan.ops if op.stage == Stage.DELETED]
    if not hooks:
        ops = [op for op in ops if op.kind != Kind.HOOK]
    from seatrial.oci import intel_rdt

    ops = intel_rdt.undone(ops)
    kept = Plan(0, ops)
    _deleted(kept, kept.encode(), names)


def _deleted(plan: Plan, binary: bytes, names: tuple[bytes, bytes, bytes]) -> None:
    """Do what is to be done once a container is no more; raises ``OperationError``."""
    deadline = time.monotonic() + _WAIT_S

    def warn(number: int, index: int) -> None:
        log.warn(str(failed(plan, (number, index))))

    while True:
        failure = _core.run_stage(
            binary, Stage.DELETED, 0, names[0], names[1], b"stopped", names[2], warn
        )
        # A killed task leaves its cgroup a moment after its end is seen.
        if failure is None or failure[0] != errno.EBUSY or time.monotonic() > deadline:
            break
        os.sched_yield()
    if failure is not None:
        raise failed(plan, failure)


def _hint(number: int, new_namespaces: int) -> str:
    """Return what clone(2) may have meant."""
    from seatrial.oci import namespaces

    if number in {errno.ENOSPC, errno.EUSERS}:
        return " (hint: a limit below /proc/sys/user is reached, see namespaces(7))"
    if number == errno.EPERM and new_namespaces & namespaces.FLAGS["user"]:
        return (
            " (hint: this host may not let others than root make user namespaces, see "
            "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)"
        )
    return ""


def failed(plan: Plan, failure: tuple[int, int]) -> OperationError:
    """Return the error that a failure of the executor is."""
    number, index = failure
    if not 0 <= index < len(plan.ops):
        what = f"cannot make the container process: {reason(number)}"
        return OperationError(what + _hint(number, plan.namespaces), number)
    op = plan.ops[index]
    place = f" (config.json#{op.pointer})" if op.pointer else ""
    if op.kind == Kind.HOOK:
        why = {errno.ECHILD: "it failed", errno.ETIMEDOUT: "it was not done in time"}.get(
            number, reason(number)
        )
        return HookError(f"{op.says}: {why}{place}", number, op.pointer)
    return OperationError(f"{op.says}: {reason(number)}{place}", number, op.pointer)
