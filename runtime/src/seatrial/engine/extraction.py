"""A layer's archive laid out as a folder, without ever leaving that folder.

Every path is resolved by openat2(2) with the folder as the root of all paths, and every entry is
made by its last name in the folder that came of that. Nothing of the archive is looked up on this
host: owners are numbers.
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from contextlib import suppress
from typing import TYPE_CHECKING

from seatrial.engine import kernel
from seatrial.engine.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO, Self

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
OVERLAY_OPAQUE = "trusted.overlay.opaque"
OVERLAY = ("trusted.overlay.", "user.overlay.")
XATTR = "SCHILY.xattr."
_CHUNK = 1 << 18
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
        self.size_bytes = 0

    def close(self) -> None:
        """Close the folders; the root as well."""
        self._forget_folders()
        os.close(self._root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def apply(self, stream: IO[bytes]) -> None:
        """Lay out an archive; raises BadRequest for one that is none, or that leads outside."""
        try:
            with tarfile.open(fileobj=stream, mode="r|", errorlevel=2) as archive:
                for member in archive:
                    self._entry(archive, member)
                    archive.members.clear()  # type: ignore[attr-defined] # it would keep all of them
        except (tarfile.TarError, ValueError, EOFError) as error:
            raise BadRequest(f"invalid tar archive: {error}") from None
        for parent, name, moment in reversed(self._times):
            # It may have been replaced since.
            with suppress(OSError):
                os.utime(
                    name, ns=(moment, moment), dir_fd=self.folder(parent), follow_symlinks=False
                )
        self._times.clear()

    def _entry(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = os.path.normpath("/" + member.name).lstrip("/")
        if _leaves(member.name):
            raise BadRequest(f"invalid tar archive: {member.name!r} leads out of it")
        if not path:
            if member.isdir():
                _own(self.folder(self._below), ".", member)
            return
        parent_path, _, name = f"{self._below}/{path}".lstrip("/").rpartition("/")
        parent = self.folder(parent_path)
        if self._whiteouts and name.startswith(WHITEOUT):
            self._whiteout(parent, name)
            return
        self._make(archive, member, parent, parent_path, name)

    def _make(
        self, archive: tarfile.TarFile, member: tarfile.TarInfo, parent: int, where: str, name: str
    ) -> None:
        moment = int(member.mtime * 1_000_000_000)
        if member.isfile():
            file = self._create(parent, name, isdir=False)
            try:
                self._copy(archive, member, file)
                os.fchown(file, member.uid, member.gid)
                os.fchmod(file, member.mode & 0o7777)
                if member.pax_headers:
                    _set_xattrs(file, member)
                os.utime(file, ns=(moment, moment))
            finally:
                os.close(file)
            return
        if member.isdir():
            self._make_folder(parent, name)
            _own(parent, name, member)
            self._times.append((where, name, moment))
            return
        self._clear(parent, name)
        if member.issym():
            os.symlink(member.linkname, name, dir_fd=parent)
            self.size_bytes += len(os.fsencode(member.linkname))
            os.chown(name, member.uid, member.gid, dir_fd=parent, follow_symlinks=False)
        elif member.islnk():
            self._link(member, parent, name)
            return
        elif member.isfifo() or member.isdev():
            kind = (
                stat.S_IFIFO
                if member.isfifo()
                else stat.S_IFBLK
                if member.isblk()
                else stat.S_IFCHR
            )
            device = 0 if member.isfifo() else os.makedev(member.devmajor, member.devminor)
            if kind == stat.S_IFCHR and device == 0:
                raise BadRequest(
                    f"invalid tar archive: {member.name!r} is what overlayfs uses itself"
                )
            os.mknod(name, kind | 0o600, device, dir_fd=parent)
            _own(parent, name, member)
        else:
            return  # of a kind that has no meaning here
        os.utime(name, ns=(moment, moment), dir_fd=parent, follow_symlinks=False)

    def _create(self, parent: int, name: str, *, isdir: bool) -> int:
        try:
            return os.open(name, _NEW, 0o600, dir_fd=parent)
        except FileExistsError:
            self._clear(parent, name, isdir=isdir)
            return os.open(name, _NEW, 0o600, dir_fd=parent)

    def _copy(self, archive: tarfile.TarFile, member: tarfile.TarInfo, file: int) -> None:
        read: Callable[[int], bytes]
        if member.issparse():
            found = archive.extractfile(member)
            assert found is not None  # noqa: S101 - a regular file has content
            read = found.read
        else:
            assert archive.fileobj is not None  # noqa: S101 - it is open
            read = archive.fileobj.read
        left = member.size
        while left:
            data = read(min(left, _CHUNK))
            if not data:
                raise BadRequest(f"invalid tar archive: it ends within {member.name!r}")
            left -= len(data)
            while data:
                data = data[os.write(file, data) :]
        self.size_bytes += member.size

    def _link(self, member: tarfile.TarInfo, parent: int, name: str) -> None:
        target = os.path.normpath("/" + member.linkname).lstrip("/")
        if _leaves(member.linkname) or not target:
            raise BadRequest(f"invalid tar archive: {member.linkname!r} leads out of it")
        folder, _, last = f"{self._below}/{target}".lstrip("/").rpartition("/")
        try:
            os.link(
                last, name, src_dir_fd=self.folder(folder), dst_dir_fd=parent, follow_symlinks=False
            )
        except FileNotFoundError:
            raise BadRequest(
                f"invalid tar archive: {member.name!r} is a link to {member.linkname!r}, "
                "which it lacks"
            ) from None

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


def _leaves(path: str) -> bool:
    depth = 0
    for part in path.split("/"):
        depth += -1 if part == ".." else part not in {"", "."}
        if depth < 0:
            return True
    return False


def _own(parent: int, name: str, member: tarfile.TarInfo) -> None:
    """Give what was made an owner and a mode: the very thing, not what its name means by now.

    fchmod(2) takes no descriptor of a path alone; its name in /proc/self/fd does, and follows no
    link that was put in its place (chmod(2) of a link is EOPNOTSUPP).
    """
    kind = os.O_DIRECTORY | os.O_RDONLY if member.isdir() else os.O_PATH
    made = os.open(name, kind | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.chown(f"/proc/self/fd/{made}", member.uid, member.gid)
        os.chmod(f"/proc/self/fd/{made}", member.mode & 0o7777)
        if member.pax_headers and member.isdir():
            _set_xattrs(made, member)
    finally:
        os.close(made)


def _set_xattrs(descriptor: int, member: tarfile.TarInfo) -> None:
    for name, value in member.pax_headers.items():
        if not name.startswith(XATTR):
            continue
        attribute = name.removeprefix(XATTR)
        if attribute.startswith(OVERLAY):
            raise BadRequest(f"invalid tar archive: it sets {attribute}, which is overlayfs's own")
        try:
            os.setxattr(descriptor, attribute, value.encode(errors="surrogateescape"))
        except OSError as error:
            # This filesystem may keep none of this kind.
            if not attribute.startswith("user.") and error.errno != errno.EOPNOTSUPP:
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
