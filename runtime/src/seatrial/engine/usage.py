"""What a container uses: its cgroups read as ``docker stats`` wants them."""

from __future__ import annotations

import os
import re
from typing import Any

from seatrial.engine import cgroups, clock

_BILLION = 1_000_000_000
_INTERFACE = re.compile(r"^\s*([^\s:]+):(.*)$", re.MULTILINE)
_PAIR, _TRIPLE = 2, 3


def read(cgroup: str, pid: int) -> dict[str, Any]:
    """Return one reading; what this host does not count is zero."""
    memory = cgroups.path("memory", cgroup)
    v1 = "memory" in cgroups.mounts()
    cpu = _cpu(cgroup)
    names = ("usage_in_bytes", "limit_in_bytes") if v1 else ("current", "max")
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "read": clock.now(),
        "pids_stats": {"current": _number(f"{cgroups.path('pids', cgroup)}/pids.current")},
        "blkio_stats": {"io_service_bytes_recursive": _io(cgroup)},
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": {
            "cpu_usage": cpu,
            "system_cpu_usage": _system_ns(),
            "online_cpus": os.cpu_count() or 1,
            "throttling_data": _throttling(cgroup),
        },
        "memory_stats": {
            "usage": _number(f"{memory}/memory.{names[0]}"),
            "stats": _pairs(f"{memory}/memory.stat"),
            "limit": min(_number(f"{memory}/memory.{names[1]}") or total, total),
        },
        "networks": _networks(pid),
    }


def nothing() -> dict[str, Any]:
    """Return the reading of a container that does not run."""
    return {
        "read": clock.NEVER,
        "pids_stats": {},
        "blkio_stats": {},
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": {"cpu_usage": {"total_usage": 0}, "throttling_data": {}},
        "memory_stats": {},
    }


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _number(path: str) -> int:
    text = _read(path).strip()
    return int(text) if text.isdecimal() else 0


def _pairs(path: str) -> dict[str, int]:
    split = (line.split() for line in _read(path).splitlines())
    return {
        words[0]: int(words[1]) for words in split if len(words) == _PAIR and words[1].isdecimal()
    }


def _cpu(cgroup: str) -> dict[str, int]:
    folder = cgroups.path("cpuacct", cgroup)
    if "cpuacct" in cgroups.mounts():
        tick_ns = _BILLION // os.sysconf("SC_CLK_TCK")
        used = _pairs(f"{folder}/cpuacct.stat")
        return {
            "total_usage": _number(f"{folder}/cpuacct.usage"),
            "usage_in_kernelmode": used.get("system", 0) * tick_ns,
            "usage_in_usermode": used.get("user", 0) * tick_ns,
        }
    used = _pairs(f"{folder}/cpu.stat")
    return {
        "total_usage": used.get("usage_usec", 0) * 1000,
        "usage_in_kernelmode": used.get("system_usec", 0) * 1000,
        "usage_in_usermode": used.get("user_usec", 0) * 1000,
    }


def _throttling(cgroup: str) -> dict[str, int]:
    told = _pairs(f"{cgroups.path('cpu', cgroup)}/cpu.stat")
    return {
        "periods": told.get("nr_periods", 0),
        "throttled_periods": told.get("nr_throttled", 0),
        "throttled_time": told.get("throttled_time", told.get("throttled_usec", 0) * 1000),
    }


def _system_ns() -> int:
    words = _read("/proc/stat").partition("\n")[0].split()[1:8]
    return sum(map(int, words)) * (_BILLION // os.sysconf("SC_CLK_TCK"))


def _io(cgroup: str) -> list[dict[str, Any]]:
    folder = cgroups.path("blkio", cgroup)
    if "blkio" in cgroups.mounts():
        lines = _read(f"{folder}/blkio.throttle.io_service_bytes_recursive").splitlines()
        triples = [words for line in lines if len(words := line.split()) == _TRIPLE]
    else:
        triples = []
        for line in _read(f"{folder}/io.stat").splitlines():
            device, *pairs = line.split()
            told = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
            triples += [
                [device, "read", told.get("rbytes", "0")],
                [device, "write", told.get("wbytes", "0")],
            ]
    return [
        {
            "major": int(device.partition(":")[0]),
            "minor": int(device.partition(":")[2]),
            "op": what.lower(),
            "value": int(value),
        }
        for device, what, value in triples
    ]


def _networks(pid: int) -> dict[str, dict[str, int]]:
    keys = ("bytes", "packets", "errors", "dropped")
    found = {}
    for name, text in _INTERFACE.findall(_read(f"/proc/{pid}/net/dev")):
        numbers = [int(word) for word in text.split()]
        received = {f"rx_{key}": value for key, value in zip(keys, numbers, strict=False)}
        sent = {f"tx_{key}": value for key, value in zip(keys, numbers[8:], strict=False)}
        if name != "lo":
            found[name] = {**received, **sent}
    return found
