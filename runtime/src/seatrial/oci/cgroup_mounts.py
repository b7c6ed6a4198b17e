"""Mounts of type "cgroup": the container's own cgroups, whichever hierarchies the host has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seatrial.oci import cgroups, hierarchies, mount_options, namespaces
from seatrial.oci.operations import Kind, Op, Stage
from seatrial.oci.plan import strings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Config
    from seatrial.oci.mounts import Entry


def compile(  # noqa: A001 - the compiler's verb
    config: Config, identifier: str, entry: Entry, slots: Iterator[int], late: list[Op]
) -> Iterator[Op]:
    """Yield one mount on a v2 host; on others a tmpfs with one folder per hierarchy."""
    groups = cgroups.groups_of(config, identifier)
    if [(each.hierarchy.path, each.hierarchy.version) for each in groups] == [
        (hierarchies.ROOT, 2)
    ]:
        yield from _unified(config, entry, groups[0].path, next(slots))
        return
    yield from _folder(entry, next(slots), late)
    for group in sorted(groups, key=lambda each: each.hierarchy.path):
        name = os.path.basename(group.hierarchy.path)
        # As a slave: cgroups have no mounts below, so this is only about who hears of it.
        yield from entry.tree(group.path, f"{entry.target}/{name}", next(slots), flags=2)
    for link, name in _links([each.hierarchy for each in groups]):
        says = f"link {entry.target}/{link} to {name}, where it is mounted"
        yield Op(
            Kind.SYMLINK, Stage.MOUNT, says, entry.pointer, path=f"{entry.target}/{link}", text=name
        )


def _unified(config: Config, entry: Entry, folder: str, slot: int) -> Iterator[Op]:
    if namespaces.has_new(config, "cgroup"):
        # The root of a new cgroup namespace is the cgroup that the container is in.
        yield from entry.tree(folder, entry.target, slot, flags=2)
        return
    if namespaces.has(config, "user"):
        # Only who has power over the cgroup namespace can mount cgroup2 (cgroup_namespaces(7)), and
        # that is the host's: so what would be mounted is bound, as runc does.
        yield from entry.tree(hierarchies.ROOT, entry.target, slot, flags=2)
        return
    yield Op(
        Kind.MOUNT,
        Stage.MOUNT,
        f"mount cgroup2 at {entry.target}{entry.shown}",
        entry.pointer,
        path=entry.target,
        text="cgroup2",
        extra="cgroup",
        flags=slot << 8,
        numbers=(*entry.options.own.over(entry.options.all).pair(), 0),
    )


def _folder(entry: Entry, slot: int, late: list[Op]) -> Iterator[Op]:
    own = entry.options.own.over(entry.options.all)
    flags = slot << 8
    if own.pair()[0] & mount_options.RDONLY:
        own.forget(mount_options.RDONLY)
        flags |= 4
        late.append(entry.read_only(slot))
    yield Op(
        Kind.MOUNT,
        Stage.MOUNT,
        f"mount a tmpfs for cgroup hierarchies at {entry.target}{entry.shown}",
        entry.pointer,
        path=entry.target,
        text="tmpfs",
        extra="tmpfs",
        flags=flags,
        blob=strings(["mode=755"]),
        numbers=(*own.pair(), 0),
    )


def _links(found: list[hierarchies.Hierarchy]) -> Iterator[tuple[str, str]]:
    """Yield each controller that is mounted together with others, and the name of that mount."""
    names = {os.path.basename(each.path) for each in found}
    for hierarchy in found:
        mounted = os.path.basename(hierarchy.path)
        together = mounted.split(",")
        if len(together) > 1:
            for controller in together:
                if controller not in names and controller in hierarchy.controllers:
                    yield controller, mounted
