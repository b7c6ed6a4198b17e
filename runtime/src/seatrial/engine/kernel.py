"""System calls that Python's ``os`` has no function for."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_IN_ROOT = 0x10
MNT_DETACH = 2
MS_RDONLY = 1
MS_REMOUNT = 1 << 5
MS_BIND = 1 << 12
MS_REC = 1 << 14
MS_PRIVATE = 1 << 18
CLONE_FILES = 0x400
CLONE_NEWNET = 0x40000000
IN_CLOEXEC = os.O_CLOEXEC
IN_NONBLOCK = os.O_NONBLOCK
IN_MODIFY = 0x002
IN_MOVED_TO = 0x080
IN_CREATE = 0x100
_OPENAT2 = 437
_PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


def _fail(what: str, path: str | None = None) -> None:
    number = ctypes.get_errno()
    text = f"{what}: {os.strerror(number)}"
    raise OSError(number, text, path) if path is not None else OSError(number, text)


def openat2(folder: int, path: str | bytes, flags: int, mode: int = 0) -> int:
    """Open ``path`` as if ``folder`` were the root of all paths; return the descriptor.

    Symbolic links and ``..`` are followed, but never out of the folder; those of /proc that lead
    anywhere (openat2(2), RESOLVE_NO_MAGICLINKS) are not followed.
    """
    how = struct.pack("QQQ", flags | os.O_CLOEXEC, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    name = os.fsencode(path)
    while True:
        found = _libc.syscall(_OPENAT2, folder, ctypes.c_char_p(name), how, len(how))
        if found >= 0:
            return int(found)
        # EAGAIN: something was renamed meanwhile, and the kernel could not be sure.
        if ctypes.get_errno() != errno.EAGAIN:
            _fail("openat2", os.fsdecode(name))


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    done = _libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode(), flags, os.fsencode(data)
    )
    if done != 0:
        _fail(f"mount {kind}", target)


def umount(target: str) -> None:
    """umount2(2), lazily: whoever still has it open keeps it."""
    if _libc.umount2(os.fsencode(target), MNT_DETACH) != 0:
        _fail("umount", target)


def mount_of(path: str) -> tuple[str, set[str]]:
    """Return where the mount is that a path is in, and how it propagates (proc(5), mountinfo)."""
    found = "/", set[str]()
    real = os.path.realpath(path)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            words = line.partition(" - ")[0].split(" ")
            where = words[4].encode("utf-8", "surrogateescape").decode("unicode_escape")
            # A later one at the same place is above the earlier.
            if len(where) >= len(found[0]) and f"{real}/".startswith(f"{where.rstrip('/')}/"):
                found = where, {word.partition(":")[0] for word in words[6:]}
    return found


def become_subreaper() -> None:
    """Let orphans below us become our children (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        _fail("prctl")


def inotify_init() -> int:
    """inotify_init1(2), not blocking."""
    found = int(_libc.inotify_init1(IN_CLOEXEC | IN_NONBLOCK))
    if found < 0:
        _fail("inotify_init1")
    return found


def inotify_add_watch(notifier: int, path: str, mask: int) -> None:
    """inotify_add_watch(2)."""
    if _libc.inotify_add_watch(notifier, os.fsencode(path), mask) < 0:
        _fail("inotify_add_watch", path)


def unshare_network() -> None:
    """Put this thread into a new network namespace (unshare(2))."""
    if _libc.unshare(CLONE_NEWNET) != 0:
        _fail("unshare")


def unshare_descriptors() -> None:
    """Give this thread descriptors of its own, copies of the process's (unshare(2))."""
    if _libc.unshare(CLONE_FILES) != 0:
        _fail("unshare")


def join_network(namespace: int) -> None:
    """Put this thread into a network namespace (setns(2))."""
    if _libc.setns(namespace, CLONE_NEWNET) != 0:
        _fail("setns")
