"""The default filesystems, where the config has none of its own (config-linux.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.oci import mounts
from seatrial.oci.mount_options import NODEV, NOEXEC, NOSUID, RDONLY, place
from seatrial.oci.operations import Kind, Op, Stage
from seatrial.oci.plan import strings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Config

_CAREFUL = NOSUID | NODEV | NOEXEC
#: Nobody asked for these in so many words, so nothing of the host's can be written through them.
#: Path, type, attributes of the mount, options of the filesystem.
DEFAULTS = (
    ("/proc", "proc", _CAREFUL | RDONLY, ()),
    ("/sys", "sysfs", _CAREFUL | RDONLY, ()),
    ("/dev/pts", "devpts", NOSUID | NOEXEC, ("newinstance", "ptmxmode=0666", "mode=0620")),
    ("/dev/shm", "tmpfs", _CAREFUL, ("mode=1777", "size=65536k")),  # noqa: S108 - a place to mount
)


def compile(config: Config) -> Iterator[Op]:  # noqa: A001 - the compiler's verb
    """Yield those that are not configured, each as far as the kernel lets the container have it.

    "SHOULD be made available in each container's filesystem" does not ask for a config that lists
    them. One that is not allowed (a sysfs without a network namespace of one's own) is left out.
    """
    for path, kind, attributes, options in DEFAULTS:
        if _is_covered(config, path):
            continue
        yield Op(
            Kind.MOUNT,
            Stage.MOUNT,
            f"mount {kind} at {path}, if that is possible",
            path=path,
            text=kind,
            extra=kind,
            flags=mounts.OPTIONAL,
            blob=strings([*options, *mounts.label(config, kind, [])]),
            numbers=(attributes, 0),
        )


def _is_covered(config: Config, path: str) -> bool:
    """Whether a mount of the config is at the path, below it, or above with its own content."""
    for mount in config.mounts:
        target = place(mount)
        if target == path or target.startswith(path + "/"):
            return True
        brings = mount.type not in {"tmpfs", "ramfs"} or "tmpcopyup" in mount.options
        if brings and path.startswith(target.rstrip("/") + "/"):
            return True
    return False
