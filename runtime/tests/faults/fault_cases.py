"""The containers that faults meet: between them they have every operation that this host can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from fault_places import Place

MAPPING = [{"containerID": 0, "hostID": 100000, "size": 65536}]
SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")
LEAST = ("create", "run")
#: What the launcher does from what create wrote down, without Python, in each half.
LAUNCHED = ("start", "state", "kill", "delete", "delete --force")
#: What makes /sys/fs/cgroup that of a pure v2 host, or of one without cgroups.
V2_VIEW = "umount -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup"
NO_CGROUPS = "umount -l /sys/fs/cgroup"
PROC = {"destination": "/proc", "type": "proc", "source": "proc"}


class Case(NamedTuple):
    """A container: what its config is, what is done with it, what its host looks like.

    ``plans`` says how its plan comes to be: "compiled" by Python, which starts for it; "kept"
    before, so that the launcher needs no Python; or "keeping", which compiles it and keeps it.
    """

    config: str
    verbs: tuple[str, ...]
    view: str = ""
    plans: str = "compiled"

    @property
    def name(self) -> str:
        """What it is called, and nothing else is."""
        return self.config if self.plans == "compiled" else f"{self.config}, {self.plans}"


#: The launcher alone, from kept plans: most of the faults, as each takes milliseconds.
WARM = (
    Case("plain", (*LEAST, *LAUNCHED), plans="kept"),
    Case("whole", (*LEAST, *LAUNCHED), plans="kept"),
    Case("user", LEAST, plans="kept"),
    Case("joined", LEAST, plans="kept"),
    Case("no mount namespace", (*LEAST, "delete --force"), plans="kept"),
    Case("device", LEAST, plans="kept"),
    Case("v2", (*LEAST, "delete"), V2_VIEW, plans="kept"),
    Case("no cgroups", ("create",), NO_CGROUPS, plans="kept"),
)
#: Python, and what only Python does.
COLD = (
    Case("plain", (*LEAST, "exec")),
    Case("plain", ("create",), plans="keeping"),
    Case("whole", (*LEAST, "exec")),
    Case("user", LEAST),
    Case("joined", LEAST),
    Case("terminal", (*LEAST, "exec")),
    Case("no mount namespace", (*LEAST, "exec")),
    Case("device", LEAST),
    Case("notify", ("run", "start")),
    Case("v2", (*LEAST, "exec"), V2_VIEW),
    Case("no cgroups", ("create",), NO_CGROUPS),
)
CASES = (*WARM, *COLD)
#: Kinds of operations that these containers do not have, and why none on this machine has.
NOT_HERE = {
    "ATTACH_TASK": "resctrl wants a processor with RDT or the like, and cannot be mounted here",
    "ATTRIBUTE": "neither AppArmor nor SELinux is enabled in this kernel",
    "SYSTEMD": "systemd is not running here; against a bus of its own test_systemd.py tries it",
}


def document(config: str, place: Place) -> dict[str, Any]:
    """Return a config by its name."""
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
    }.get(config)  # fmt: skip
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
            # Made read-only only after what is in it.
            {"destination": "/read-only", "type": "tmpfs", "source": "tmpfs", "options": ["ro"]},
            {"destination": "/read-only/below", "type": "tmpfs", "source": "tmpfs"},
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
        {"type": kind, "path": f"/proc/{place.holder('--net', '--ipc')}/ns/{file}"}
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
