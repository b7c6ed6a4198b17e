"""Control groups: where the container's are, how they are made and removed (config-linux.md).

One cgroup per hierarchy: v1, v2 and hybrid hosts differ only in which hierarchies there are.
What is written into them is in ``resources``, who is in them in ``cgroup_processes``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seatrial.oci import cgroup_files, cgroup_ownership, freezer, host, namespaces, resources
from seatrial.oci.errors import ConfigError, OCIError
from seatrial.oci.hierarchies import Group, controllers_in, hierarchies
from seatrial.oci.operations import Kind, Op, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from seatrial.oci.config import Config
    from seatrial.oci.hierarchies import Hierarchy
    from seatrial.oci.plan import Plan
    from seatrial.oci.systemd import Unit

# Flags of operations (runtime/csrc/cgroups.c).
CPUSET, MARK = 1, 2
ABOVE = 1
CLONED_INTO, ITSELF = 1, 2
WHERE_POSSIBLE = 1
PROCS = "/cgroup.procs"


def folder(hierarchy: Hierarchy, path: str) -> str:
    """Return the container's folder in one hierarchy."""
    return os.path.join(hierarchy.path, path.lstrip("/"))


def path_of(config: Config, identifier: str) -> str:
    """Return the path below the hierarchies' roots: as configured, or one of our own.

    A relative path is taken from there too, so it leads to the same place whoever calls.
    """
    wanted = config.linux.cgroups_path or f"/seatrial-oci/{identifier}"
    if ".." in wanted.split("/"):
        raise ConfigError("/linux/cgroupsPath", f"{wanted} leads upwards")
    path = os.path.normpath("/" + wanted.lstrip("/"))
    if path == "/":
        raise ConfigError("/linux/cgroupsPath", f"{wanted} is the root, which is everybody's")
    return path


def groups_of(config: Config, identifier: str) -> list[Group]:
    """Return the container's cgroups: in every hierarchy in which we can make one.

    Where the config asks for a path or for resources, those in which we cannot are there too: the
    kernel then says why not.
    """
    path = path_of(config, identifier)
    asked = bool(config.linux.cgroups_path)
    found = [Group(each, folder(each, path)) for each in hierarchies()]
    return [each for each in found if asked or _can_make(each)]


def _can_make(group: Group) -> bool:
    return host.may_make_at(group.path)


def compile(config: Config, identifier: str, *, unit: Unit | None = None) -> Iterator[Op]:  # noqa: A001 - the compiler's verb
    """Yield what makes the cgroups, sets them up, and puts the process there.

    With ``unit`` systemd makes a scope of them: it sets up cgroups by its own ideas as it does so,
    and for that the process has to exist; ours come after.
    """
    pointer = "/linux/cgroupsPath" if config.linux.cgroups_path else ""
    groups = groups_of(config, identifier)
    for group in groups:
        _check_fitness(group, pointer)
        yield _make(group, identifier, pointer, marked=unit is None)
    wanted = config.linux.resources
    chosen = cgroup_files.Groups(groups)
    stage = Stage.BEFORE if unit is None else Stage.ADOPT
    settings = list(resources.compile(wanted, chosen, stage=stage)) if wanted else []
    for group in groups:
        if group.hierarchy.version == 2:  # noqa: PLR2004
            yield from enable(group, chosen.used, stage)
            yield from cgroup_ownership.compile(config, group.path, groups, stage)
    if unit is not None:
        from seatrial.oci import systemd

        yield systemd.start(unit, wanted, unified=is_unified(groups))
    yield from (op for op in settings if op.stage == Stage.BEFORE)
    freezes = freezer.file_of(groups)
    for group in groups:
        # Not where it has entered namespaces by then: from there these paths may lead elsewhere.
        flags = 0
        if unit is None and not namespaces.joins(config):
            flags = ITSELF if group.hierarchy.version == 1 else CLONED_INTO
        yield Op(
            Kind.ATTACH,
            Stage.ADOPT,
            f"put the process into {group.path}",
            pointer,
            path=group.path + PROCS,
            # What status and pause will want to know.
            extra=freezes if freezes.startswith(group.path + "/") else "",
            flags=flags,
        )
    yield from (op for op in settings if op.stage == Stage.ADOPT)


def is_unified(groups: list[Group]) -> bool:
    """Whether this is a host of v2 alone."""
    return [group.hierarchy.version for group in groups] == [2]


def _check_fitness(group: Group, pointer: str) -> None:
    # Control groups: "A runtime MAY check if the container cgroup is fit for purpose".
    if not host.exists(group.path):
        return
    inside = group.read("cgroup.procs")
    if inside:
        host.refuse(
            pointer,
            f"cgroup {group.path} is in use by {len(inside.split())} processes: a container that "
            "shared it would be limited, frozen and killed with them",
        )
    if group.is_frozen():
        host.refuse(pointer, f"cgroup {group.path} is frozen, nothing would run in it")


