"""
usage: seatrial-oci spec [--bundle DIR] [--rootless]

Write a config.json to begin with into a bundle.

  -b, --bundle DIR   the bundle (default: the working directory)
  --rootless         for a caller without privileges
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from seatrial.oci.errors import OCIError

if TYPE_CHECKING:
    from seatrial.oci.command import Call

OPTIONS = {"bundle": True, "rootless": False}
SHORT = {"b": "bundle"}
_KEPT = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]


def run(call: Call) -> None:
    """Write it."""
    path = os.path.join(call.value("bundle") or ".", "config.json")
    try:
        with open(path, "x", encoding="utf-8") as file:
            json.dump(example(rootless=call.flag("rootless")), file, indent="\t")
            file.write("\n")
    except FileExistsError:
        raise OCIError(f"{path} exists already; remove it first") from None


def example(*, rootless: bool = False) -> dict[str, Any]:
    """Return a config for a shell in a root filesystem called rootfs."""
    namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"]
    mounts = [
        _mount("/proc", "proc", "proc"),
        _mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount(
            "/dev/pts",
            "devpts",
            "devpts",
            *("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"),
            *(() if rootless else ("gid=5",)),
        ),
        _mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),  # noqa: S108 - a place to mount
        _mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
    ]
    linux: dict[str, Any] = {
        "namespaces": [{"type": kind} for kind in namespaces],
        "maskedPaths": [
            "/proc/acpi",
            "/proc/asound",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/timer_list",
            "/proc/sched_debug",
            "/proc/scsi",
            "/sys/firmware",
        ],
        "readonlyPaths": [
            "/proc/bus",
            "/proc/fs",
            "/proc/irq",
            "/proc/sys",
            "/proc/sysrq-trigger",
        ],
    }
    if rootless:
        linux["namespaces"] = [
            each for each in linux["namespaces"] if each["type"] != "network"
        ] + [{"type": "user"}]
        linux["uidMappings"] = [{"containerID": 0, "hostID": os.geteuid(), "size": 1}]
        linux["gidMappings"] = [{"containerID": 0, "hostID": os.getegid(), "size": 1}]
        mounts.append(
            {
                "destination": "/sys",
                "type": "none",
                "source": "/sys",
                "options": ["rbind", "nosuid", "noexec", "nodev", "ro"],
            }
        )
        mounts.append(
            _mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "ro")
        )
    else:
        mounts.append(_mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"))
        linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    return {
        "ociVersion": "1.3.0",
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "TERM=xterm",
            ],
            "cwd": "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), _KEPT),
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "seatrial",
        "mounts": mounts,
        "linux": linux,
    }


def _mount(destination: str, kind: str, source: str, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = {"destination": destination, "type": kind, "source": source}
    return {**found, "options": list(options)} if options else found
