"""Files made a tar archive, from a folder that somebody may be changing meanwhile.

Every entry is opened by its last name in a folder that is open already, and no link is followed:
what is swapped for a link becomes that link, or is left out. Owners are numbers: names of users are
looked up neither here nor there.
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Self

from seatrial.engine.extraction import OVERLAY, XATTR

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: What says that somebody was faster: an entry is gone, or is another thing than it was.
_CHANGED = {errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EINVAL}
_CHUNK = 1 << 18


class Packer:
    """Writes an archive; names are paths without a slash before them.

    Folders on other devices than ``devices`` have nothing in them there, as /proc and /sys in a
    running container; without ``devices`` there are no such folders.
    """

    def __init__(self, target: IO[bytes], devices: frozenset[int] | None = None) -> None:
        self._devices = devices
        self._archive = tarfile.open(  # noqa: SIM115 - closed at the end of the context
            fileobj=target, mode="w|", format=tarfile.PAX_FORMAT
        )
        #: Files with several names, by device and inode: the first name that each had here.
        self._linked: dict[tuple[int, int], str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_error: object) -> None:
        if kind is None:
            self._archive.close()

    def tree(self, parent: int, name: str, called: str) -> None:
        """Add an entry of an open folder, and all below it."""
        if not self.entry(parent, name, called):
            return
        with opened_folder(parent, name) as folder:
            if folder is not None and self._belongs(folder):
                self.content(folder, called)

    def _belongs(self, folder: int) -> bool:
        return self._devices is None or os.fstat(folder).st_dev in self._devices

    def content(self, folder: int, called: str) -> None:
        """Add what is in a folder, and all below it."""
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
        before = called.rstrip("/")
        for name in names:
            self.tree(folder, name, f"{before}/{name}" if called else name)

    def entry(self, parent: int, name: str, called: str) -> bool:
        """Add one entry alone; return whether it is a folder."""
        try:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            return self._entry(parent, name, called, found)
        except OSError as error:
            if error.errno not in _CHANGED:
                raise
            return False

    def whiteout(self, called: str) -> None:
        """Add an empty file, which says something by its name."""
        self._archive.addfile(tarfile.TarInfo(called))

    def _entry(self, parent: int, name: str, called: str, found: os.stat_result) -> bool:
        member = tarfile.TarInfo(called)
        member.uid, member.gid = found.st_uid, found.st_gid
        member.mode, member.mtime = stat.S_IMODE(found.st_mode), int(found.st_mtime)
        if stat.S_ISREG(found.st_mode):
            self._file(parent, name, member)
            return False
        if stat.S_ISDIR(found.st_mode):
            member.type = tarfile.DIRTYPE
            with opened_folder(parent, name) as folder:
                if folder is None:
                    return False
                member.pax_headers = _xattrs(folder)
        elif stat.S_ISLNK(found.st_mode):
            member.type, member.linkname = tarfile.SYMTYPE, os.readlink(name, dir_fd=parent)
        elif stat.S_ISSOCK(found.st_mode):
            return False  # an archive cannot hold it
        else:
            kinds = {stat.S_IFIFO: tarfile.FIFOTYPE, stat.S_IFBLK: tarfile.BLKTYPE}
            member.type = kinds.get(stat.S_IFMT(found.st_mode), tarfile.CHRTYPE)
            member.devmajor, member.devminor = os.major(found.st_rdev), os.minor(found.st_rdev)
        self._archive.addfile(member)
        return member.isdir()

    def _file(self, parent: int, name: str, member: tarfile.TarInfo) -> None:
        with os.fdopen(os.open(name, _FILE, dir_fd=parent), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                return  # it was swapped
            which = found.st_dev, found.st_ino
            if found.st_nlink > 1 and which in self._linked:
                member.type, member.linkname = tarfile.LNKTYPE, self._linked[which]
                self._archive.addfile(member)
                return
            self._linked[which] = member.name
            member.size, member.pax_headers = found.st_size, _xattrs(file.fileno())
            self._archive.addfile(member, _Padded(file))  # type: ignore[arg-type]


class _Padded:
    """A file that is never shorter than it was: its size stands in the archive already."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        """Read so many bytes; zeros where the file ends too early."""
        return self._file.read(size).ljust(size, b"\0")


@contextmanager
def opened_folder(parent: int, name: str) -> Iterator[int | None]:
    """Open a folder of an open folder; nothing if it is none any more."""
    try:
        folder = os.open(name, _FOLDER, dir_fd=parent)
    except OSError as error:
        if error.errno not in _CHANGED:
            raise
        yield None
        return
    try:
        yield folder
    finally:
        os.close(folder)


def _xattrs(descriptor: int) -> dict[str, str]:
    try:
        names = os.listxattr(descriptor)
    except OSError:  # a filesystem without them
        return {}
    return {
        XATTR + name: os.getxattr(descriptor, name).decode(errors="surrogateescape")
        for name in names
        if not name.startswith(OVERLAY)
    }
