"""Mounts, in the config's order (config.md, "Mounts")."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

from seatrial.oci import cgroup_mounts, host, mount_mappings, mount_options, namespaces
from seatrial.oci.errors import ConfigError
from seatrial.oci.labels import selinux_enabled
from seatrial.oci.mount_options import PROPAGATIONS, Options
from seatrial.oci.operations import Kind, Op, Stage
from seatrial.oci.plan import strings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Config, Mount

# Flags of operations (runtime/csrc/mounts.c, binds.c); the number of a slot is above the low byte.
FILESYSTEM_READ_ONLY, COPY_UP, KEEP, OPTIONAL, MAPPED = 1, 2, 4, 8, 16
DEEP, AS_SLAVE, AS_PRIVATE, BIND_MAPPED, BIND_MAPPED_DEEP, LOCKED = 1, 2, 4, 8, 16, 32
OF_SLOT = 1
#: The slots before are those of the root and of device nodes.
FIRST_SLOT = 2

#: Filesystems of which one may be the host's and many mounts': read-only is the mount, not they.
PSEUDO = {
    "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs",
    "efivarfs", "fusectl", "hugetlbfs", "mqueue", "proc", "pstore", "ramfs", "securityfs",
    "selinuxfs", "sysfs", "tmpfs", "tracefs",
}  # fmt: skip
#: Those whose files SELinux labels by themselves.
_UNLABELLED = {"cgroup", "cgroup2", "mqueue", "proc", "sysfs"}
_CONTEXTS = ("context=", "fscontext=", "defcontext=", "rootcontext=")


def compile(config: Config, bundle: str, identifier: str) -> tuple[list[Op], list[Op]]:  # noqa: A001 - the compiler's verb
    """Return the mounts, and what is done to them when all else has found its place in them.

    Raises ``ConfigError`` for what cannot be mounted anywhere.
    """
    if config.linux.mount_label and not selinux_enabled():
        host.refuse("/linux/mountLabel", "SELinux is not enabled on this host")
    found: list[Op] = []
    late: list[Op] = []
    slots = itertools.count(FIRST_SLOT, 2)
    for number, mount in enumerate(config.mounts):
        entry = Entry(config, mount, f"/mounts/{number}")
        options = entry.options
        if options.remount:
            found.append(entry.remount())
        elif options.bind:
            found += entry.bind(bundle, next(slots))
        elif mount.type == "cgroup":
            found += cgroup_mounts.compile(config, identifier, entry, slots, late)
        elif mount.type not in {"", "none"}:
            found += entry.new(next(slots), late)
        elif not options.propagation:
            raise ConfigError(f"{entry.pointer}/type", "a mount that is no bind mount needs a type")
        found += entry.propagations()
    return found, late


class Entry:
    """One entry of ``mounts``."""

    def __init__(self, config: Config, mount: Mount, pointer: str) -> None:
        if not mount.destination:
            raise ConfigError(f"{pointer}/destination", "is empty")
        self.config, self.mount, self.pointer = config, mount, pointer
        self.options = Options(mount, pointer)
        #: Relative to / where it is not absolute (config.md since 1.2.0).
        self.target = "/" + mount.destination.strip("/")
        self.shown = f" ({','.join(mount.options)})" if mount.options else ""

    def bind(self, bundle: str, slot: int) -> Iterator[Op]:
        """Yield a bind mount: opened by the runtime, put in place by the container process."""
        if not self.mount.source:
            raise ConfigError(f"{self.pointer}/source", "a bind mount needs a source")
        source = os.path.join(bundle, self.mount.source)
        mapping, recursive = mount_mappings.compile(self.config, self, slot + 1)
        yield from mapping
        flags = self._propagation_of_source() | (DEEP if self.options.recursive_bind else 0)
        if mapping:
            flags |= BIND_MAPPED_DEEP if recursive else BIND_MAPPED
        elif namespaces.has(self.config, "user") and not self._takes_away():
            flags |= LOCKED
        yield from self.tree(source, self.target, slot, flags)

    def tree(self, source: str, target: str, slot: int, flags: int) -> Iterator[Op]:
        """Yield the two operations of a bind mount."""
        for kind, stage, says in (
            (Kind.TREE, Stage.BEFORE, f"open {source}, to bind it at {target}"),
            (Kind.BIND, Stage.MOUNT, f"bind {source} at {target}" + self.shown),
        ):
            yield Op(
                kind,
                stage,
                says,
                self.pointer,
                path=target,
                extra=source,
                flags=flags | slot << 8,
                numbers=(*self.options.own.pair(), *self.options.all.pair()),
            )

    def _takes_away(self) -> bool:
        """Whether the mount is to have less of the host's attributes: what is locked cannot."""
        return bool(self.options.own.pair()[1] | self.options.all.pair()[1])

    def _propagation_of_source(self) -> int:
        # Events of the host's mount come in, none go out; out too only where both the root and
        # the mount are shared, and never from a user namespace.
        names = {name.removeprefix("r") for _, name in self.options.propagation}
        root = self.config.linux.rootfs_propagation.removeprefix("r")
        if "shared" in names and root == "shared" and not namespaces.has(self.config, "user"):
            return 0
        return AS_PRIVATE if root == "private" and not names else AS_SLAVE

    def new(self, slot: int, late: list[Op]) -> Iterator[Op]:
        """Yield a mount of a filesystem; one with others below is made read-only late."""
        mount, options = self.mount, self.options
        mapping, _ = mount_mappings.compile(self.config, self, slot + 1)
        yield from mapping
        own, flags = options.own.over(options.all), MAPPED if mapping else 0
        if options.copy_up:
            flags |= COPY_UP
        if options.read_only and mount.type not in PSEUDO:
            flags |= FILESYSTEM_READ_ONLY
        if options.read_only and self.has_mounts_below():
            own.forget(mount_options.RDONLY)
            flags |= KEEP
            late.append(self.read_only(slot))
        yield Op(
            Kind.MOUNT,
            Stage.MOUNT,
            f"mount {mount.type} at {self.target}" + self.shown,
            self.pointer,
            path=self.target,
            text=mount.type,
            extra=mount.source or mount.type,
            blob=strings(options.data + label(self.config, mount.type, options.data)),
            flags=flags | slot << 8,
            numbers=(*own.pair(), slot + 1),
        )

    def read_only(self, slot: int) -> Op:
        """Return what makes the mount in a slot read-only."""
        return Op(
            Kind.MOUNT_ATTRIBUTES,
            Stage.ENTER,
            f"make {self.target} read-only, now that all in it is made",
            self.pointer,
            path=self.target,
            flags=OF_SLOT | slot << 8,
            numbers=(mount_options.RDONLY, 0),
        )

    def has_mounts_below(self) -> bool:
        """Whether something may have to be made on this mount, and none changes it meanwhile."""
        here = mount_options.place(self.mount)
        return self.mount.type in {"tmpfs", "ramfs", "cgroup"} and not any(
            "remount" in mount.options and mount_options.place(mount) == here
            for mount in self.config.mounts
        )

    def remount(self) -> Op:
        """Return what changes a mount that is there; with "bind" the filesystem is left alone."""
        options, data = self.options, list(self.options.data)
        if self.mount.type not in {*PSEUDO, "", "none", "bind"}:
            known, values = options.own.known, options.own.values
            if known & mount_options.RDONLY:
                data.append("ro" if values & mount_options.RDONLY else "rw")
        whole = bool(data) and not options.bind
        return Op(
            Kind.REMOUNT,
            Stage.MOUNT,
            f"change the mount at {self.target}{self.shown}",
            self.pointer,
            path=self.target,
            flags=int(whole),
            blob=strings(data) if whole else b"",
            numbers=(*options.own.pair(), *options.all.pair()),
        )

    def propagations(self) -> Iterator[Op]:
        """Yield the changes of propagation, in order; without any, a recursive one of the root."""
        wanted = [(f"{self.pointer}/options/{n}", name) for n, name in self.options.propagation]
        root = self.config.linux.rootfs_propagation
        # An unbindable mount could not be bound for readonlyPaths any more, so that comes last.
        if not wanted and root.startswith("r") and root != "runbindable":
            wanted = [("/linux/rootfsPropagation", root)]
        for pointer, name in wanted:
            yield Op(
                Kind.MOUNT_PROPAGATION,
                Stage.MOUNT,
                f"make {self.target} {name}",
                pointer,
                path=self.target,
                flags=int(name.startswith("r")),
                numbers=(PROPAGATIONS[name],),
            )


def label(config: Config, kind: str, data: list[str]) -> list[str]:
    """Return the option that labels a new filesystem for SELinux, if it takes one."""
    wanted = config.linux.mount_label
    if not wanted or kind in _UNLABELLED or any(each.startswith(_CONTEXTS) for each in data):
        return []
    return [f"context={wanted}"]
