"""The option strings of mounts and what they ask the kernel for (config.md, "Linux mount options").

What mount(2) and mount(8) make of a list of options is kept: each option sets or clears a flag, a
later one undoes an earlier opposite, and of the flags for access times the strictest counts.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seatrial.oci.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Mount

#: mount_setattr(2).
RDONLY, NOSUID, NODEV, NOEXEC, NODIRATIME, NOSYMFOLLOW = 1, 2, 4, 8, 0x80, 0x200000
_SIMPLE = RDONLY | NOSUID | NODEV | NOEXEC | NODIRATIME | NOSYMFOLLOW
#: Access times are one field of three values there, but three flags in options.
_FIELD, _FIELD_NOATIME, _FIELD_STRICTATIME = 0x70, 0x10, 0x20
_NOATIME, _RELATIME, _STRICTATIME = 1 << 40, 1 << 41, 1 << 42
_ACCESS_TIMES = _NOATIME | _RELATIME | _STRICTATIME

#: Flags of a mount, by option: which, and whether it is set. With an "r" before it the option is
#: for all mounts below too.
FLAGS = {
    "ro": (RDONLY, True),
    "rw": (RDONLY, False),
    "nosuid": (NOSUID, True),
    "suid": (NOSUID, False),
    "nodev": (NODEV, True),
    "dev": (NODEV, False),
    "noexec": (NOEXEC, True),
    "exec": (NOEXEC, False),
    "nodiratime": (NODIRATIME, True),
    "diratime": (NODIRATIME, False),
    "nosymfollow": (NOSYMFOLLOW, True),
    "symfollow": (NOSYMFOLLOW, False),
    "noatime": (_NOATIME, True),
    "atime": (_NOATIME, False),
    "relatime": (_RELATIME, True),
    "norelatime": (_RELATIME, False),
    "strictatime": (_STRICTATIME, True),
    "nostrictatime": (_STRICTATIME, False),
}
#: mount(2); with an "r" before it for all mounts below too.
PROPAGATIONS = {"unbindable": 1 << 17, "private": 1 << 18, "slave": 1 << 19, "shared": 1 << 20}
PROPAGATIONS |= {f"r{name}": flag for name, flag in PROPAGATIONS.items()}
#: Flags of the filesystem that fsconfig(2) knows whatever its type.
FILESYSTEM = {"sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "nomand"}
#: Flags of mount(2) without a successor in fsconfig(2): whether the kernel logs complaints, and
#: what the filesystems that have i_version now do in any case.
NOTHING = {"defaults", "silent", "loud", "iversion", "noiversion", ""}
#: Options that mount(8) keeps for itself, with those that they stand for.
MOUNT_8: dict[str, tuple[str, ...]] = {
    "user": ("noexec", "nosuid", "nodev"),
    "users": ("noexec", "nosuid", "nodev"),
    "owner": ("nosuid", "nodev"),
    "group": ("nosuid", "nodev"),
    **dict.fromkeys(
        ("auto", "noauto", "nouser", "nousers", "noowner", "nogroup", "_netdev", "nofail"), ()
    ),
}
#: POSIX ACLs are a flag of mount(2) for all, but an option of only these filesystems.
_WITH_ACL = {"ext2", "ext3", "ext4", "btrfs", "f2fs", "erofs", "jfs", "gfs2", "ceph"}


class Attributes:
    """Flags of mounts that options have set or cleared; any other stays as it is."""

    def __init__(self) -> None:
        self.known = 0
        self.values = 0

    def set(self, flag: int, *, on: bool) -> None:
        """Take an option."""
        self.known |= flag
        self.values = self.values | flag if on else self.values & ~flag

    def forget(self, flag: int) -> None:
        """Take a later option for all mounts, this one among them."""
        if flag & _ACCESS_TIMES:
            flag = _ACCESS_TIMES
        self.known &= ~flag
        self.values &= ~flag

    def over(self, other: Attributes) -> Attributes:
        """Return these over the other ones."""
        both = Attributes()
        lower = Attributes()
        lower.known, lower.values = other.known, other.values
        if self.known & _ACCESS_TIMES:
            lower.forget(_ACCESS_TIMES)
        both.known = lower.known | self.known
        both.values = lower.values & ~self.known | self.values
        return both

    def pair(self) -> tuple[int, int]:
        """Return what is set and what is cleared, as mount_setattr(2) takes them."""
        on = self.values & _SIMPLE
        off = self.known & ~self.values & _SIMPLE
        # As in mount(2): strictatime wins, and with neither of the two it is relatime, which
        # norelatime therefore cannot take away.
        if self.known & (_NOATIME | _STRICTATIME) or self.values & _RELATIME:
            off |= _FIELD
            if self.values & _STRICTATIME:
                on |= _FIELD_STRICTATIME
            elif self.values & _NOATIME:
                on |= _FIELD_NOATIME
        return on, off


class Options:
    """What a mount's options ask for, sorted by how the kernel is told.

    ``data`` is for the filesystem, in order; ``propagation`` has names of ``PROPAGATIONS`` with
    the number of the option.
    """

    def __init__(self, mount: Mount, pointer: str) -> None:
        self.bind = self.recursive_bind = self.remount = self.copy_up = False
        self.own, self.all = Attributes(), Attributes()
        self.propagation: list[tuple[int, str]] = []
        self.data: list[str] = []
        self.id_mapping = ""
        for number, option in enumerate(mount.options):
            if not self._take_flag(option):
                self._take(option, number, mount.type)
        if self.bind and self.copy_up:
            raise ConfigError(f"{pointer}/options", "tmpcopyup is for tmpfs, not for bind mounts")
        if self.copy_up and mount.type != "tmpfs":
            raise ConfigError(f"{pointer}/options", f"tmpcopyup is for tmpfs, not {mount.type!r}")

    def _take_flag(self, option: str) -> bool:
        if option in FLAGS:
            flag, on = FLAGS[option]
            self.own.set(flag, on=on)
        elif option[:1] == "r" and option[1:] in FLAGS:
            flag, on = FLAGS[option[1:]]
            self.all.set(flag, on=on)
            self.own.forget(flag)
        else:
            return False
        return True

    def _take(self, option: str, number: int, kind: str) -> None:
        name = option.partition("=")[0]
        if option in {"bind", "rbind"}:
            self.bind = True
            self.recursive_bind |= option == "rbind"
        elif option in PROPAGATIONS:
            self.propagation.append((number, option))
        elif option == "remount":
            self.remount = True
        elif option == "tmpcopyup":
            self.copy_up = True
        elif option in {"idmap", "ridmap"}:
            self.id_mapping = option
        elif option in MOUNT_8:
            for each in MOUNT_8[option]:
                self._take_flag(each)
        elif option in NOTHING or name[:2] in {"x-", "X-"} or name == "comment":
            pass
        elif option not in {"acl", "noacl"} or kind in _WITH_ACL:
            self.data += split(option)

    @property
    def read_only(self) -> bool:
        """Whether the mount itself ends up read-only."""
        return bool(self.own.over(self.all).pair()[0] & RDONLY)


def place(mount: Mount) -> str:
    """Return the destination as an absolute path, to compare it with others; links are links."""
    return os.path.normpath("/" + mount.destination.strip("/"))


def split(option: str) -> Iterator[str]:
    """Yield the parts of a string for mount(2): commas part them unless escaped or quoted."""
    part, quoted, escaped = "", False, False
    for letter in option:
        if letter == "," and not quoted and not escaped:
            if part:
                yield part
            part = ""
            continue
        quoted ^= letter == '"' and not escaped
        escaped = letter == "\\" and not escaped
        part += letter
    if part:
        yield part


def names() -> list[str]:
    """Return the options of the spec's table that are understood, and rnodev (features.md)."""
    return sorted(
        {*FLAGS, *(f"r{name}" for name in FLAGS), *PROPAGATIONS, *FILESYSTEM, *NOTHING} - {""}
        | {"bind", "rbind", "remount", "tmpcopyup", "idmap", "ridmap"}
    )
