"""What a container has changed in its image: ``docker diff``, and the layer of ``docker commit``.

overlayfs keeps it in one folder (``upper``): new files, copies of changed ones, and marks of what
is gone. The container may go on writing there, so it is read through open folders alone; layers of
the image never change.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from seatrial.engine import kernel
from seatrial.engine.extraction import OPAQUE, OVERLAY_OPAQUE, WHITEOUT
from seatrial.engine.packing import Packer, opened_folder

if TYPE_CHECKING:
    from typing import IO

MODIFIED, ADDED, DELETED = range(3)
#: What there is for mounts, in every container's root filesystem: nobody changed it.
_OURS = frozenset(
    {
        *("/.dockerenv", "/dev", "/dev/console", "/dev/pts", "/dev/shm", "/dev/mqueue"),  # noqa: S108
        *("/etc", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/proc", "/sys"),
    }
)


class Change(NamedTuple):
    """A path, and what became of it; ``opaque`` is a folder of which nothing older is seen."""

    kind: int
    path: str
    opaque: bool = False


class _Lower(NamedTuple):
    """A folder of the image: the layers' folders that make it, the topmost first."""

    folders: list[str]

    def find(self, name: str) -> tuple[os.stat_result | None, _Lower]:
        """Return what the image has by a name, and what a folder of that name is made of."""
        top: os.stat_result | None = None
        folders: list[str] = []
        for folder in self.folders:
            path = f"{folder}/{name}"
            try:
                found = os.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            if _is_whiteout(found) or (top is not None and not stat.S_ISDIR(found.st_mode)):
                break
            top = top or found
            if not stat.S_ISDIR(found.st_mode):
                break
            folders.append(path)
            if _is_opaque(path):
                break
        return top, _Lower(folders)

    def names(self) -> set[str]:
        """Return the names of all that the image has here."""
        every = {name for folder in self.folders for name in os.listdir(folder)}
        return {name for name in every if self.find(name)[0] is not None}


def changes(upper: str, layers: list[str]) -> list[Change]:
    """Return what was changed, by path; ``layers`` are folders, the lowest first."""
    folder = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = _folder(folder, "", _Lower(list(reversed(layers))))
    finally:
        os.close(folder)
    return sorted(found, key=lambda change: change.path)


def _folder(folder: int, path: str, lower: _Lower) -> list[Change]:
    made: list[Change] = []
    for name in os.listdir(folder):
        made.extend(_entry(folder, name, f"{path}/{name}", lower))
    return made


def _entry(parent: int, name: str, path: str, lower: _Lower) -> list[Change]:
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return []
    before, below = lower.find(name)
    if _is_whiteout(found):
        return [Change(DELETED, path)] if before is not None else []
    kind = ADDED if before is None else MODIFIED
    if not stat.S_ISDIR(found.st_mode):
        empty = path in _OURS and found.st_size == 0
        return [] if empty else [Change(kind, path)]
    with opened_folder(parent, name) as folder:
        if folder is None:
            return []
        opaque = _is_opaque(folder) and bool(below.folders)
        inner = _folder(folder, path, _Lower([]) if opaque else below)
        if opaque:
            gone = below.names() - set(os.listdir(folder))
            inner.extend(Change(DELETED, f"{path}/{each}") for each in gone)
    unchanged = path in _OURS or (before is not None and _same(before, found))
    return inner if unchanged and not inner else [Change(kind, path, opaque), *inner]


def _same(before: os.stat_result, now: os.stat_result) -> bool:
    return (before.st_mode, before.st_uid, before.st_gid) == (now.st_mode, now.st_uid, now.st_gid)


def _is_whiteout(found: os.stat_result) -> bool:
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def _is_opaque(folder: str | int) -> bool:
    try:
        return os.getxattr(folder, OVERLAY_OPAQUE) == b"y"
    except OSError:
        return False


def write_layer(upper: str, found: list[Change], target: IO[bytes]) -> None:
    """Write changes as a layer's archive."""
    opaque = {change.path for change in found if change.opaque}
    root = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with Packer(target) as packer:
            for change in found:
                _write(packer, root, change, opaque)
    finally:
        os.close(root)


def _write(packer: Packer, root: int, change: Change, opaque: set[str]) -> None:
    """Write one change; the folder that it is in is looked for within ``root`` alone."""
    where, _, name = change.path[1:].rpartition("/")
    if change.kind == DELETED:
        if f"/{where}" not in opaque:
            packer.whiteout(f"{where}/{WHITEOUT}{name}".lstrip("/"))
        return
    try:
        parent = kernel.openat2(root, where or ".", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return  # it is gone meanwhile
    try:
        packer.entry(parent, name, change.path[1:])
    finally:
        os.close(parent)
    if change.opaque:
        packer.whiteout(f"{change.path[1:]}/{OPAQUE}")
