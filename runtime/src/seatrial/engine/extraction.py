"""A layer's archive laid out as a folder, without ever leaving that folder.

Every path is resolved by openat2(2) with the folder as the root of all paths, and every entry is
made by its last name in the folder that came of that. Nothing of the archive is looked up on this
host: owners are numbers.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from seatrial.engine import kernel
from seatrial.engine.errors import BadRequest, EngineError
from seatrial.engine.tar_reading import (
    BLOCK,
    CHARACTER,
    FIFO,
    FILE,
    FOLDER,
    LINK,
    SYMLINK,
    Reader,
)

if TYPE_CHECKING:
    from typing import Self

    from seatrial.engine.tar_reading import Entry, Source

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
OVERLAY_OPAQUE = "trusted.overlay.opaque"
OVERLAY = ("trusted.overlay.", "user.overlay.")
XATTR = "SCHILY.xattr."
#: What one archive may hold: ten times what large images do, and little enough to be refused soon.
MOST_ENTRIES = 2_000_000
#: So much of the disk is not for archives.
RESERVE_BYTES = 64 << 20
_DETOUR = re.compile(r"^/|//|(?:^|/)\.{1,2}(?:/|$)|/$")
_KINDS = {FIFO: stat.S_IFIFO, CHARACTER: stat.S_IFCHR, BLOCK: stat.S_IFBLK}
#: Open folders of the archive, so that not every file is a walk from the root.
_MOST_FOLDERS = 64
_FOLDER = os.O_PATH | os.O_DIRECTORY
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Extractor:
    """Lays out archives below a folder.

    With ``whiteouts`` an archive is a layer: ``.wh.`` names become what overlayfs takes for "not
    there any more". Without, such names are names, as in ``docker cp``: ``below`` is the folder
    that they are below, and with ``keep`` no folder gives way to what is none, and the other way.
    Somebody may change the files meanwhile: what is made is never looked up again by its path.
    """

    def __init__(
        self, root: str | int, *, whiteouts: bool = True, keep: bool = False, below: str = ""
    ) -> None:
        self._root = root if isinstance(root, int) else os.open(root, _FOLDER | os.O_CLOEXEC)
        self._whiteouts, self._keep, self._below = whiteouts, keep, below.strip("/")
        self._folders: dict[str, int] = {}
        #: Folders' times are set when nothing is made in them any more.
        self._times: list[tuple[str, str, int]] = []
        #: What is made is root's of itself: in a folder of ours, unless one gives its group on.
        self._umask = _umask()
        self._is_roots = whiteouts and os.geteuid() == os.getegid() == 0
        self.size_bytes = self._entries = self._room = 0

    def close(self) -> None:
        """Close the folders; the root as well."""
        self._forget_folders()
        os.close(self._root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def apply(self, stream: Source) -> None:
        """Lay out an archive; raises BadRequest for one that is none, or that leads outside."""
        archive = Reader(stream)
        for entry in archive:
            self._entries += 1
            if self._entries > MOST_ENTRIES:
                raise BadRequest(f"invalid tar archive: more than {MOST_ENTRIES} entries")
            self._entry(archive, entry)
        for parent, name, moment in reversed(self._times):
            # It may have been replaced since.
            with suppress(OSError, BadRequest):
                os.utime(
                    name, ns=(moment, moment), dir_fd=self.folder(parent), follow_symlinks=False
                )
        self._times.clear()

    def _entry(self, archive: Reader, entry: Entry) -> None:
        path = _within(entry.name)
        if not path:
            if entry.kind == FOLDER:
                _own(self.folder(self._below), ".", entry)
            return
        where, _, name = (f"{self._below}/{path}" if self._below else path).rpartition("/")
        parent = self.folder(where)
        if self._whiteouts and name.startswith(WHITEOUT):
            self._whiteout(parent, name)
        elif entry.kind == FILE:
            self._file(archive, entry, parent, name)
        elif entry.kind == FOLDER:
            self._is_roots &= not entry.mode & stat.S_ISGID
            self._make_folder(parent, name)
            _own(parent, name, entry)
            self._times.append((where, name, entry.mtime_ns))
        elif entry.kind in {SYMLINK, LINK, FIFO, CHARACTER, BLOCK}:
            self._special(entry, parent, name)

    def _file(self, archive: Reader, entry: Entry, parent: int, name: str) -> None:
        self._spend(entry.size)
        as_made = not entry.mode & (self._umask | ~0o777)
        file = self._create(parent, name, entry.mode if as_made else 0o600)
        try:
            while data := archive.read():
                while data:
                    data = data[os.write(file, data) :]
            if entry.uid or entry.gid or not self._is_roots:
                os.fchown(file, entry.uid, entry.gid)
            if not as_made:
                os.fchmod(file, entry.mode & 0o7777)
            if entry.xattrs:
                _set_xattrs(file, entry)
            os.utime(file, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(file)

    def _spend(self, size_bytes: int) -> None:
        """Count what is laid out; what would fill the disk is refused before it is written."""
        self.size_bytes += size_bytes
        if size_bytes > self._room:
            found = os.fstatvfs(self._root)
            self._room = found.f_bavail * found.f_frsize - RESERVE_BYTES
            if size_bytes > self._room:
                raise EngineError(
                    f"no space left on device: {size_bytes} bytes to lay out, and "
                    f"{RESERVE_BYTES} are to stay free"
                )
        self._room -= size_bytes

    def _special(self, entry: Entry, parent: int, name: str) -> None:
        if entry.kind == LINK:
            self._link(entry, parent, name)
            return
        self._clear(parent, name)
        if entry.kind == SYMLINK:
            os.symlink(entry.link, name, dir_fd=parent)
            self.size_bytes += len(os.fsencode(entry.link))
            os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        else:
            device = os.makedev(*entry.device) if entry.kind != FIFO else 0
            if entry.kind == CHARACTER and device == 0:
                raise BadRequest(
                    f"invalid tar archive: {entry.name!r} is what overlayfs uses itself"
                )
            os.mknod(name, _KINDS[entry.kind] | 0o600, device, dir_fd=parent)
            _own(parent, name, entry)
        moment = entry.mtime_ns
        os.utime(name, ns=(moment, moment), dir_fd=parent, follow_symlinks=False)

    def _create(self, parent: int, name: str, mode: int) -> int:
        try:
            return os.open(name, _NEW, mode, dir_fd=parent)
        except FileExistsError:
            self._clear(parent, name)
            return os.open(name, _NEW, mode, dir_fd=parent)

    def _link(self, entry: Entry, parent: int, name: str) -> None:
        target = _within(entry.link)
        if not target:
            raise BadRequest(f"invalid tar archive: {entry.link!r} leads out of it")
        target = f"{self._below}/{target}" if self._below else target
        folder, _, last = target.rpartition("/")
        source = os.dup(self.folder(folder))  # to make room may close it
        try:
            if os.path.samestat(os.fstat(source), os.fstat(parent)) and last == name:
                return  # it is itself
            os.stat(last, dir_fd=source, follow_symlinks=False)
            self._clear(parent, name)
            os.link(last, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            raise BadRequest(
                f"invalid tar archive: {entry.name!r} is a link to {entry.link!r}, which it lacks"
            ) from None
        finally:
            os.close(source)

    def _make_folder(self, parent: int, name: str) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                self._clear(parent, name, isdir=True)
                os.mkdir(name, 0o700, dir_fd=parent)

    def _clear(self, parent: int, name: str, *, isdir: bool = False) -> None:
        """Remove what is in the way of an entry."""
        try:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return
        if self._keep and stat.S_ISDIR(found.st_mode) != isdir:
            raise BadRequest(f"cannot overwrite {name!r}: one is a directory and the other is not")
        self._forget_folders(but=parent)
        if stat.S_ISDIR(found.st_mode):
            remove_tree(parent, name)
        else:
            os.unlink(name, dir_fd=parent)

    def _whiteout(self, parent: int, name: str) -> None:
        if name == OPAQUE:
            os.setxattr(f"/proc/self/fd/{parent}", OVERLAY_OPAQUE, b"y")
            return
        hidden = name.removeprefix(WHITEOUT)
        if hidden.startswith(WHITEOUT):
            return  # aufs kept its own things under such names
        if hidden in {"", ".", ".."}:
            raise BadRequest(f"invalid tar archive: a whiteout of {hidden!r}")
        # One of this layer's own was not meant: it was added after the whiteout.
        with suppress(FileExistsError):
            os.mknod(hidden, stat.S_IFCHR, 0, dir_fd=parent)

    def folder(self, path: str) -> int:
        """Open a folder, and make it if need be; it stays open for a while."""
        if not path:
            return self._root
        known = self._folders.get(path)
        if known is not None:
            return known
        try:
            opened = kernel.openat2(self._root, path, _FOLDER)
        except FileNotFoundError:
            above, _, name = path.rpartition("/")
            with suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=self.folder(above))
            opened = self._open_made(path)
        except NotADirectoryError:
            raise BadRequest(f"invalid tar archive: {path!r} is no directory") from None
        if len(self._folders) >= _MOST_FOLDERS:
            os.close(self._folders.pop(next(iter(self._folders))))
        self._folders[path] = opened
        return opened

    def _open_made(self, path: str) -> int:
        try:
            return kernel.openat2(self._root, path, _FOLDER)
        except OSError as error:  # a link that leads nowhere is in the way
            raise BadRequest(f"invalid tar archive: {path!r}: {error.strerror}") from None

    def _forget_folders(self, but: int = -1) -> None:
        for path, folder in list(self._folders.items()):
            if folder != but:
                os.close(self._folders.pop(path))


def _umask() -> int:
    """Return what this process takes off the modes of new files; umask(2) would change it."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as lines:
        return next((int(line[6:], 8) for line in lines if line[:6] == "Umask:"), 0o777)


