"""What the runtime remembers of its containers: one folder each below the state root."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import socket
from typing import TYPE_CHECKING, Any

import msgspec

from seatrial.oci import _core
from seatrial.oci.errors import Damaged, NoSuchContainer, OCIError, reason
from seatrial.oci.listener import Listener
from seatrial.oci.operations import Stage

if TYPE_CHECKING:
    from seatrial.oci.plan import Plan

OCI_VERSION = "1.3.0"
_ID = re.compile(r"[A-Za-z0-9_+.-]{1,255}")


class Record(msgspec.Struct):
    """What is written at create and read by every later operation.

    Its form is one that the launcher reads without Python (csrc/launcher/record.c): fields of
    ``name=value``, each ended by a NUL byte.
    """

    id: str
    bundle: str
    pid: int
    #: The process's start time in clock ticks (proc(5), stat field 22): a pid alone may be reused.
    born: int
    created: str
    has_process: bool
    annotations: dict[str, str] = {}
    #: Who is told of the seccomp listener when the program starts.
    listener: Listener | None = None
    #: The cgroup file by which it is paused, or nothing.
    freezer: str = ""

    def encode(self) -> bytes:
        """Return the form in which it is kept."""
        fields = {
            "id": self.id,
            "bundle": quoted(self.bundle),
            "pid": str(self.pid),
            "born": str(self.born),
            "created": self.created,
            "process": "yes" if self.has_process else "",
            "annotations": quoted_object(self.annotations) if self.annotations else "",
            "listener": msgspec.json.encode(self.listener).decode() if self.listener else "",
            "freezer": self.freezer,
        }
        kept = "".join(f"{name}={value}\0" for name, value in fields.items())
        return kept.encode("utf-8", "surrogateescape")

    @classmethod
    def decode(cls, content: bytes) -> Record:
        """Return the record of such a form; raises ``ValueError`` or ``KeyError`` for another."""
        kept = content.decode("utf-8", "surrogateescape").split("\0")[:-1]
        fields = dict(field.split("=", 1) for field in kept)
        if int(fields["pid"]) <= 0:
            raise ValueError("no process has this pid")
        return cls(
            id=fields["id"],
            bundle=unquoted(fields["bundle"]),
            pid=int(fields["pid"]),
            born=int(fields["born"]),
            created=fields["created"],
            has_process=fields["process"] != "",
            annotations=msgspec.json.decode(fields["annotations"] or "{}", type=dict[str, str]),
            listener=msgspec.json.decode(fields["listener"] or "null", type=Listener | None),
            freezer=fields["freezer"],
        )


def quoted(text: str) -> str:
    """Return a text as JSON, in ASCII; bytes that are no UTF-8 are lone surrogates in it."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    import json  # msgspec has no way to write what is no UTF-8

    return json.dumps(text)


def unquoted(text: str) -> str:
    """Return what ``quoted`` was given."""
    if "\\" not in text:
        return text[1:-1]
    import json

    found = json.loads(text)
    if not isinstance(found, str):
        raise ValueError("is no text")  # noqa: TRY004 - it is the text that is wrong, not a type
    return found


def quoted_object(members: dict[str, str]) -> str:
    """Return an object of texts as JSON."""
    return "{" + ", ".join(f"{quoted(k)}: {quoted(v)}" for k, v in members.items()) + "}"


def check_id(identifier: str) -> None:
    """Refuse an id that cannot name a folder."""
    if not _ID.fullmatch(identifier) or identifier in {".", ".."}:
        raise OCIError(f"container id {identifier!r} is not valid: letters, digits and _ + . - are")


