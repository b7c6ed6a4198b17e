"""Private namespaces for the harness, so that nothing a runtime does reaches the host's own."""

from __future__ import annotations

import contextlib
import ctypes
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from seatrial.conformance.errors import UnfitError

if TYPE_CHECKING:
    from types import TracebackType

CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWNET = 0x40000000

MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

#: The namespaces the harness has for itself: a hostname, a sysctl or a mount changed by a
#: runtime that was not given its own namespace changes ours and not the host's.
PRIVATE = {"mnt": CLONE_NEWNS, "uts": CLONE_NEWUTS, "ipc": CLONE_NEWIPC, "net": CLONE_NEWNET}

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Call unshare(2); raises ``UnfitError`` with the errno."""
    if _libc.unshare(flags) != 0:
        raise UnfitError(
            f"unshare: {os.strerror(ctypes.get_errno())}",
            hint="the harness needs root in the initial user namespace (CAP_SYS_ADMIN)",
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


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo: where it is, what it is (proc(5))."""

    target: str
    root: str
    fstype: str
    source: str

    @classmethod
    def parse(cls, line: str) -> Mount:
        """Read one line; octal escapes are resolved."""
        left, _, right = line.partition(" - ")
        fields, kind = left.split(" "), right.split(" ")
        return cls(_plain(fields[4]), _plain(fields[3]), kind[0], _plain(kind[1]))


def _plain(text: str) -> str:
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape")


def mounts() -> list[Mount]:
    """Return what is mounted in this thread's mount namespace, in order."""
    with open("/proc/thread-self/mountinfo", encoding="latin-1") as lines:
        return [Mount.parse(line.rstrip("\n")) for line in lines]


class Private:
    """A context in which this thread has mount, UTS, IPC and network namespaces of its own."""

    def __enter__(self) -> Self:
        """Leave the present namespaces; raises ``UnfitError`` where that is not allowed."""
        self._cwd = os.getcwd()
        self._before = {
            kind: os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
            for kind in PRIVATE
        }
        try:
            # CLONE_FS first: setns into a mount namespace wants an unshared root and cwd.
            unshare(CLONE_FS)
            flags = 0
            for flag in PRIVATE.values():
                flags |= flag
            unshare(flags)
            mount("none", "/", None, MS_REC | MS_PRIVATE)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Go back to the namespaces from before; what was mounted meanwhile is gone with ours."""
        for name, descriptor in self._before.items():
            setns(descriptor, PRIVATE[name])
        self._close()
        with contextlib.suppress(OSError):
            os.chdir(self._cwd)

    def _close(self) -> None:
        for descriptor in self._before.values():
            os.close(descriptor)
        self._before = {}
