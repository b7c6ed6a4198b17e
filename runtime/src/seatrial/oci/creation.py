"""Creating a container (runtime.md, "Create")."""

from __future__ import annotations

import contextlib
import os
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from seatrial.oci import _core, deletion, log
from seatrial.oci import listener as listeners
from seatrial.oci.errors import HookError, OCIError, reason
from seatrial.oci.failures import failed
from seatrial.oci.sources import Source, prepare
from seatrial.oci.states import names_of
from seatrial.oci.store import Folder, Record, born, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.events import Teller

#: The executor's last step (runtime/csrc/executor.h).
_ENTERED = 5


class Created(msgspec.Struct):
    """A container that was created: ``pidfd`` is the caller's to close."""

    pid: int
    pidfd: int
    #: What it was made of.
    source: Source | None = None


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
    bundle, spec, binary = source.bundle, source.config, source.compiled.bound(identifier)
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
            freezer=source.compiled.freezer_of(identifier),
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
            raise failed(binary, failure)  # noqa: TRY301 - undone like what is raised elsewhere
    except BaseException as error:
        _give_up(folder, binary, hooks=isinstance(error, HookError), names=names)
        raise
    finally:
        os.close(lock)
    return Created(pid, pidfd, source)


def _give_up(
    folder: Folder, binary: bytes, *, hooks: bool, names: tuple[bytes, bytes, bytes]
) -> None:
    """Undo a create that failed: its error is the one that counts."""
    try:
        deletion.undo(binary, folder.id, hooks=hooks, names=names)
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
