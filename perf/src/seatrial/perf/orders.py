"""The floor's orders for a config: the kernel's work in it, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.perf.cgroups import OwnCgroups
    from seatrial.perf.configs import Config

#: Namespaces of a config and their flags (clone(2)).
NAMESPACES = {
    "pid": 0x20000000,
    "network": 0x40000000,
    "mount": 0x00020000,
    "ipc": 0x08000000,
    "uts": 0x04000000,
    "user": 0x10000000,
    "cgroup": 0x02000000,
}
_FLAGS = {
    "ro": 1,
    "nosuid": 2,
    "nodev": 4,
    "noexec": 8,
    "rbind": 0,
    "bind": 0,
    "strictatime": 1 << 24,
    "newinstance": 0,
}
_CAPABILITIES = {"CAP_KILL": 5, "CAP_NET_BIND_SERVICE": 10, "CAP_AUDIT_WRITE": 29}
_LIMITS = {"RLIMIT_NOFILE": 7}
_NODES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}

Order = tuple[str, ...]


class Orders:
    """The orders of one config, section by section, so that steps can be left out."""

    def __init__(self, config: Config, bundle: Path, cgroups: OwnCgroups, name: str) -> None:
        """Take the config in ``bundle`` and the name of its cgroup below the run's own."""
        self.config = config
        self.bundle = bundle
        self.cgroups = cgroups
        self.name = name
        self.types = {each["type"] for each in config["linux"]["namespaces"]}
        self.has_cgroup = "cgroupsPath" in config["linux"]

    def all(self, filter_file: Path | None = None) -> list[Order]:
        """Return the orders for all of it."""
        return [
            *self.make_cgroups(),
            *self.clone(),
            *([("attach",)] if self.has_cgroup else []),
            *self.enter(),
            *self.root(),
            *self.identity(),
            *self.mounts(),
            *self.devices(),
            *self.paths(),
            *self.pivot(),
            *self.limits(),
            *self.privileges(),
            *([("seccomp", str(filter_file))] if filter_file else []),
            self.execute(),
        ]

    def make_cgroups(self) -> list[Order]:
        """Make the container's cgroup in each hierarchy."""
        orders: list[Order] = []
        for each in self.cgroups.hierarchies if self.has_cgroup else ():
            folder = self.cgroups.folder(each, self.name)
            orders.append(("cgroup", str(folder)))
            if each.version == 1 and "cpuset" in each.controllers:
                for file in ("cpuset.cpus", "cpuset.mems"):
                    text = (folder.parent / file).read_text().strip()
                    orders.append(("write", str(folder / file), text))
        return orders

    def clone(self) -> list[Order]:
        """Make the process, in its namespaces."""
        # A cgroup namespace is rooted where its maker is, which has to be in its cgroup by then.
        flags = sum(NAMESPACES[kind] for kind in self.types - {"cgroup"})
        orders: list[Order] = [("clone", f"{flags:x}")]
        if "user" in self.types:
            orders.append(
                (
                    "maps",
                    *(_map(self.config["linux"][f"{kind}Mappings"]) for kind in ("uid", "gid")),
                )
            )
        return orders

    def enter(self) -> list[Order]:
        """Do what belongs to the namespaces."""
        orders: list[Order] = []
        if "cgroup" in self.types:
            orders.append(("unshare", f"{NAMESPACES['cgroup']:x}"))
        if "network" in self.types:
            orders.append(("loopback",))
        if "uts" in self.types:
            orders.append(("hostname", self.config["hostname"]))
        return orders

    def identity(self) -> list[Order]:
        """Become the user namespace's root, once the way to the root filesystem is behind us."""
        if "user" not in self.types or not self.has_cgroup:
            return []  # the one user that is mapped is root there already
        return [("ids", "0", "0")]

    def root(self) -> list[Order]:
        """Prepare the root filesystem."""
        return [("private",), ("root", str(self.bundle / "rootfs"))]

    def mounts(self) -> list[Order]:
        """Mount what the config lists; their targets are there but for those in /dev."""
        return [order for each in self.config["mounts"] for order in self.mount(each)]

    def mount(self, entry: Any) -> list[Order]:  # noqa: ANN401 - an entry of a config
        """Mount one."""
        target = entry["destination"].lstrip("/")
        options = entry.get("options", [])
        flags = 0
        for option in options:
            flags |= _FLAGS.get(option, 0)
        if {"rbind", "bind"} & {*options}:
            return [("bind", str(self.bundle / entry["source"]), target, f"{flags:x}")]
        data = ",".join(option for option in options if option not in _FLAGS)
        made: list[Order] = [("make", target)] if target.startswith("dev/") else []
        words = ("mount", entry["source"], target, entry["type"], f"{flags:x}")
        return [*made, (*words, data) if data else words]

    def devices(self) -> list[Order]:
        """Make the devices and links that every container has."""
        orders: list[Order] = []
        for name, (major, minor) in _NODES.items():
            if "user" in self.types:  # where mknod(2) is not allowed, the host's are bound
                orders += [("file", f"dev/{name}"), ("bind", f"/dev/{name}", f"dev/{name}", "0")]
            else:
                orders.append(("node", f"dev/{name}", str(major), str(minor)))
        return [*orders, *(("link", to, f"dev/{name}") for name, to in _LINKS.items())]

    def paths(self) -> list[Order]:
        """Hide and protect paths."""
        linux = self.config["linux"]
        return [
            *(("readonly", path.lstrip("/")) for path in linux["readonlyPaths"]),
            *(("mask", path.lstrip("/")) for path in linux["maskedPaths"]),
        ]

    def pivot(self) -> list[Order]:
        """Go to the root filesystem."""
        return [
            ("pivot",),
            *([("remount", "1")] if self.config["root"].get("readonly") else []),
            ("go", self.config["process"]["cwd"]),
        ]

    def limits(self) -> list[Order]:
        """Set the resource limits."""
        return [
            ("limit", str(_LIMITS[each["type"]]), str(each["soft"]), str(each["hard"]))
            for each in self.config["process"]["rlimits"]
        ]

    def privileges(self) -> list[Order]:
        """Give privileges up."""
        process = self.config["process"]
        mask = sum(1 << _CAPABILITIES[name] for name in process["capabilities"]["bounding"])
        return [
            ("capabilities", f"{mask:x}"),
            *([("nothing-new",)] if process.get("noNewPrivileges") else []),
        ]

    def execute(self, program: str = "") -> Order:
        """Execute the payload, or another program with its arguments."""
        own, *arguments = self.config["process"]["args"]
        return ("execute", program or own, *arguments)


def _map(entries: list[dict[str, int]]) -> str:
    return "".join(f"{e['containerID']} {e['hostID']} {e['size']}" for e in entries[:1])


def dump(orders: list[Order]) -> bytes:
    """Return the file that the floor reads."""
    return "".join("\t".join(order) + "\n" for order in orders).encode()
