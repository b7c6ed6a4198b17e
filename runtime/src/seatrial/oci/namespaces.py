"""Namespaces: new ones and existing ones (config-linux.md, "Namespaces").

The time namespace's offsets are in ``time_offsets``, the user namespace's ids in ``id_mappings``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.oci import capabilities, host, id_mappings, time_offsets
from seatrial.oci.errors import ConfigError
from seatrial.oci.operations import Kind, Op, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Config, Namespace

#: clone(2) flags by the spec's names.
FLAGS = {
    "user": 0x10000000,
    "mount": 0x00020000,
    "pid": 0x20000000,
    "network": 0x40000000,
    "ipc": 0x08000000,
    "uts": 0x04000000,
    "cgroup": 0x02000000,
    "time": 0x00000080,
}
TRY = 1


def check(config: Config) -> None:
    """Refuse unknown and repeated types, and combinations that mean nothing."""
    seen: set[str] = set()
    for number, namespace in enumerate(config.linux.namespaces):
        pointer = f"/linux/namespaces/{number}"
        if namespace.type not in FLAGS:
            raise ConfigError(f"{pointer}/type", f"unknown namespace type {namespace.type!r}")
        if namespace.type in seen:
            raise ConfigError(pointer, f"a second namespace of type {namespace.type}")
        seen.add(namespace.type)
    if "user" in seen and shares_mounts(config):
        raise ConfigError(
            "/linux/namespaces",
            "a user namespace needs a mount namespace: it has no power over the runtime's, so "
            "nothing could be mounted",
        )
    if "user" not in seen and not capabilities.held() & capabilities.SYS_ADMIN:
        host.refuse(
            "/linux/namespaces",
            "without CAP_SYS_ADMIN a container needs a user namespace, with one's own id mapped "
            "(spec --rootless writes such a config)",
        )
    id_mappings.check(config)
    time_offsets.check(config)
    for name, wanted in (("hostname", "uts"), ("domainname", "uts")):
        if getattr(config, name) and wanted not in seen:
            raise ConfigError(f"/{name}", "needs a UTS namespace: it would rename the host")


def new(config: Config) -> int:
    """Return the clone flags of the namespaces to be made."""
    flags = 0
    for namespace in config.linux.namespaces:
        # Offsets are set before anybody is in a time namespace, so it is not made by clone then.
        # The root of a cgroup namespace is its maker's cgroup: the process is not in its own yet.
        later = namespace.type == "cgroup" or (
            namespace.type == "time" and config.linux.time_offsets
        )
        if namespace.path is None and not later:
            flags |= FLAGS[namespace.type]
    return flags


def has(config: Config, kind: str) -> bool:
    """Whether the container has a namespace of this type that is not the runtime's."""
    return any(namespace.type == kind for namespace in config.linux.namespaces)


def shares_mounts(config: Config) -> bool:
    """Whether the container's mount namespace is the runtime's: inherited, or given by its path."""
    path = next((each.path for each in config.linux.namespaces if each.type == "mount"), None)
    if path is None:
        return not has(config, "mount")
    try:
        return host.identity(path) == host.identity("/proc/self/ns/mnt")
    except OSError:
        return False  # opening it says what is wrong


def has_new(config: Config, kind: str) -> bool:
    """Whether the container gets a new namespace of this type."""
    return any(each.type == kind and each.path is None for each in config.linux.namespaces)


def joins(config: Config) -> bool:
    """Whether the container process enters a namespace that exists."""
    return any(each.path is not None for each in config.linux.namespaces)


def compile(config: Config) -> Iterator[Op]:  # noqa: A001 - the compiler's verb
    """Yield what is opened and entered, and what is set up in new namespaces."""
    yield from _joins(config)
    if has_new(config, "user"):
        yield from id_mappings.compile(config)
    if has_new(config, "time"):
        yield from time_offsets.compile(config)
    if has(config, "user"):
        yield id_mappings.become(config, new=has_new(config, "user"))
    if has_new(config, "cgroup"):
        says = "see the cgroup tree from the container's own cgroups down"
        yield Op(Kind.CGROUP_NAMESPACE, Stage.MOUNT, says, "/linux/namespaces")
    if has_new(config, "network"):
        yield Op(Kind.LOOPBACK, Stage.MOUNT, "bring the loopback interface up")


def _joins(config: Config) -> Iterator[Op]:
    joined = [
        (number, namespace)
        for number, namespace in enumerate(config.linux.namespaces)
        if namespace.path is not None
    ]
    for number, namespace in joined:
        yield Op(
            Kind.OPEN_NAMESPACE,
            Stage.JOIN,
            f"open {namespace.path}, which has to be a {namespace.type} namespace",
            f"/linux/namespaces/{number}/path",
            flags=FLAGS[namespace.type],
            path=namespace.path or "",
        )
    users = [each for each in joined if each[1].type == "user"]
    others = [each for each in joined if each[1].type != "user"]
    # Entering one takes power over the user namespace that owns it, and our own power ends with
    # entering a user namespace: so first what can be, and once we are in there, the rest.
    for number, namespace in others:
        yield _enter(number, namespace, flag=TRY if users else 0)
    for number, namespace in users:
        yield _enter(number, namespace)
    if users:
        for number, namespace in others:
            yield _enter(number, namespace, says=" if it was not yet allowed")


def _enter(number: int, namespace: Namespace, *, flag: int = 0, says: str = "") -> Op:
    return Op(
        Kind.SETNS,
        Stage.JOIN,
        f"enter the {namespace.type} namespace" + (" if allowed now" if flag else says),
        f"/linux/namespaces/{number}/path",
        flags=FLAGS[namespace.type],
        numbers=(flag,),
    )
