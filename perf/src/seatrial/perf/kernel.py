"""System calls that Python has no names for."""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNS = 0x00020000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, name: str | None = None) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


def unshare(flags: int) -> None:
    """Call unshare(2); raises ``OSError``."""
    _check(_libc.unshare(flags))


def mount(source: str, target: str, kind: str | None, flags: int = 0, data: str = "") -> None:
    """Call mount(2); raises ``OSError`` with the target as its file name."""
    word = None if kind is None else kind.encode()
    _check(_libc.mount(source.encode(), target.encode(), word, flags, data.encode()), target)


def umount(target: str, flags: int = 0) -> None:
    """Call umount2(2); raises ``OSError`` with the target as its file name."""
    _check(_libc.umount2(target.encode(), flags), target)


def own_mount_namespace() -> None:
    """Give this process a mount namespace whose mounts the host does not see."""
    unshare(CLONE_NEWNS)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
