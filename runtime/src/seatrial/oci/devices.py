"""Devices, configured and default, and links in /dev (config-linux.md, runtime-linux.md)."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

import msgspec

from seatrial.oci import host, namespaces
from seatrial.oci.errors import ConfigError
from seatrial.oci.mount_options import place
from seatrial.oci.operations import Kind, Op, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Config, Device, IDMapping

TYPES = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}
#: config-linux.md, "Default Devices": name, major, minor.
DEFAULTS = (
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
)
#: runtime-linux.md, "Dev symbolic links".
LINKS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
}
# Flags of operations (runtime/csrc/devices.c).
BOUND, PRESENT, DEFAULT = 1, 2, 4
MAKE, ATTACH, LEAVE = 0, 1, 2
IN_PLACE = 1
#: What the kernel's dev_t has room for.
_MAJORS, _MINORS = 1 << 12, 1 << 20


class Node(msgspec.Struct, frozen=True):
    """A device as it is to be in the container."""

    path: str
    kind: str
    device: int
    mode: int
    uid: int
    gid: int
    pointer: str = ""

    def says(self) -> str:
        """Return type, numbers and mode for people."""
        numbers = "" if self.kind == "p" else f" {os.major(self.device)}:{os.minor(self.device)}"
        return f"{self.path} ({self.kind}{numbers}, mode {self.mode:o})"

    def numbers(self, uid: int, gid: int) -> tuple[int, ...]:
        """Return what mknod(2) and chown(2) want to know."""
        return (TYPES[self.kind] | self.mode, self.device, uid, gid)


def compile(config: Config) -> Iterator[Op]:  # noqa: A001 - the compiler's verb
    """Yield the nodes and links; raises ``ConfigError`` for numbers that no device has."""
    configured = [_node(f"/linux/devices/{n}", d) for n, d in enumerate(config.linux.devices)]
    if has_bound_dev(config):
        # It is somebody else's folder, most often the host's: nothing is made there.
        there = [node for node in configured if node.path.startswith("/dev/")]
        yield from _devices(config, [node for node in configured if node not in there])
        for node in there:
            says = f"find device {node.says()} in the /dev that is bound"
            yield _op(node, says, PRESENT)
        return
    paths = {node.path for node in configured}
    defaults = [
        Node(f"/dev/{name}", "c", os.makedev(major, minor), 0o666, 0, 0)
        for name, major, minor in DEFAULTS
        if f"/dev/{name}" not in paths
    ]
    yield from _devices(config, defaults + configured)
    for path, target in LINKS.items():
        yield Op(Kind.SYMLINK, Stage.MOUNT, f"link {path} to {target}", path=path, text=target)
    # The container's own pseudoterminals, if it has any (config-linux.md, "Default Devices").
    if "/dev/ptmx" not in paths:
        yield Op(
            Kind.SYMLINK,
            Stage.MOUNT,
            "link /dev/ptmx to pts/ptmx",
            path="/dev/ptmx",
            text="pts/ptmx",
            flags=IN_PLACE,
        )


def console() -> Op:
    """Return what puts the container's terminal at /dev/console."""
    return Op(
        Kind.CONSOLE_MOUNT,
        Stage.ENTER,
        "bind the terminal at /dev/console",
        "/process/terminal",
        path="/dev/console",
    )


def has_bound_dev(config: Config) -> bool:
    """Whether /dev is a bind mount."""
    return any(
        place(mount) == "/dev"
        and not {"bind", "rbind"}.isdisjoint(mount.options)
        and "remount" not in mount.options
        for mount in config.mounts
    )


def _node(pointer: str, device: Device) -> Node:
    limits = (("major", device.major, _MAJORS), ("minor", device.minor, _MINORS))
    for name, value, limit in limits if device.type != "p" else ():
        if not 0 <= value < limit:
            raise ConfigError(f"{pointer}/{name}", f"no device has the number {value}")
    mode = 0o666 if device.file_mode is None else device.file_mode
    # podman copies a device's whole st_mode, its type included (inode(7)).
    if stat.S_IFMT(mode) not in {0, TYPES[device.type]}:
        raise ConfigError(f"{pointer}/fileMode", f"{mode:#o} is of another type than {device.type}")
    return Node(
        os.path.normpath("/" + device.path.lstrip("/")),
        device.type,
        os.makedev(device.major, device.minor) if device.type != "p" else 0,
        stat.S_IMODE(mode),
        device.uid or 0,
        device.gid or 0,
        pointer,
    )


