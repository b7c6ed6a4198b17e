"""A further process in a container (exec), compiled and executed like the first."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from seatrial.oci import _core, affinity, cgroups, config, namespaces, process
from seatrial.oci import listener as listeners
from seatrial.oci.creation import Created
from seatrial.oci.errors import OCIError, WrongStatus
from seatrial.oci.failures import failed
from seatrial.oci.operations import Kind, Op, Stage
from seatrial.oci.plan import Plan
from seatrial.oci.states import names_of, state_of, status_of
from seatrial.oci.store import Folder

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from seatrial.oci.config import Config, Process
    from seatrial.oci.store import Record

#: /proc/PID/ns names by the spec's types; the user namespace first, the pid namespace for children.
_FILES = {
    "user": "user",
    "ipc": "ipc",
    "uts": "uts",
    "network": "net",
    "cgroup": "cgroup",
    "time": "time",
    "pid": "pid",
    "mount": "mnt",
}


def read_process(content: bytes) -> Process:
    """Read a ``process.json``; raises ``ConfigError`` with the pointer."""
    return config.decode_process(content)


def execute(
    identifier: str,
    wanted: Process,
    *,
    root: str,
    console: socket.socket | None = None,
    preserve_fds: int = 0,
    cgroup: Mapping[str, str] | None = None,
    ignore_paused: bool = False,
) -> Created:
    """Start ``wanted`` in a running container; return it once it is executed.

    ``cgroup`` has cgroups below the container's, by controller ("" is all).  In a paused container
    nothing can be executed; with ``ignore_paused`` this waits until it is resumed.
    Raises ``OCIError``.  The process is our child; its ``pidfd`` is the caller's to close.
    """
    folder = Folder(root, identifier)
    record = folder.record()
    status = status_of(folder, record)
    if status == "paused" and not ignore_paused:
        raise WrongStatus(
            f"container {identifier} is paused, so nothing in it would run "
            "(resume it, or wait for that with --ignore-paused)"
        )
    if status not in {"running", "paused"}:
        raise WrongStatus(f"container {identifier} is {status}, not running")
    if wanted.terminal != (console is not None):
        raise OCIError("a terminal needs a console, and a console a terminal")
    process.check(wanted)
    spec = config.decode(folder.read("config.json"))
    binary = compile_plan(spec, wanted, record, folder.plan(), cgroup=cgroup).encode()
    names = names_of(identifier, record.bundle, record.annotations)
    # One that was killed may have left its own, and pids come again.
    room = f"exec-{os.getpid()}-{os.urandom(4).hex()}"
    with folder.listen(room) as listener, _connect(folder, room) as connection:
        pid, pidfd, failure = _core.create(
            binary,
            listener.fileno(),
            console.fileno() if console else -1,
            preserve_fds,
            *names,
        )
        if failure is not None:
            raise failed(binary, failure)
        try:
            listener.close()
            state = state_of(record, status)
            with listeners.reach(listeners.of(spec), state, pid) as agent:
                failure = _core.start(connection.fileno(), *agent)
            if failure is not None:
                raise failed(binary, failure)  # noqa: TRY301 - it has ended like the others
        except BaseException:
            connection.close()  # it ends with that, should it not have begun
            os.waitpid(pid, 0)
            os.close(pidfd)
            raise
    return Created(pid, pidfd)


def _connect(folder: Folder, room: str) -> socket.socket:
    try:
        return folder.connect(room)
    except BaseException:
        folder.hide(room)
        raise


def compile_plan(
    spec: Config,
    wanted: Process,
    record: Record,
    stored: Plan,
    *,
    cgroup: Mapping[str, str] | None = None,
) -> Plan:
    """Return the plan: enter the container's namespaces and cgroups, then be the process."""
    joined = [
        config.Namespace(type=kind, path=path)
        for kind, file in _FILES.items()
        if namespaces.has(spec, kind)
        and not _is_ours(path := f"/proc/{record.pid}/ns/{file}", file)
    ]
    linux = msgspec.structs.replace(spec.linux, namespaces=joined)
    ops = list(namespaces.compile(msgspec.structs.replace(spec, linux=linux)))
    if namespaces.shares_mounts(spec):
        place = f"/proc/{record.pid}/root"
        ops.append(Op(Kind.CHROOT, Stage.JOIN, "enter the container's root", path=place))
    ops += affinity.initial(wanted)
    ops += cgroups.join(stored, record.pid, cgroup)
    ops += [op for op in stored.ops if op.kind == Kind.ATTACH_TASK]
    ops += process.adopt(wanted, spec)
    ops += process.console(wanted)
    ops += affinity.final(wanted)
    keyring = any(op.kind == Kind.KEYRING for op in stored.ops)
    ops += process.compile(wanted, spec, keyring=f"_ses.{record.id}" if keyring else None)
    ops.sort(key=lambda op: op.stage)
    return Plan(0, ops)


def _is_ours(path: str, file: str) -> bool:
    return os.stat(path).st_ino == os.stat(f"/proc/self/ns/{file}").st_ino


def derived(spec: Config, args: list[str], changes: dict[str, object]) -> Process:
    """Return the container's process with other ``args`` and the members in ``changes``."""
    if spec.process is None:
        raise OCIError("the container was configured without process, so give one by --process")
    fixed = {"args": args, "terminal": False, "console_size": msgspec.Raw()}
    return msgspec.structs.replace(spec.process, **{**fixed, **changes})


def derived_of(identifier: str, args: list[str], *, root: str) -> Process:
    """Return the process of a container that exists, with other ``args``."""
    return derived(config.decode(Folder(root, identifier).read("config.json")), args, {})
