"""Masked and read-only paths, and kernel parameters (config-linux.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.oci import mounts, namespaces
from seatrial.oci.errors import ConfigError
from seatrial.oci.operations import Kind, Op, Stage
from seatrial.oci.plan import strings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Config

#: Which namespace a kernel parameter belongs to; any other would be the host's.
_IPC = (
    "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem", "kernel/shmall",
    "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced", "fs/mqueue/",
)  # fmt: skip


def compile(config: Config) -> Iterator[Op]:  # noqa: A001 - the compiler's verb
    """Yield the paths in the config's order: read-only ones first, so that a mask stays on top."""
    for number, path in enumerate(config.linux.readonly_paths):
        pointer = f"/linux/readonlyPaths/{number}"
        yield Op(Kind.READONLY, Stage.ENTER, f"make {path} read-only", pointer, path=path)
    empty = strings(["size=0", "nr_inodes=2", *mounts.label(config, "tmpfs", [])])
    for number, path in enumerate(config.linux.masked_paths):
        yield Op(
            Kind.MASK,
            Stage.ENTER,
            f"mask {path}",
            f"/linux/maskedPaths/{number}",
            path=path,
            blob=empty,
        )


def sysctl(config: Config) -> Iterator[Op]:
    """Yield the kernel parameters, each only in a namespace of the container's own."""
    for key, value in config.linux.sysctl.items():
        pointer = "/linux/sysctl/" + key.replace("~", "~0").replace("/", "~1")
        file = key if "/" in key else key.replace(".", "/")
        if ".." in file.split("/"):
            raise ConfigError(pointer, f"{key} is no kernel parameter")
        wanted = _namespace(file)
        if wanted is None or not namespaces.has(config, wanted):
            which = f"the {wanted} namespace" if wanted else "no namespace"
            raise ConfigError(pointer, f"{key} belongs to {which}: it would change the host's")
        yield Op(
            Kind.SYSCTL,
            Stage.ENTER,
            f"set {key} to {value}",
            pointer,
            path=f"sys/{file}",
            text=value,
        )


def _namespace(file: str) -> str | None:
    if file.startswith("net/"):
        return "network"
    if file in {"kernel/hostname", "kernel/domainname"}:
        return "uts"
    if file.startswith(_IPC):
        return "ipc"
    return None