class Folder:
    """The folder of one container; every path in it is reached by its descriptor."""

    def __init__(self, root: str, identifier: str) -> None:
        check_id(identifier)
        self.id = identifier
        self.root = root
        self.path = os.path.join(root, identifier)
        #: Where its root is mounted if it has no mount namespace; no id has an @ in it.
        self.mount_place = os.path.abspath(f"{self.path}@root")

    def make(self) -> int:
        """Make it; return its lock, which is taken.  Raises ``OCIError`` where the id is taken."""
        try:
            if not os.path.isdir(self.root):
                os.makedirs(self.root, 0o700, exist_ok=True)
            os.mkdir(self.path, 0o700)
        except FileExistsError:
            raise OCIError(f"container {self.id} exists already") from None
        except PermissionError:
            raise OCIError(
                f"cannot make {self.path}: permission denied (hint: --root DIR, or XDG_RUNTIME_DIR "
                "in the environment, names a folder of one's own)"
            ) from None
        lock = -1
        try:
            lock = self.lock()
            inside = os.listdir(self.path)
        except BaseException:
            if lock >= 0:
                os.close(lock)
            with contextlib.suppress(OSError):
                os.rmdir(self.path)
            raise
        # A delete by force may have taken ours for what somebody killed has left, and another
        # create may have made it anew.
        if inside:
            os.close(lock)
            raise OCIError(f"container {self.id} exists already")
        return lock

    def forget(self) -> None:
        """Let the container be none any more; what it takes to undo it is still there."""
        os.rename(os.path.join(self.path, "record"), os.path.join(self.path, "forgotten"))

    def recall(self) -> None:
        """Let it be one again, as it could not be undone."""
        with contextlib.suppress(OSError):
            os.rename(os.path.join(self.path, "forgotten"), os.path.join(self.path, "record"))

    def is_left_over(self) -> bool:
        """Whether who made it, or was about to remove it, was killed: nobody else has its lock."""
        return not self._has("record")

    def remove(self) -> None:
        """Remove it and all in it; raises ``OSError``, and then what it takes to undo is there."""
        # The plan goes last: without it nobody knows what to undo.
        for name in sorted(os.listdir(self.path), key="plan".__eq__):
            os.unlink(os.path.join(self.path, name))
        os.rmdir(self.path)

    def lock(self) -> int:
        """Take the container's lock until the returned descriptor is closed."""
        while True:
            try:
                fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError as error:
                if error.errno in {errno.ENOENT, errno.ENOTDIR}:
                    raise self._missing() from None
                raise
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                # It may have been removed, and made anew, while we waited.
                if os.path.samestat(os.fstat(fd), os.stat(self.path)):
                    return fd
            except FileNotFoundError:
                pass
            except OSError as error:
                os.close(fd)
                raise OCIError(f"cannot lock {self.path}: {reason(error.errno)}") from None
            os.close(fd)

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all."""
        write_whole(os.path.join(self.path, name), content)

    def read(self, name: str) -> bytes:
        """Read a file; a container without it does not exist."""
        try:
            with open(os.path.join(self.path, name), "rb", buffering=0) as file:
                return file.readall()
        except FileNotFoundError:
            raise self._missing() from None

    def record(self) -> Record:
        """Read the record; raises ``OCIError``."""
        try:
            return Record.decode(self.read("record"))
        except (KeyError, ValueError, RecursionError, msgspec.MsgspecError):
            raise self.damaged("record") from None

    def binary_plan(self) -> bytes:
        """Read the plan that create executed, in its binary form; raises ``OCIError``."""
        binary = self.read("plan")
        try:
            # Nothing is done, as there is no such stage: the executor looks whether it is a plan.
            _core.run_stage(binary, len(Stage), 0, b"", b"", b"", b"")
        except ValueError:
            raise self.damaged("plan") from None
        return binary

    def plan(self) -> Plan:
        """Read that plan; raises ``OCIError``."""
        from seatrial.oci.plan import Plan  # only here: who executes it needs no operations

        return Plan.decode(self.binary_plan())

    def damaged(self, name: str) -> Damaged:
        """Return the error that one of its files is not what was written."""
        return Damaged(
            f"container {self.id}: its {name} in {self.root} is damaged "
            "(hint: delete --force removes what is known of it)"
        )

    def listen(self, name: str = "start") -> socket.socket:
        """Make the socket on which a process waits for start."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._at(listener.bind, f"{name}.sock")
            listener.listen(1)
        except BaseException:
            listener.close()
            self.hide(name)
            raise
        return listener

    def connect(self, name: str) -> socket.socket:
        """Connect to such a socket, for the last time: its name is gone afterwards."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._at(connection.connect, f"{name}.sock")
            os.unlink(os.path.join(self.path, f"{name}.sock"))
        except BaseException:
            connection.close()
            raise
        return connection

    def hide(self, name: str) -> None:
        """Take the name of such a socket away, if it has one."""
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self.path, f"{name}.sock"))

    def take_start(self) -> socket.socket | None:
        """Connect to the process that waits for start; ``None`` if nobody does. Needs the lock."""
        try:
            return self.connect("start")
        except (FileNotFoundError, ConnectionRefusedError):
            return None

    def waits_for_start(self) -> bool:
        """Whether start has not been called."""
        return self._has("start.sock")

    def _has(self, name: str) -> bool:
        try:
            os.stat(os.path.join(self.path, name))
        except FileNotFoundError:
            return False
        return True

    def _at(self, call: Any, name: str) -> None:  # noqa: ANN401 - bind or connect
        # A socket's path has 107 bytes at most (unix(7)); by the folder's descriptor it is short.
        fd = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            call(f"/proc/self/fd/{fd}/{name}")
        except OSError as error:
            raise OSError(error.errno, error.strerror, os.path.join(self.path, name)) from None
        finally:
            os.close(fd)

    def _missing(self) -> NoSuchContainer:
        # By "does not exist" containerd and podman tell it from other failures.
        return NoSuchContainer(f"container {self.id} does not exist in {self.root}")


def write_whole(path: str, content: bytes) -> None:
    """Write a file whole or not at all, also for who reads it meanwhile."""
    # Not to disk: a state root is of one boot, and so are containers.
    try:
        # Without a buffer, which costs three more system calls.
        with open(path + ".new", "wb", buffering=0) as file:
            while content:
                content = content[file.write(content) :]
        os.rename(path + ".new", path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(path + ".new")
        raise OCIError(f"cannot write {path}: {reason(error.errno)}") from None


def born(pid: int) -> int | None:
    """Return a live process's start time; ``None`` for one that has ended or is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in {b"Z", b"X"} else int(fields[19])