def _within(path: str) -> str:
    """Return a path from the root, without detours; raises BadRequest for one that leads out."""
    if _DETOUR.search(path) is None:
        return path
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if not parts:
                raise BadRequest(f"invalid tar archive: {path!r} leads out of it")
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)


def _own(parent: int, name: str, entry: Entry) -> None:
    """Give what was made an owner and a mode: the very thing, not what its name means by now.

    fchmod(2) takes no descriptor of a path alone; its name in /proc/self/fd does, and follows no
    link that was put in its place (chmod(2) of a link is EOPNOTSUPP).
    """
    kind = os.O_DIRECTORY | os.O_RDONLY if entry.kind == FOLDER else os.O_PATH
    made = os.open(name, kind | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        path = made if entry.kind == FOLDER else f"/proc/self/fd/{made}"
        os.chown(path, entry.uid, entry.gid)
        os.chmod(path, entry.mode & 0o7777)
        if entry.xattrs and entry.kind == FOLDER:
            _set_xattrs(made, entry)
    finally:
        os.close(made)


def _set_xattrs(descriptor: int, entry: Entry) -> None:
    for name, value in entry.xattrs.items():
        if name.startswith(OVERLAY):
            raise BadRequest(f"invalid tar archive: it sets {name}, which is overlayfs's own")
        try:
            os.setxattr(descriptor, name, value)
        except OSError as error:
            # This filesystem may keep none of this kind.
            if not name.startswith("user.") and error.errno != errno.EOPNOTSUPP:
                raise


def remove_tree(parent: int | None, name: str) -> None:
    """Remove a folder and all that is in it, following no link."""
    folder = os.open(
        name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent
    )
    try:
        with os.scandir(folder) as entries:
            for entry in list(entries):
                if entry.is_dir(follow_symlinks=False):
                    remove_tree(folder, entry.name)
                else:
                    os.unlink(entry.name, dir_fd=folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=parent)
