"""The config.json of each case: one ordinary container, and what is added to it."""

from __future__ import annotations

import copy
from typing import Any

from seatrial.perf.stopwatch import UNPRIVILEGED

Config = dict[str, Any]

PAYLOAD = "/payload"
#: In the root filesystem: the folders that mounts of a case go to.
EXTRA = "/mounts"
#: The first host user and group of a user namespace, and how many follow.
MAPPED, MAPPED_COUNT = 100_000, 65_536

_CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
_PLAIN: Config = {
    "ociVersion": "1.0.2",
    "hostname": "bench",
    "root": {"path": "rootfs", "readonly": True},
    "process": {
        "user": {"uid": 0, "gid": 0},
        "args": [],
        "env": ["PATH=/"],
        "cwd": "/",
        "capabilities": {
            "bounding": _CAPABILITIES,
            "effective": _CAPABILITIES,
            "permitted": _CAPABILITIES,
        },
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 1024}],
        "noNewPrivileges": True,
    },
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
        },
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        },
        {
            "destination": "/dev/shm",  # noqa: S108 - in the container
            "type": "tmpfs",
            "source": "shm",
            "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
        },
        {
            "destination": "/dev/mqueue",
            "type": "mqueue",
            "source": "mqueue",
            "options": ["nosuid", "noexec", "nodev"],
        },
        {
            "destination": "/sys",
            "type": "sysfs",
            "source": "sysfs",
            "options": ["nosuid", "noexec", "nodev", "ro"],
        },
    ],
    "linux": {
        "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "cgroup")],
        "maskedPaths": [
            "/proc/acpi",
            "/proc/asound",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/proc/sched_debug",
            "/sys/firmware",
            "/proc/scsi",
        ],
        "readonlyPaths": [
            "/proc/bus",
            "/proc/fs",
            "/proc/irq",
            "/proc/sys",
            "/proc/sysrq-trigger",
        ],
    },
}


def plain() -> Config:
    """Return the ordinary container: what `runc spec` writes, without a network of its own."""
    return copy.deepcopy(_PLAIN)


def with_network() -> Config:
    """Return it with a network namespace."""
    config = plain()
    config["linux"]["namespaces"].append({"type": "network"})
    return config


def with_user_namespace() -> Config:
    """Return it with a user namespace, and the network namespace that sysfs wants there."""
    config = with_network()
    linux = config["linux"]
    linux["namespaces"].append({"type": "user"})
    mapping = [{"containerID": 0, "hostID": MAPPED, "size": MAPPED_COUNT}]
    linux["uidMappings"] = linux["gidMappings"] = mapping
    return config


def rootless() -> Config:
    """Return it as a user without privileges can have it: mapped to root, without cgroups."""
    config = with_user_namespace()
    linux = config["linux"]
    mapping = [{"containerID": 0, "hostID": UNPRIVILEGED, "size": 1}]
    linux["uidMappings"] = linux["gidMappings"] = mapping
    return config


def with_mounts(count: int) -> Config:
    """Return it with so many bind mounts more."""
    config = plain()
    config["mounts"] += [
        {
            "destination": f"{EXTRA}/{number}",
            "type": "none",
            "source": "extra",  # a folder of the bundle, which the spec takes it relative to
            "options": ["rbind"],
        }
        for number in range(count)
    ]
    return config


def with_filter(names: list[str], architectures: list[str]) -> Config:
    """Return it with a seccomp filter that allows the system calls named."""
    config = plain()
    config["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": architectures,
        "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}],
    }
    return config


def finished(config: Config, *, arguments: list[str], cgroup: str | None) -> Config:
    """Return a copy for one contender: the payload's arguments and its cgroup, if it has one."""
    config = copy.deepcopy(config)
    config["process"]["args"] = [PAYLOAD, *arguments]
    if cgroup is not None:
        config["linux"]["cgroupsPath"] = cgroup
    return config