def _devices(config: Config, nodes: list[Node]) -> Iterator[Op]:
    if not namespaces.has(config, "user"):
        for node in nodes:
            yield _op(node, f"make device {node.says()}", 0)
        return
    # mknod(2) makes no devices in a user namespace, so the runtime makes them outside, and each
    # is bound. Its owner has to be known as an id of the host then.
    uids, gids = _mappings(config)
    yield from _store(MAKE, Stage.BEFORE, "make a filesystem for the nodes of devices")
    yield from _store(ATTACH, Stage.MOUNT, "mount it where only this process sees it")
    for number, node in enumerate(nodes):
        if node.kind == "p":
            yield _op(node, f"make fifo {node.says()}", 0)
            continue
        name = str(number)
        uid = _on_host(node, "uid", node.uid, uids)
        gid = _on_host(node, "gid", node.gid, gids)
        yield Op(
            Kind.NODE,
            Stage.BEFORE,
            f"make device {node.says()}, to be bound",
            node.pointer,
            text=name,
            numbers=node.numbers(uid, gid),
        )
        yield _op(node, f"bind device {node.says()}", BOUND, text=name, extra=_of_host(node))
    yield from _store(LEAVE, Stage.MOUNT, "unmount it again")


def _store(what: int, stage: Stage, says: str) -> Iterator[Op]:
    yield Op(Kind.NODE_STORE, stage, says, "/linux/namespaces", flags=what)


def _op(node: Node, says: str, flags: int, *, text: str = "", extra: str = "") -> Op:
    return Op(
        Kind.DEVICE,
        Stage.MOUNT,
        says,
        node.pointer,
        path=node.path,
        flags=flags | (0 if node.pointer else DEFAULT),
        numbers=node.numbers(node.uid, node.gid),
        text=text,
        extra=extra,
    )


def _of_host(node: Node) -> str:
    """Return the host's own node, which is bound where the runtime has no right to make one."""
    kind = "block" if node.kind == "b" else "char"
    name = node.path
    try:
        numbers = f"{os.major(node.device)}:{os.minor(node.device)}"
        for line in host.lines(f"/sys/dev/{kind}/{numbers}/uevent"):
            if line.startswith("DEVNAME="):
                name = "/dev/" + line.removeprefix("DEVNAME=").strip()
    except OSError:
        pass
    for path in (node.path, name):
        try:
            found = host.device_at(path)
        except OSError:
            continue
        if found == (TYPES[node.kind], node.device):
            return path
    return ""


def _mappings(config: Config) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    path = next(each.path for each in config.linux.namespaces if each.type == "user")
    if path is None:
        return _rows(config.linux.uid_mappings), _rows(config.linux.gid_mappings)
    process = re.fullmatch(r"(/proc/[^/]+)/ns/user", path)
    if process is None:
        return [], []
    return _read(f"{process[1]}/uid_map"), _read(f"{process[1]}/gid_map")


def _rows(mappings: list[IDMapping]) -> list[tuple[int, int, int]]:
    return [(each.container_id, each.host_id, each.size) for each in mappings]


def _read(path: str) -> list[tuple[int, int, int]]:
    try:
        rows = [line.split() for line in host.lines(path)]
    except OSError:
        return []  # opening the namespace says what is wrong
    return [(int(inside), int(outside), int(size)) for inside, outside, size in rows]


def _on_host(node: Node, name: str, value: int, mappings: list[tuple[int, int, int]]) -> int:
    for inside, outside, size in mappings:
        if inside <= value < inside + size:
            return outside + value - inside
    if value and mappings:
        raise ConfigError(f"{node.pointer}/{name}", f"{value} is not mapped in the user namespace")
    return 0
