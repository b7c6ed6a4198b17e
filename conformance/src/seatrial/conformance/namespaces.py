"""Private namespaces for the harness, so that nothing a runtime does reaches the host's own."""

from __future__ import annotations

import contextlib
import ctypes
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from seatrial.conformance.errors import UnfitError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWNET = 0x40000000

MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MS_SHARED = 1 << 20
MNT_DETACH = 2

#: The namespaces the harness has for itself: a hostname, a sysctl or a mount changed by a
#: runtime that was not given its own namespace changes ours and not the host's.
PRIVATE = {"mnt": CLONE_NEWNS, "uts": CLONE_NEWUTS, "ipc": CLONE_NEWIPC, "net": CLONE_NEWNET}

#: Each type of a config: the kernel's name for it (namespaces(7)) and its flag (clone(2)).
TYPES = {
    "pid": ("pid", 0x20000000),
    "network": ("net", CLONE_NEWNET),
    "mount": ("mnt", CLONE_NEWNS),
    "ipc": ("ipc", CLONE_NEWIPC),
    "uts": ("uts", CLONE_NEWUTS),
    "user": ("user", 0x10000000),
    "cgroup": ("cgroup", 0x02000000),
    "time": ("time", 0x00000080),
}

_HINT = "the harness needs root in the user namespace that all of its namespaces belong to"
_libc = ctypes.CDLL(None, use_errno=True)
#: The contexts that are open, the outermost first.
_entered: list[Private] = []


def unshare(flags: int) -> None:
    """Call unshare(2); raises ``UnfitError`` with the errno."""
    if _libc.unshare(flags) != 0:
        raise UnfitError(
            f"unshare: {os.strerror(ctypes.get_errno())}",
            hint=_HINT,
        )


def setns(descriptor: int, kind: int = 0) -> None:
    """Call setns(2) for this thread; raises ``OSError``."""
    if _libc.setns(descriptor, kind) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def mount(
    source: str, target: str, fstype: str | None = None, flags: int = 0, data: str = ""
) -> None:
    """Call mount(2); raises ``OSError`` with the target as its file name."""
    kind = None if fstype is None else fstype.encode()
    if _libc.mount(os.fsencode(source), os.fsencode(target), kind, flags, data.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def umount(target: str, flags: int = 0) -> None:
    """Call umount2(2); raises ``OSError`` with the target as its file name."""
    if _libc.umount2(os.fsencode(target), flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def current(kind: str) -> str:
    """Return the name of this thread's namespace, such as ``mnt:[4026531841]``."""
    return os.readlink(f"/proc/thread-self/ns/{kind}")


@contextlib.contextmanager
def entered(path: str, kind: str) -> Iterator[None]:
    """Have this thread in the namespace at ``path``: uts, ipc, net or cgroup (setns(2))."""
    with contextlib.ExitStack() as stack:
        descriptors = []
        for each in (f"/proc/thread-self/ns/{kind}", path):
            descriptors.append(os.open(each, os.O_RDONLY | os.O_CLOEXEC))
            stack.callback(os.close, descriptors[-1])
        own, others = descriptors
        setns(others)
        try:
            yield
        finally:
            setns(own)


@contextlib.contextmanager
def inside(pid: int, kind: str) -> Iterator[None]:
    """Have this thread in one namespace of ``pid``: uts, ipc, net or cgroup."""
    with entered(f"/proc/{pid}/ns/{kind}", kind):
        yield


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo: where it is, what it is and how (proc_pid_mountinfo(5)).

    ``options`` are those of the mount, ``filesystem_options`` those that all mounts of its
    filesystem share; ``propagation`` has the words ``shared``, ``master``, ``propagate_from`` and
    ``unbindable`` without the numbers of peer groups.
    """

    target: str
    root: str
    fstype: str
    source: str
    options: frozenset[str] = field(default=frozenset(), compare=False)
    filesystem_options: frozenset[str] = field(default=frozenset(), compare=False)
    propagation: frozenset[str] = field(default=frozenset(), compare=False)

    @classmethod
    def parse(cls, line: str) -> Mount:
        """Read one line; octal escapes are resolved."""
        left, _, right = line.partition(" - ")
        # Where nothing is said of propagation, other kernels than Linux leave two blanks.
        fields, kind = list(filter(None, left.split(" "))), right.split(" ")
        return cls(
            _plain(fields[4]),
            _plain(fields[3]),
            kind[0],
            _plain(kind[1]),
            frozenset(fields[5].split(",")),
            frozenset(kind[2].split(",")),
            frozenset(tag.partition(":")[0] for tag in fields[6:]),
        )

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written through it, for the mount's or its filesystem's sake."""
        return "ro" in self.options or "ro" in self.filesystem_options


def _plain(text: str) -> str:
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape")


def mounts() -> list[Mount]:
    """Return what is mounted in this thread's mount namespace, in order."""
    with open("/proc/thread-self/mountinfo", encoding="latin-1") as lines:
        return [Mount.parse(line.rstrip("\n")) for line in lines]


def outside(kind: str) -> contextlib.AbstractContextManager[None]:
    """Have this thread in the namespace that the harness was called in: uts, ipc or net."""
    return _entered[0].outside(kind) if _entered else contextlib.nullcontext()


class Private:
    """A context in which this thread has mount, UTS, IPC and network namespaces of its own."""

    def __enter__(self) -> Self:
        """Leave the present namespaces; raises ``UnfitError`` where that is not allowed."""
        self._places = [os.open(path, os.O_PATH | os.O_CLOEXEC) for path in ("/", ".")]
        self._before = {
            kind: os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
            for kind in PRIVATE
        }
        try:
            # CLONE_FS first: setns into a mount namespace wants an unshared root and cwd.
            unshare(CLONE_FS)
            # As root of a user namespace one may leave these namespaces, and not come back.
            self._enter_before()
            flags = 0
            for flag in PRIVATE.values():
                flags |= flag
            unshare(flags)
            mount("none", "/", None, MS_REC | MS_PRIVATE)
        except OSError as error:
            self._go_back()
            raise UnfitError(
                f"cannot make the mounts below / private: {error.strerror}",
                hint="in a chroot, bind-mount its root onto itself before",
            ) from None
        except BaseException:
            self._go_back()
            raise
        _entered.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Go back to the namespaces from before; what was mounted meanwhile is gone with ours."""
        _entered.remove(self)
        self._go_back()

    @contextlib.contextmanager
    def outside(self, kind: str) -> Iterator[None]:
        """Have this thread in one of the namespaces from before: uts, ipc or net."""
        own = os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            setns(self._before[kind])
            try:
                yield
            finally:
                setns(own)
        finally:
            os.close(own)

    def _go_back(self) -> None:
        try:
            self._enter_before()
        finally:
            for descriptor in (*self._before.values(), *self._places):
                os.close(descriptor)

    def _enter_before(self) -> None:
        try:
            for kind, descriptor in self._before.items():
                setns(descriptor, PRIVATE[kind])
        except OSError as error:
            raise UnfitError(
                f"setns into the namespaces we are from: {error.strerror}", hint=_HINT
            ) from None
        # setns moves root and cwd to the root of the mount namespace, which need not be ours.
        root, cwd = self._places
        os.fchdir(root)
        os.chroot(".")
        os.fchdir(cwd)
