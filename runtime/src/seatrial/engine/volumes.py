"""Volumes: folders that outlive the containers that use them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import msgspec

from seatrial.engine import clock, kernel, names
from seatrial.engine.errors import Conflict, NotFound, Unsupported
from seatrial.engine.extraction import remove_tree

if TYPE_CHECKING:
    from seatrial.engine.database import Database
    from seatrial.engine.events import Events

DRIVER = "local"


class Volume(msgspec.Struct, frozen=True):
    """A volume; one that got no name has an id for a name."""

    name: str
    created: str
    labels: dict[str, str] | None
    options: dict[str, str] | None
    anonymous: bool


class Volumes:
    """All volumes, in memory as in the database."""

    def __init__(self, folder: str, database: Database, events: Events) -> None:
        self._folder, self._database, self._events = folder, database, events
        os.makedirs(folder, mode=0o711, exist_ok=True)
        self._volumes = {
            volume.name: volume
            for volume in (msgspec.json.decode(each, type=Volume) for each in database.volumes())
        }

    def all(self) -> list[Volume]:
        """Return every volume, by name."""
        return sorted(self._volumes.values(), key=lambda volume: volume.name)

    def path(self, volume: Volume) -> str:
        """Return where a volume's files are."""
        return f"{self._folder}/{volume.name}/_data"

    def find(self, name: str) -> Volume:
        """Return the volume of a name."""
        if name not in self._volumes:
            raise NotFound(f"get {name}: no such volume")
        return self._volumes[name]

    def wanted(
        self,
        name: str = "",
        *,
        driver: str = "",
        labels: dict[str, str] | None = None,
        options: dict[str, str] | None = None,
    ) -> Volume:
        """Return the volume of a name, or what is to be made if there is none or no name."""
        if driver not in {"", DRIVER}:
            raise NotFound(f'error looking up volume plugin {driver}: plugin "{driver}" not found')
        if options:
            raise Unsupported(
                f"options of volumes are not supported: {', '.join(sorted(options))} "
                "(hint: mount it on the host, and use a bind mount)"
            )
        anonymous = not name
        name = names.volume_name(name) if name else names.new_id()
        if name in self._volumes:
            return self._volumes[name]
        return Volume(name, clock.now(), labels, options, anonymous)

    def make(self, volume: Volume) -> None:
        """Make a volume that is wanted, unless it is there."""
        if volume.name in self._volumes:
            return
        os.makedirs(self.path(volume), mode=0o755, exist_ok=True)
        self._database.keep_volume(volume.name, msgspec.json.encode(volume))
        self._volumes[volume.name] = volume
        self._events.tell("volume", "create", volume.name, {"driver": DRIVER})

    def remove(self, name: str, users: list[str]) -> None:
        """Remove a volume and all that is in it; not while containers use it."""
        volume = self.find(name)
        if users:
            listed = ", ".join(users)
            raise Conflict(f"remove {name}: volume is in use - [{listed}]")
        # What is there without being known is swept; what is known has to be there.
        del self._volumes[name]
        self._database.forget_volume(name)
        remove_tree(None, f"{self._folder}/{volume.name}")
        self._events.tell("volume", "destroy", name, {"driver": DRIVER})

    def folders(self) -> list[str]:
        """Return the names of what is there on the disk."""
        return os.listdir(self._folder)

    def sweep(self) -> None:
        """Remove what is on the disk and known to nobody: of a daemon that was killed meanwhile."""
        for name in set(self.folders()) - set(self._volumes):
            remove_tree(None, f"{self._folder}/{name}")

    def fill(self, volume: Volume, root: str, destination: str) -> None:
        """Copy what an image has at a destination into a volume that is empty.

        The destination is resolved within the image, whatever links are on the way (a volume at a
        link to /etc must not copy the host's).
        """
        target = self.path(volume)
        if os.listdir(target):
            return
        within = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            source = kernel.openat2(within, destination, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return  # the image has no such folder
        finally:
            os.close(within)
        into = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _copy_folder(source, into)
        finally:
            os.close(source)
            os.close(into)


class Wanted:
    """The volumes that a new container is to have; they are made once it is known itself."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes
        self._wanted: dict[str, Volume] = {}

    def volume(
        self,
        name: str = "",
        *,
        driver: str = "",
        labels: dict[str, str] | None = None,
        options: dict[str, str] | None = None,
    ) -> Volume:
        """Return the volume of a name, or a new one."""
        volume = self._wanted.get(name) or self._volumes.wanted(
            name, driver=driver, labels=labels, options=options
        )
        self._wanted[volume.name] = volume
        return volume

    def path(self, volume: Volume) -> str:
        """Return where a volume's files are, or will be."""
        return self._volumes.path(volume)

    def make(self) -> None:
        """Make those that are not there."""
        for volume in self._wanted.values():
            self._volumes.make(volume)


def _copy_folder(source: int, target: int) -> None:
    """Copy a folder's entries and its owner, mode and times; nothing is followed."""
    with os.scandir(source) as entries:
        for entry in list(entries):
            _copy_entry(entry.name, source, target)
    found = os.fstat(source)
    os.fchown(target, found.st_uid, found.st_gid)
    os.fchmod(target, stat.S_IMODE(found.st_mode))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def _copy_entry(name: str, source: int, target: int) -> None:
    found = os.stat(name, dir_fd=source, follow_symlinks=False)
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    if stat.S_ISDIR(found.st_mode):
        os.mkdir(name, 0o700, dir_fd=target)
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | flags, dir_fd=source)
        outer = os.open(name, os.O_RDONLY | os.O_DIRECTORY | flags, dir_fd=target)
        try:
            _copy_folder(inner, outer)
        finally:
            os.close(inner)
            os.close(outer)
    elif stat.S_ISREG(found.st_mode):
        read = os.open(name, os.O_RDONLY | flags, dir_fd=source)
        write = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | flags, 0o600, dir_fd=target)
        try:
            while os.sendfile(write, read, None, 1 << 30):
                pass
            os.fchown(write, found.st_uid, found.st_gid)
            os.fchmod(write, stat.S_IMODE(found.st_mode))
            os.utime(write, ns=(found.st_atime_ns, found.st_mtime_ns))
        finally:
            os.close(read)
            os.close(write)
    else:
        if stat.S_ISLNK(found.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        else:
            os.mknod(name, found.st_mode, found.st_rdev, dir_fd=target)
            os.chmod(name, stat.S_IMODE(found.st_mode), dir_fd=target)
        os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