def _make(group: Group, identifier: str, pointer: str, *, marked: bool) -> Op:
    is_cpuset = group.hierarchy.version == 1 and "cpuset" in group.hierarchy.controllers
    return Op(
        Kind.MAKE_DIRECTORIES,
        Stage.BEFORE,
        f"make cgroup {group.path}",
        pointer,
        path=group.path,
        text=identifier if marked else "",
        flags=(CPUSET if is_cpuset else 0) | (MARK if marked else 0),
        numbers=(0o755, len(group.hierarchy.path) + 1),
    )


def enable(group: Group, used: dict[str, str], stage: Stage) -> Iterator[Op]:
    """Yield what makes controllers available: in every cgroup from the root to above ours.

    Those that are used, each with the pointer that needs it, and where possible all others, for
    they account for what is used.
    """
    rest = group.hierarchy.controllers - set(used)
    wanted = [
        ({name for name in used if name in group.hierarchy.controllers}, 0),
        (rest, WHERE_POSSIBLE),
    ]
    above = [group.hierarchy.path]
    for part in group.path[len(above[0]) + 1 :].split("/")[:-1]:
        above.append(f"{above[-1]}/{part}")
    for path in above:
        # Above what is delegated to us, others have enabled what there is.
        file = f"{path}/cgroup.subtree_control"
        present = frozenset[str]() if _may_enable(path) else controllers_in(file)
        for each, flags in wanted:
            names = each - present
            if not names or (flags and not _may_enable(path)):
                continue
            says = f"let cgroups in {path} have {', '.join(sorted(names))}"
            yield Op(
                Kind.ENABLE_CONTROLLERS,
                stage,
                says + (" where possible" if flags else ""),
                "" if flags else used[min(names)],
                path=file,
                text=" ".join(f"+{name}" for name in sorted(names)),
                flags=flags,
            )


def _may_enable(path: str) -> bool:
    file = f"{path}/cgroup.subtree_control"
    return host.may(file, os.W_OK) or not host.exists(file)


def stored_groups(plan: Plan) -> list[Group]:
    """Return the cgroups of a container that exists, by its plan."""
    found = []
    known = sorted(hierarchies(), key=lambda each: -len(each.path))
    for op in plan.ops:
        if op.kind != Kind.ATTACH:
            continue
        path = op.path.removesuffix(PROCS)
        found += [Group(each, path) for each in known if path.startswith(each.path + "/")][:1]
    return found


def join(plan: Plan, pid: int, below: Mapping[str, str] | None = None) -> Iterator[Op]:
    """Yield what puts a further process into the container's cgroups, or into ones ``below``.

    ``below`` has paths by controller; by "" one for all hierarchies that have none of their own.

    A v2 cgroup that has controllers enabled for its children takes no processes (cgroups(7)): then
    the container has arranged itself in cgroups of its own, and we go where its process went.
    """
    below = below or {}
    groups = stored_groups(plan)
    known = {name for group in groups for name in group.hierarchy.controllers}
    for controller in below:
        if controller and controller not in known:
            raise OCIError(f"the container has no cgroup for the controller {controller}")
    for group in groups:
        path = group.path
        own = [below[name] for name in below if name in group.hierarchy.controllers]
        wanted = own[0] if own else below.get("")
        if wanted:
            path = os.path.normpath(f"{path}/{wanted.strip('/')}")
            if not (path + "/").startswith(group.path + "/") or not host.is_folder(path):
                raise OCIError(f"there is no cgroup {path} of the container")
        elif group.hierarchy.version == 2 and group.read("cgroup.subtree_control"):  # noqa: PLR2004
            path = _now(group, pid)
        says = f"put the process into {path}"
        yield Op(Kind.ATTACH, Stage.ADOPT, says, "/linux/cgroupsPath", path=path + PROCS)


def _now(group: Group, pid: int) -> str:
    for line in host.lines(f"/proc/{pid}/cgroup"):
        if line.startswith("0::"):
            path = folder(group.hierarchy, line[3:].strip())
            return path if path.startswith(group.path + "/") else group.path
    return group.path


def remove(config: Config, identifier: str, *, unit: Unit | None = None) -> Iterator[Op]:
    """Yield what removes the cgroups again, as far as they are marked as made by create."""
    if unit is not None:
        from seatrial.oci import systemd

        yield systemd.stop(unit)
    for group in groups_of(config, identifier):
        where = group.path
        yield Op(
            Kind.REMOVE_CGROUP,
            Stage.DELETED,
            f"remove cgroup {where}" + (" if create made it" if unit is None else ""),
            path=where,
            text=identifier if unit is None else "",
            flags=MARK if unit is None else 0,
        )
        while unit is None and (where := os.path.dirname(where)) != group.hierarchy.path:
            says = f"remove cgroup {where} if create made it and nobody else uses it"
            yield Op(Kind.REMOVE_CGROUP, Stage.DELETED, says, path=where, flags=ABOVE | MARK)
