"""Ids of a user namespace (config-linux.md, "User namespace mappings"; user_namespaces(7))."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from typing import TYPE_CHECKING

from seatrial.oci import capabilities, host
from seatrial.oci.errors import ConfigError
from seatrial.oci.log import warn
from seatrial.oci.operations import Kind, Op, Stage
from seatrial.oci.plan import strings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Config, IDMapping

#: user_namespaces(7), since Linux 4.15.
MAX_RANGES = 340
VIA_PROGRAM = 1
NOT_OURS = 1
_SETGID = 1 << capabilities.NUMBERS["CAP_SETGID"]
_SETUID = 1 << capabilities.NUMBERS["CAP_SETUID"]


def check(config: Config) -> None:
    """Refuse mappings without a user namespace, one without mappings, and ranges that clash."""
    linux = config.linux
    paths = [each.path for each in linux.namespaces if each.type == "user"]
    members = {"uidMappings": linux.uid_mappings, "gidMappings": linux.gid_mappings}
    for member, mappings in members.items():
        pointer = f"/linux/{member}"
        if mappings and not paths:
            raise ConfigError(pointer, "mappings without a user namespace")
        if paths and paths[0] is None and not mappings:
            raise ConfigError(pointer, "a new user namespace needs at least one mapping")
        if mappings and paths and paths[0] is not None:
            warn(f"config.json#{pointer}: not used, {paths[0]} has its mappings already")
        _check_ranges(pointer, mappings)
    user = config.process.user if config.process is not None else None
    if user is not None and user.additional_gids and denies_setgroups(config):
        host.refuse(
            "/process/user/additionalGids",
            "without CAP_SETGID no user namespace with supplementary groups can be made "
            "(user_namespaces(7)); start the runtime as root, or map more gids by newgidmap",
        )


def _check_ranges(pointer: str, mappings: list[IDMapping]) -> None:
    if len(mappings) > MAX_RANGES:
        raise ConfigError(pointer, f"has {len(mappings)} ranges, the kernel takes {MAX_RANGES}")
    for number, each in enumerate(mappings):
        if each.size == 0:
            raise ConfigError(f"{pointer}/{number}/size", "an empty range maps nothing")
        for name, first in (("containerID", each.container_id), ("hostID", each.host_id)):
            if first + each.size > 2**32:
                raise ConfigError(f"{pointer}/{number}/{name}", "the range ends above 2^32")
    for attribute, name in (("container_id", "containerID"), ("host_id", "hostID")):
        ranges = sorted(
            (getattr(each, attribute), each.size, number) for number, each in enumerate(mappings)
        )
        for (first, size, _), (following, _, number) in pairwise(ranges):
            if first + size > following:
                raise ConfigError(f"{pointer}/{number}/{name}", "overlaps another range")


def _by_program(mappings: list[IDMapping], *, power: int, own: int) -> bool:
    """Whether the kernel takes these ids only from newuidmap or newgidmap."""
    if capabilities.held() & power:
        return False
    return len(mappings) > 1 or any(m.size > 1 or m.host_id != own for m in mappings)


def denies_setgroups(config: Config) -> bool:
    """Whether the container's user namespace has to do without setgroups(2).

    It has to where we write gid_map without CAP_SETGID, or where somebody has done so before.
    """
    mappings = config.linux.gid_mappings
    paths = [each.path for each in config.linux.namespaces if each.type == "user"]
    if paths and paths[0] is not None:
        return _was_denied(paths[0])
    return (
        bool(paths)
        and not capabilities.held() & _SETGID
        and not _by_program(mappings, power=_SETGID, own=host.ids()[1])
    )


def _was_denied(path: str) -> bool:
    """Whether setgroups(2) was given up in a namespace; only a process in it can tell."""
    process = re.fullmatch(r"(/proc/[^/]+)/ns/user", path)
    if process is None:
        return False
    try:
        return host.text(f"{process[1]}/setgroups").strip() == "deny"
    except OSError:
        return False  # opening the namespace says what is wrong


def compile(config: Config) -> Iterator[Op]:  # noqa: A001 - the compiler's verb
    """Yield the maps, written by us or by the programs that may where we may not."""
    linux = config.linux
    by_program = _by_program(linux.uid_mappings, power=_SETUID, own=host.ids()[0])
    yield _map("uid", linux.uid_mappings, by_program=by_program)
    if denies_setgroups(config):
        yield Op(
            Kind.PROCESS_FILE,
            Stage.ADOPT,
            "give up setgroups in the user namespace, or its gids cannot be mapped",
            "/linux/gidMappings",
            path="setgroups",
            text="deny",
        )
    by_program = _by_program(linux.gid_mappings, power=_SETGID, own=host.ids()[1])
    yield _map("gid", linux.gid_mappings, by_program=by_program)


def _map(kind: str, mappings: list[IDMapping], *, by_program: bool) -> Op:
    pointer = f"/linux/{kind}Mappings"
    shown = ", ".join(f"{m.container_id}→{m.host_id} ({m.size})" for m in mappings)
    rows = [(str(m.container_id), str(m.host_id), str(m.size)) for m in mappings]
    name = f"new{kind}map"
    return Op(
        Kind.ID_MAP,
        Stage.ADOPT,
        (f"let {name} map {kind}s: " if by_program else f"write {kind}_map: ") + shown,
        pointer,
        flags=VIA_PROGRAM if by_program else 0,
        path=_program(name, pointer) if by_program else f"{kind}_map",
        text="" if by_program else "".join(" ".join(row) + "\n" for row in rows),
        blob=strings(word for row in rows for word in row) if by_program else b"",
    )


def _program(name: str, pointer: str) -> str:
    path = host.environ("PATH")
    for folder in ("/usr/bin:/bin" if path is None else path).split(":"):
        found = os.path.join(folder, name)
        if host.may(found, os.X_OK):
            return found
    host.refuse(
        pointer,
        f"without privileges only one's own id can be mapped, unless there is {name} "
        "(apt-get install uidmap)",
    )
    return name


def become(config: Config, *, new: bool) -> Op:
    """Return what takes an id of the namespace: root's, or the first where root is not mapped."""
    ids = [0, 0]
    if new:
        for index, mappings in enumerate((config.linux.uid_mappings, config.linux.gid_mappings)):
            if all(mapping.container_id for mapping in mappings):
                ids[index] = mappings[0].container_id
    who = "root" if ids == [0, 0] else f"user {ids[0]}, group {ids[1]}"
    return Op(
        Kind.BECOME_ROOT,
        Stage.MOUNT,
        f"become {who} of the user namespace",
        flags=0 if new else NOT_OURS,
        numbers=tuple(ids),
    )
