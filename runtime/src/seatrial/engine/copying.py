"""``docker cp``: files out of a container and into it, whatever its processes do meanwhile.

Paths are resolved by openat2(2) with the container's root as the root of all paths; nothing is
looked up by its path twice.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import stat
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from seatrial.engine import clock, kernel
from seatrial.engine.compression import Hashing, plain
from seatrial.engine.errors import BadRequest, EngineError, Forbidden, NotFound
from seatrial.engine.extraction import Extractor
from seatrial.engine.packing import Packer

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How Go writes what a file is (io/fs, FileMode).
_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
}
_BITS = ((stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20))
_MOST_LINKS = 40


class Place:
    """A path in a container whose last part is open, so that it stays what it is."""

    def __init__(self, path: str, parent: int, name: str, found: os.stat_result) -> None:
        self.path, self.parent, self.name, self.found = path, parent, name, found

    @property
    def called(self) -> str:
        """What it is called in archives: as it was asked for."""
        clean = os.path.normpath("/" + self.path).lstrip("/")
        return "." if self.path.endswith("/.") else os.path.basename(clean) or "/"


@contextmanager
def found(root: int, path: str, container: str) -> Iterator[Place]:
    """Open a path's folder; a link at its end is meant itself, unless a slash follows."""
    clean = os.path.normpath("/" + path)
    follows = path.endswith(("/", "/.")) or clean == "/"
    where, name = (clean, ".") if follows else os.path.split(clean)
    try:
        parent = kernel.openat2(root, where, os.O_PATH | os.O_DIRECTORY)
    except OSError as error:
        raise _missing(path, container, error) from None
    try:
        try:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except OSError as error:
            raise _missing(path, container, error) from None
        yield Place(path, parent, name, status)
    finally:
        os.close(parent)


def _missing(path: str, container: str, error: OSError) -> EngineError:
    if error.errno == errno.ENOTDIR and path.endswith(("/", "/.")):
        return BadRequest(f"{path}: not a directory")
    if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}:
        return NotFound(f"Could not find the file {path} in container {container}")
    return EngineError(f"{path}: {os.strerror(error.errno or 0)}")


def header(root: int, place: Place) -> str:
    """Return the header X-Docker-Container-Path-Stat: what is at a path."""
    mode = place.found.st_mode
    shown = stat.S_IMODE(mode) & 0o777 | _KINDS.get(stat.S_IFMT(mode), 0)
    shown |= sum(theirs for ours, theirs in _BITS if mode & ours)
    told: dict[str, Any] = {
        "name": place.called,
        "size": place.found.st_size,
        "mode": shown,
        "mtime": clock.from_ns(place.found.st_mtime_ns),
        "linkTarget": _target(root, place.path) if stat.S_ISLNK(mode) else "",
    }
    return base64.b64encode(json.dumps(told).encode()).decode()


def _target(root: int, path: str) -> str:
    """Return where a link leads in the end, as a path in the container."""
    path = os.path.normpath("/" + path)
    for _ in range(_MOST_LINKS):
        where, name = os.path.split(path)
        try:
            parent = kernel.openat2(root, where, os.O_PATH | os.O_DIRECTORY)
        except OSError:
            return path
        try:
            link = os.readlink(name, dir_fd=parent)
        except OSError:
            return path
        finally:
            os.close(parent)
        path = os.path.normpath(os.path.join(where, link))
    return path


def pack(place: Place, target: IO[bytes], devices: frozenset[int]) -> None:
    """Write what is at a path as an archive, as far as it is on these devices."""
    with Packer(target, devices) as packer:
        packer.tree(place.parent, place.name, place.called)


def unpack(root: int, path: str, source: IO[bytes], container: str, *, keep: bool) -> None:
    """Lay an archive out in a container's folder; with ``keep`` folders stay folders."""
    clean = os.path.normpath("/" + path)
    try:
        os.close(kernel.openat2(root, clean, os.O_PATH | os.O_DIRECTORY))
    except NotADirectoryError:
        raise BadRequest("extraction point is not a directory") from None
    except OSError as error:
        raise _missing(path, container, error) from None
    try:
        with Extractor(os.dup(root), whiteouts=False, keep=keep, below=clean) as extractor:
            extractor.apply(Hashing(plain(source)))
    except OSError as error:
        if error.errno == errno.EROFS:
            raise Forbidden("container rootfs is marked read-only") from None
        raise EngineError(f"{path}: {error}") from None
