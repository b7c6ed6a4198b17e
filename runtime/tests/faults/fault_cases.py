"""The containers that faults meet: between them they have every operation that this host can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from fault_places import Place

MAPPING = [{"containerID": 0, "hostID": 100000, "size": 65536}]
SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")
LEAST = ("create", "run")
ALL = ("create", "run", "start", "exec", "kill", "delete", "delete --force")
#: Runs a command where /sys/fs/cgroup is cgroup2, as on a pure v2 host.
V2_VIEW = (
    "unshare", "--mount", "--propagation", "private", "sh", "-c",
    'umount -l /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"', "sh",
)  # fmt: skip
#: Runs a command where there are no cgroups.
NO_CGROUPS = (
    "unshare", "--mount", "--propagation", "private", "sh", "-c",
    'umount -l /sys/fs/cgroup && exec "$@"', "sh",
)  # fmt: skip
PROC = {"destination": "/proc", "type": "proc", "source": "proc"}


class Case(NamedTuple):
    """A container: its name, what is done with it, what its host looks like."""

    name: str
    verbs: tuple[str, ...]
    view: tuple[str, ...] = ()


CASES = (
    Case("plain", ALL),
    Case("whole", ALL),
    Case("user", LEAST),
    Case("joined", LEAST),
    Case("terminal", ("create", "run", "exec")),
    Case("no mount namespace", ("create", "run", "exec", "delete --force")),
    Case("device", LEAST),
    Case("notify", ("run", "start")),
    Case("v2", ("create", "run", "exec", "delete"), V2_VIEW),
    Case("no cgroups", ("create",), NO_CGROUPS),
)


def document(case: str, place: Place) -> dict[str, Any]:
    """Return the config of a case."""
    kinds = ["mount", "pid", "ipc", "uts", "network"]
    process: dict[str, Any] = {"cwd": "/", "args": ["/program", *place.arguments]}
    linux: dict[str, Any] = {"cgroupsPath": f"{place.cgroup}/container"}
    found: dict[str, Any] = {
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs"},
        "process": process,
        "mounts": [PROC],
        "linux": linux,
    }
    change = {
        "whole": _whole, "user": _user, "joined": _joined, "terminal": _terminal,
        "no mount namespace": _shared, "device": _device, "notify": _notify, "v2": _v2,
        "no cgroups": _no_cgroups,
    }.get(case)  # fmt: skip
    if change is not None:
        kinds = change(place, found, process, linux) or kinds
    linux.setdefault("namespaces", []).extend({"type": each} for each in kinds)
    return found


Members = dict[str, Any]


def _whole(place: Place, found: Members, process: Members, linux: Members) -> list[str] | None:
    hook = {"path": "/usr/bin/true", "args": ["true"], "env": ["A=b"], "timeout": 60}
    cpu = str(place.cpu)
    process |= {
        "user": {"uid": 7, "gid": 8, "umask": 0o27, "additionalGids": [9, 10]},
        "capabilities": {each: ["CAP_KILL", "CAP_CHOWN"] for each in SETS},
        "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
        "oomScoreAdj": 100,
        "noNewPrivileges": True,
        "args": ["program", *place.arguments],
        "env": ["PATH=/nowhere::/", "B="],
        "scheduler": {"policy": "SCHED_BATCH", "nice": 3},
        "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 3},
        "execCPUAffinity": {"initial": cpu, "final": cpu},
    }
    linux |= {
        "seccomp": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}],
        },
        "personality": {"domain": "LINUX"},
        "memoryPolicy": {"mode": "MPOL_DEFAULT"},
        "sysctl": {"net.ipv4.ip_forward": "1"},
        "resources": {"pids": {"limit": 100}, "cpu": {"shares": 512},
                      "devices": [{"allow": False, "access": "rwm"}]},
        "devices": [{"path": "/dev/own", "type": "c", "major": 1, "minor": 3, "uid": 7}],
        "maskedPaths": ["/proc/kcore", "/proc/scsi", "/masked"],
        "readonlyPaths": ["/proc/sys", "/proc/bus"],
        "rootfsPropagation": "rslave",
    }  # fmt: skip
    inside = {"path": "/program", "args": ["true", "hook"]}
    found |= {
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "host",
        "domainname": "domain",
        "hooks": {
            "prestart": [hook], "createRuntime": [hook], "createContainer": [hook],
            "startContainer": [inside], "poststart": [hook], "poststop": [hook],
        },
        "mounts": [
            PROC,
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts"},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue"},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"},
            {"destination": "/made/deep", "type": "tmpfs", "source": "tmpfs",
             "options": ["rslave", "tmpcopyup"]},
            {"destination": "/bound", "source": str(place.data), "type": "none",
             "options": ["rbind", "ro", "noexec", "rprivate"]},
            {"destination": "/bound", "type": "none", "source": "none",
             "options": ["remount", "bind", "ro"]},
        ],
    }  # fmt: skip
    return ["mount", "pid", "ipc", "uts", "network", "cgroup"]


def _user(place: Place, found: Members, process: Members, linux: Members) -> list[str] | None:
    process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 50, "hard": 60}]
    linux |= {
        "uidMappings": MAPPING,
        "gidMappings": MAPPING,
        "timeOffsets": {"monotonic": {"secs": 7}},
    }
    found["mounts"] = [
        PROC,
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
        {"destination": "/bound", "source": str(place.data), "type": "none", "options": ["bind"],
         "uidMappings": MAPPING, "gidMappings": MAPPING},
    ]  # fmt: skip
    return ["mount", "pid", "ipc", "uts", "network", "user", "time"]


def _joined(place: Place, found: Members, process: Members, linux: Members) -> list[str] | None:
    del found, process
    linux["namespaces"] = [
        {"type": kind, "path": f"/proc/{place.holder()}/ns/{file}"}
        for kind, file in (("network", "net"), ("ipc", "ipc"))
    ]
    return ["mount", "pid", "uts"]


def _terminal(place: Place, found: Members, process: Members, linux: Members) -> list[str] | None:
    del place, linux
    process["terminal"] = True
    found["mounts"] = [
        PROC,
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["newinstance", "ptmxmode=0666"]},
    ]  # fmt: skip
    return None


def _shared(place: Place, found: Members, process: Members, linux: Members) -> list[str] | None:
    del place, found, process, linux
    return ["pid", "ipc", "uts", "network"]


def _device(place: Place, found: Members, process: Members, linux: Members) -> list[str] | None:
    del place, found, process
    linux["netDevices"] = {"moved0": {"name": "in0"}}
    return None


def _notify(place: Place, found: Members, process: Members, linux: Members) -> list[str] | None:
    del found, process
    linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": str(place.agent),
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}],
    }
    return None


def _v2(place: Place, found: Members, process: Members, linux: Members) -> list[str] | None:
    del place, process
    linux |= {
        "uidMappings": MAPPING,
        "gidMappings": MAPPING,
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
    }
    found["mounts"] = [
        PROC,
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"},
    ]
    return ["mount", "pid", "ipc", "uts", "network", "user", "cgroup"]


def _no_cgroups(place: Place, found: Members, process: Members, linux: Members) -> list[str] | None:
    del place, found, process
    linux.clear()
    return ["mount"]
