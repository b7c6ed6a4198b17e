"""The root filesystem and its propagation (config.md, "Root"; config-linux.md)."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from seatrial.oci import host, namespaces
from seatrial.oci.errors import ConfigError, reason
from seatrial.oci.mount_options import PROPAGATIONS, RDONLY, place
from seatrial.oci.operations import Kind, Op, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Config


def path(config: Config, bundle: str) -> str:
    """Return the absolute path of the root filesystem; raises ``ConfigError`` if there is none."""
    if config.root is None:
        raise ConfigError("/root", "is missing")
    found = os.path.normpath(os.path.join(bundle, config.root.path))
    try:
        kind = host.type_of(found)
    except (OSError, ValueError) as error:
        what = reason(error.errno) if isinstance(error, OSError) else str(error)
        host.refuse("/root/path", f"{found}: {what}")
        return found
    if not stat.S_ISDIR(kind):
        host.refuse("/root/path", f"{found} is not a directory")
    return found


def compile(config: Config, bundle: str, place: str) -> Iterator[Op]:  # noqa: A001 - the verb
    """Yield what makes the root a mount of its own.

    In a mount namespace of the container's it is at its own path.  In the runtime's it is at
    ``place``, where nobody else mounts anything, so that delete can unmount what is there.
    """
    wanted = config.linux.rootfs_propagation
    if wanted and wanted not in PROPAGATIONS:
        raise ConfigError("/linux/rootfsPropagation", f"unknown propagation {wanted!r}")
    root = path(config, bundle)
    kind = "slave" if wanted.removeprefix("r") == "slave" else "private"
    yield Op(
        Kind.ROOT_TREE,
        Stage.BEFORE,
        f"open {root}, as a {kind} mount of its own",
        "/root/path",
        path=root,
        numbers=(PROPAGATIONS[kind],),
    )
    shared = namespaces.shares_mounts(config)
    if shared:
        yield Op(
            Kind.MAKE_DIRECTORIES,
            Stage.BEFORE,
            f"make {place}, as the mount namespace is the runtime's",
            path=place,
            numbers=(0o700,),
        )
    else:
        yield Op(
            Kind.PROPAGATION,
            Stage.MOUNT,
            "let no mount made here reach the host (rslave on /)",
            numbers=(PROPAGATIONS["slave"],),
        )
    yield Op(
        Kind.ROOT,
        Stage.MOUNT,
        f"mount it at {place if shared else root}",
        "/root/path",
        path=place if shared else root,
        numbers=(PROPAGATIONS[kind],),
    )
    if wanted == "rshared":
        # pivot_root(2) takes no shared mount, so the root itself gets it afterwards.
        yield _propagation("what is mounted in the root already", "rshared", Stage.MOUNT)
        yield _propagation("the root", "private", Stage.MOUNT)


def enter(config: Config) -> Iterator[Op]:
    """Yield what makes it the root of the container."""
    if namespaces.shares_mounts(config):
        yield Op(Kind.CHROOT, Stage.ENTER, "chroot: the bundle's root becomes /", "/root/path")
    else:
        yield Op(Kind.PIVOT, Stage.ENTER, "pivot_root: the bundle's root becomes /", "/root/path")
    wanted = config.linux.rootfs_propagation
    if wanted == "runbindable":
        yield _propagation("the root and all mounts in it", wanted, Stage.ENTER)
    elif wanted:
        yield _propagation("the root", wanted.removeprefix("r"), Stage.ENTER)


def _propagation(what: str, name: str, stage: Stage) -> Op:
    return Op(
        Kind.MOUNT_PROPAGATION,
        stage,
        f"make {what} {name}",
        "/linux/rootfsPropagation",
        path="/",
        flags=int(name.startswith("r")),
        numbers=(PROPAGATIONS[name],),
    )


def remove(config: Config, place: str) -> Iterator[Op]:
    """Yield what unmounts all that create mounted where the runtime's mounts are."""
    if namespaces.shares_mounts(config):
        says = f"unmount all that is in {place}"
        yield Op(Kind.UNMOUNT, Stage.DELETED, says, "/root/path", path=place)


def close(config: Config, bundle: str) -> Iterator[Op]:
    """Yield what is done to the root once all else is in place."""
    if config.root is None or not config.root.readonly:
        return
    yield Op(Kind.ROOT_READONLY, Stage.ENTER, "make the root read-only", "/root/readonly")
    for below in _mounts_below(path(config, bundle)):
        if not _is_covered(config, below):
            yield Op(
                Kind.MOUNT_ATTRIBUTES,
                Stage.ENTER,
                f"make {below} read-only, which is part of the root",
                "/root/readonly",
                path=below,
                numbers=(RDONLY, 0),
            )


def _mounts_below(root: str) -> list[str]:
    """Return the host's mounts inside of the root, as paths from there."""
    try:
        root = host.real(root).rstrip("/")
    except (FileNotFoundError, NotADirectoryError):
        return []  # this host has none, as it was told where the root's path was looked at
    targets = map(host.target_of, host.mounts(root or "/"))
    return list(dict.fromkeys(name[len(root) :] for name in targets if name.startswith(root + "/")))


def _is_covered(config: Config, below: str) -> bool:
    """Whether a mount of the config is there or above, so that it is not the root's any more."""
    for mount in config.mounts:
        target = place(mount)
        if below == target or below.startswith(target.rstrip("/") + "/"):
            return True
    return False
