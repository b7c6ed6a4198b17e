"""The machine that a run was on, and how much of it others used meanwhile."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.perf import cgroups

_TICKS = os.sysconf("SC_CLK_TCK")


def now() -> str:
    """Return the time as results say it: UTC, seconds, RFC 3339."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def _text(path: str) -> str | None:
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="utf-8").strip()
    return None


def _field(path: str, name: str) -> str | None:
    for line in (_text(path) or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _system() -> str | None:
    for line in (_text("/etc/os-release") or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return None


def _affinity() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def frequencies() -> list[float]:
    """Return the processors' frequencies in MHz, as far as the machine tells."""
    lines = (_text("/proc/cpuinfo") or "").splitlines()
    return [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]


def load() -> list[float]:
    """Return the load averages of 1, 5 and 15 minutes."""
    return [round(each, 2) for each in os.getloadavg()]


def describe() -> dict[str, Any]:
    """Return what can be said about the machine; before the view of the cgroups is taken."""
    found = cgroups.hierarchies()
    mounts = (_text("/proc/self/mountinfo") or "").splitlines()
    governor = _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    memory = _field("/proc/meminfo", "MemTotal")
    hypervisor = "hypervisor" in (_field("/proc/cpuinfo", "flags") or "").split()
    return {
        "system": _system(),
        "kernel": platform.release(),
        "kernel_build": platform.version(),
        "machine": platform.machine(),
        "virtual": hypervisor,
        "cpu_model": _field("/proc/cpuinfo", "model name"),
        "cpu_count": os.cpu_count(),
        "affinity": _affinity(),
        "memory_bytes": int(memory.split()[0]) * 1024 if memory else None,
        "governor": governor or "unknown",
        "aslr": _text("/proc/sys/kernel/randomize_va_space"),
        "clock_source": _text("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "huge_pages": _text("/sys/kernel/mm/transparent_hugepage/enabled"),
        "cgroup_mode": cgroups.mode(found),
        "mount_count": len(mounts),
        "boot_id": _text("/proc/sys/kernel/random/boot_id"),
        "python": platform.python_version(),
    }


@dataclass(frozen=True)
class Use:
    """How much processor time was used so far, in seconds: by all, by this run, stolen."""

    at_s: float
    busy_s: float
    own_s: float
    stolen_s: float

    @classmethod
    def read(cls, *own: int) -> Use:
        """Read it; ``own`` are the processes whose use, with that of their children, is ours."""
        words = (_text("/proc/stat") or "cpu 0 0 0 0 0 0 0 0").split("\n", 1)[0].split()[1:9]
        user, nice, system, _, _, hard, soft, steal = (int(word) / _TICKS for word in words)
        used = 0.0
        for pid in own:
            fields = (_text(f"/proc/{pid}/stat") or "").rpartition(")")[2].split()
            used += sum(int(word) for word in fields[11:15]) / _TICKS
        busy = user + nice + system + hard + soft
        return cls(time.monotonic(), busy, used, steal)

    def others(self, since: Use) -> float:
        """Return how many processors others kept busy since then, the hypervisor included."""
        busy = self.busy_s - since.busy_s + self.stolen_s - since.stolen_s
        own = self.own_s - since.own_s
        return max(0.0, busy - own) / max(self.at_s - since.at_s, 1e-9)
