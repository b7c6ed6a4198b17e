"""Options of mounts, and a model of what the mounts that they are for must show.

The model says what mount(8) makes of a list: each option sets or clears a flag, and the last
one of an option and its opposites counts.  Lists for which versions of mount(8) differ are not
drawn: several kinds of access times at once, or a flag both of a mount and of all below it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from seatrial.conformance.namespaces import MS_BIND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.conformance.namespaces import Mount

#: Flags of a mount: the option that sets it, which is also what mountinfo shows, and its opposite.
FLAGS = {"ro": "rw", "nosuid": "suid", "nodev": "dev", "noexec": "exec", "nodiratime": "diratime"}
#: Flags of a filesystem; dirsync cannot be taken back.
FILESYSTEM_FLAGS = {"sync": "async", "lazytime": "nolazytime", "dirsync": ""}
#: When access times are updated, of which a mount has one.
ACCESS_TIMES = {"noatime": "atime", "relatime": "norelatime", "strictatime": "nostrictatime"}
#: A flag that runtimes only should know.
SYMLINKS = {"nosymfollow": "symfollow"}

#: mount(2)
_NUMBERS = {
    "ro": 1,
    "nosuid": 2,
    "nodev": 4,
    "noexec": 8,
    "nosymfollow": 256,
    "noatime": 1 << 10,
    "nodiratime": 1 << 11,
    "relatime": 1 << 21,
    "strictatime": 1 << 24,
}
_MS_REMOUNT = 32
_OPPOSITES = {**FLAGS, **FILESYSTEM_FLAGS, **ACCESS_TIMES, **SYMLINKS}
_PER_MOUNT = {*FLAGS, *SYMLINKS}


@dataclass(frozen=True)
class Flags:
    """What one mount has of the flags that options set; ``access_time`` is a key of its table."""

    mount: frozenset[str] = frozenset()
    filesystem: frozenset[str] = frozenset()
    access_time: str = "relatime"

    @classmethod
    def shown(cls, mount: Mount) -> Flags:
        """Return those that mountinfo shows."""
        own = mount.options & _PER_MOUNT | ({"ro"} if mount.read_only else frozenset())
        times = [name for name in ACCESS_TIMES if name in mount.options]
        filesystem = mount.filesystem_options & set(FILESYSTEM_FLAGS)
        return cls(own, filesystem, times[0] if times else "strictatime")

    def after(self, options: Sequence[str]) -> Flags:
        """Return what a list of options makes of these, each in its turn."""
        mount, filesystem, times = set(self.mount), set(self.filesystem), {self.access_time}
        for option in options:
            setter = _setter(option)
            if setter in ACCESS_TIMES:
                # Of the kinds of access times one is set at most; with none it is the kernel's.
                times = {setter} if option == setter else times - {setter}
            elif setter:
                flags = filesystem if setter in FILESYSTEM_FLAGS else mount
                (flags.add if option == setter else flags.discard)(setter)
        return Flags(frozenset(mount), frozenset(filesystem), (*times, "relatime")[0])


def _setter(option: str) -> str:
    return next((name for name in _OPPOSITES if option in {name, _OPPOSITES[name]}), "")


def expected(options: Sequence[str]) -> Flags:
    """Return what a new mount with these options has."""
    return Flags().after(options)


def flag_sets(*tables: dict[str, str]) -> st.SearchStrategy[list[str]]:
    """Options in any order that say of some flags that they are set or not, each once.

    At most one of them sets a kind of access times.
    """
    pairs = [pair for table in tables for pair in table.items() if table is not ACCESS_TIMES]
    some = st.tuples(*(st.sampled_from(["", *(name for name in pair if name)]) for pair in pairs))
    times = st.sampled_from(["", *ACCESS_TIMES] if ACCESS_TIMES in tables else [""])
    chosen = st.tuples(some, times).map(
        lambda drawn: [name for name in (*drawn[0], drawn[1]) if name]
    )
    return chosen.flatmap(st.permutations)


@st.composite
def lists(draw: st.DrawFn, *tables: dict[str, str]) -> list[str]:
    """Options with repetitions and opposites."""
    time = draw(st.sampled_from(sorted(ACCESS_TIMES)))
    names = {
        name
        for table in tables
        for pair in table.items()
        for name in pair
        if name and (table is not ACCESS_TIMES or pair[0] == time or name == pair[1])
    }
    return draw(st.lists(st.sampled_from(sorted(names)), min_size=1, max_size=12))


def mount_flags(options: Sequence[str]) -> int:
    """Return what changes a mount to have these flags alone, for mount(2) with MS_REMOUNT."""
    return sum({*(_NUMBERS.get(option, 0) for option in options), _MS_REMOUNT, MS_BIND})


def recursive(options: Sequence[str]) -> list[str]:
    """Return the same options for a mount and all below it."""
    return [f"r{name}" for name in options]


#: Owners of files that mappings are tried on.
IDS = (0, 1, 9, 10, 11, 500, 999, 1000)
_UNMAPPED = 65534


@dataclass(frozen=True)
class Mapping:
    """Entries of ``uidMappings`` or ``gidMappings`` of a mount, and what they make of an id."""

    entries: tuple[dict[str, int], ...]

    def of(self, number: int) -> int:
        """Return the id that a file of ``number`` has on the mount, seen without a namespace."""
        for each in self.entries:
            offset = number - each["containerID"]
            if 0 <= offset < each["size"]:
                return each["hostID"] + offset
        return _UNMAPPED


@st.composite
def mappings(draw: st.DrawFn) -> Mapping:
    """One to four ranges that do not overlap, in any order, on either side."""
    entries, container_id, host_id = [], draw(st.integers(0, 20)), draw(st.integers(0, 2**20))
    for size in draw(st.lists(st.integers(1, 1000), min_size=1, max_size=4)):
        entries.append({"containerID": container_id, "hostID": host_id, "size": size})
        container_id += size + draw(st.integers(0, 20))
        host_id += size + draw(st.integers(0, 1000))
    return Mapping(tuple(draw(st.permutations(entries))))
