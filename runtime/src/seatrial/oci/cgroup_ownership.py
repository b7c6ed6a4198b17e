"""Whose the container's cgroup is (config-linux.md, "Cgroup ownership")."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from seatrial.oci import host
from seatrial.oci.operations import Kind, Op, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Config
    from seatrial.oci.hierarchies import Group

DELEGATE = "/sys/kernel/cgroup/delegate"
#: For kernels that do not say (before Linux 4.15).
FALLBACK = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"]
NEED_NOT_BE = 1
V1 = 1


def compile(config: Config, path: str, groups: list[Group], stage: Stage) -> Iterator[Op]:  # noqa: A001 - the compiler's verb
    """Yield the change of owner of a v2 cgroup, where the config delegates it to the container."""
    if not is_delegated(config) or any(each.hierarchy.version == V1 for each in groups):
        return
    uid = owner(config)
    if uid is None:
        return
    for name in ("", *files()):
        where = f"{path}/{name}".rstrip("/")
        yield Op(
            Kind.OWNER,
            stage,
            f"give {where} to user {uid}" + (", if there is such a file" if name else ""),
            "/linux/namespaces",
            path=where,
            flags=NEED_NOT_BE if name else 0,
            numbers=(uid,),
        )


def is_delegated(config: Config) -> bool:
    """Whether there is a new cgroup namespace and a mount of the cgroups that can be written to."""
    return any(
        each.type == "cgroup" and each.path is None for each in config.linux.namespaces
    ) and any(
        mount.source == "cgroup"
        and mount.destination == "/sys/fs/cgroup"
        and "ro" not in mount.options
        for mount in config.mounts
    )


def owner(config: Config) -> int | None:
    """Return the host's id of the user that executes the container process, if it has one."""
    uid = config.process.user.uid if config.process is not None else 0
    for namespace in config.linux.namespaces:
        if namespace.type != "user":
            continue
        rows = [(m.container_id, m.host_id, m.size) for m in config.linux.uid_mappings]
        if namespace.path is not None:
            rows = _rows(namespace.path)
        for inside, outside, size in rows:
            if inside <= uid < inside + size:
                return outside + uid - inside
        return None
    return uid


def files() -> list[str]:
    """Return the names of the files that go with a delegated cgroup."""
    try:
        return host.text(DELEGATE).split()
    except OSError:
        return FALLBACK


def _rows(path: str) -> list[tuple[int, int, int]]:
    # Only of a process's namespace the mappings can be read without entering it.
    process = re.fullmatch(r"(/proc/[^/]+)/ns/user", path)
    try:
        rows = [line.split() for line in host.lines(f"{process[1] if process else ''}/uid_map")]
    except OSError:
        return []
    return [(int(inside), int(outside), int(size)) for inside, outside, size in rows]
