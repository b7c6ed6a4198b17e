"""What a container uses, in the form of ``runc events --stats`` that containerd and docker read."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.hierarchies import Group

V1 = 1
UNLIMITED = 2**64 - 1
_NS_PER_US, _NS_PER_S = 1000, 1_000_000_000
#: cgroup v1's tables by our names; the first kind of file that is there is the one in use.
_BLKIO = {
    "ioServiceBytesRecursive": "io_service_bytes",
    "ioServicedRecursive": "io_serviced",
    "ioQueueRecursive": "io_queued",
    "ioServiceTimeRecursive": "io_service_time",
    "ioWaitTimeRecursive": "io_wait_time",
    "ioMergedRecursive": "io_merged",
    "ioTimeRecursive": "time",
    "sectorsRecursive": "sectors",
}
_BLKIO_FILES = ("blkio.bfq.{}_recursive", "blkio.{}_recursive", "blkio.throttle.{}_recursive",
                "blkio.throttle.{}")  # fmt: skip
_IO_V2 = {
    "rbytes": ("ioServiceBytesRecursive", "Read"),
    "wbytes": ("ioServiceBytesRecursive", "Write"),
    "rios": ("ioServicedRecursive", "Read"),
    "wios": ("ioServicedRecursive", "Write"),
}
_CPUSET = ("cpu_exclusive", "mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page",
           "memory_spread_slab", "memory_pressure", "sched_load_balance",
           "sched_relax_domain_level")  # fmt: skip


def collect(groups: list[Group]) -> dict[str, Any]:
    """Return the statistics; what no hierarchy accounts for is not in it, or 0."""
    return {
        "cpu": _cpu(groups),
        "cpuset": _cpuset(groups),
        "memory": _memory(groups),
        "pids": _pids(groups),
        "blkio": _blkio(groups),
        "hugetlb": _hugetlb(groups),
        "intel_rdt": {},
        "network_interfaces": None,
    }


def group_of(groups: list[Group], controller: str, v2_name: str | None = None) -> Group | None:
    """Return the cgroup whose hierarchy accounts for something."""
    name = v2_name or controller
    for group in groups:
        if group.hierarchy.version == V1 and controller in group.hierarchy.controllers:
            return group
    for group in groups:
        if group.hierarchy.version != V1 and name in group.hierarchy.controllers:
            return group
    return None


def _number(group: Group, name: str) -> int | None:
    text = group.read(name)
    return UNLIMITED if text == "max" else int(text) if text else None


def numbers(group: Group, name: str) -> dict[str, int]:
    """Return a file of lines of a name and a number."""
    words = [line.split() for line in (group.read(name) or "").splitlines()]
    return {line[0]: int(line[1]) for line in words if len(line) == 2 and line[1].isdigit()}  # noqa: PLR2004


def _cpu(groups: list[Group]) -> dict[str, Any]:
    usage: dict[str, Any] = {"kernel": 0, "user": 0}
    throttling: dict[str, int] = {}
    group = group_of(groups, "cpuacct", "cpu") or next(
        (each for each in groups if each.hierarchy.version != V1), None
    )
    if group is not None and group.hierarchy.version == V1:
        ticks = os.sysconf("SC_CLK_TCK")
        stat = numbers(group, "cpuacct.stat")
        usage["kernel"] = stat.get("system", 0) * _NS_PER_S // ticks
        usage["user"] = stat.get("user", 0) * _NS_PER_S // ticks
        usage["total"] = _number(group, "cpuacct.usage") or 0
        usage["percpu"] = [int(each) for each in (group.read("cpuacct.usage_percpu") or "").split()]
        rows = [line.split() for line in (group.read("cpuacct.usage_all") or "").splitlines()[1:]]
        usage["percpu_user"] = [int(row[1]) for row in rows]
        usage["percpu_kernel"] = [int(row[2]) for row in rows]
    elif group is not None:
        # The time is accounted for without the controller.
        stat = numbers(group, "cpu.stat")
        usage["kernel"] = stat.get("system_usec", 0) * _NS_PER_US
        usage["user"] = stat.get("user_usec", 0) * _NS_PER_US
        usage["total"] = stat.get("usage_usec", 0) * _NS_PER_US
    limited = group_of(groups, "cpu")
    if limited is not None:
        stat = numbers(limited, "cpu.stat")
        throttling = {
            "periods": stat.get("nr_periods", 0),
            "throttledPeriods": stat.get("nr_throttled", 0),
            "throttledTime": stat.get("throttled_time", stat.get("throttled_usec", 0) * _NS_PER_US),
        }
    return {"usage": usage, "throttling": throttling, **_pressure(groups, "cpu")}


def _pressure(groups: list[Group], name: str) -> dict[str, Any]:
    """Return how long processes waited for a resource (psi.rst), which only v2 tells."""
    found: dict[str, dict[str, float]] = {}
    for group in groups:
        if group.hierarchy.version == V1:
            continue
        for line in (group.read(f"{name}.pressure") or "").splitlines():
            kind, *words = line.split()
            pairs = dict(word.split("=") for word in words)
            found[kind] = {
                key: int(value) if key == "total" else float(value) for key, value in pairs.items()
            }
    return {"psi": found} if found else {}


def _cpuset(groups: list[Group]) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys(_CPUSET, 0)
    group = group_of(groups, "cpuset")
    if group is None:
        return found
    for name in _CPUSET:
        found[name] = _signed(group.read(f"cpuset.{name}"))
    for name in ("cpus", "mems"):
        for file in (f"cpuset.{name}", f"cpuset.{name}.effective"):
            if text := group.read(file):
                found[name] = expand(text)
                break
    return found


def _signed(text: str | None) -> int:
    return int(text) if text and text.lstrip("-").isdigit() else 0


def expand(text: str) -> list[int]:
    """Return the numbers of a list such as ``0-3,7``."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def _memory(groups: list[Group]) -> dict[str, Any]:
    group = group_of(groups, "memory")
    if group is None:
        return {}
    raw = numbers(group, "memory.stat")
    found: dict[str, Any] = {"raw": raw, "cache": raw.get("cache", raw.get("file", 0))}
    if group.hierarchy.version == V1:
        for name, part in (("usage", ""), ("swap", ".memsw"), ("kernel", ".kmem"),
                           ("kernelTCP", ".kmem.tcp")):  # fmt: skip
            found[name] = {
                key: _number(group, f"memory{part}.{file}") or 0
                for key, file in (
                    ("limit", "limit_in_bytes"),
                    ("usage", "usage_in_bytes"),
                    ("max", "max_usage_in_bytes"),
                    ("failcnt", "failcnt"),
                )
            }
        return {**found, **_pressure(groups, "memory")}
    usage = {
        "limit": _number(group, "memory.max") or 0,
        "usage": _number(group, "memory.current") or 0,
        "max": _number(group, "memory.peak") or 0,
        "failcnt": numbers(group, "memory.events").get("max", 0),
    }
    # As in v1, of memory and swap together.
    limit, present = _number(group, "memory.swap.max"), _number(group, "memory.swap.current")
    swap = {"limit": 0, "failcnt": 0}
    if limit is not None and present is not None:
        unlimited = UNLIMITED in (limit, usage["limit"])
        swap["limit"] = UNLIMITED if unlimited else limit + usage["limit"]
        swap["usage"] = present + usage["usage"]
    found.update(usage=usage, swap=swap)
    found["kernel"] = {"limit": 0, "failcnt": 0, "usage": raw.get("kernel", 0)}
    found["kernelTCP"] = {"limit": 0, "failcnt": 0, "usage": raw.get("sock", 0)}
    return {**found, **_pressure(groups, "memory")}


def _pids(groups: list[Group]) -> dict[str, int]:
    group = group_of(groups, "pids")
    if group is None:
        return {}
    limit = _number(group, "pids.max") or 0
    # runc has 0 for no limit.
    return {
        "current": _number(group, "pids.current") or 0,
        "limit": 0 if limit == UNLIMITED else limit,
    }


def _blkio(groups: list[Group]) -> dict[str, Any]:
    group = group_of(groups, "blkio", "io")
    if group is None:
        return {}
    if group.hierarchy.version == V1:
        found = {name: list(_v1_table(group, file)) for name, file in _BLKIO.items()}
    else:
        found = {name: [] for name, _ in _IO_V2.values()}
        for line in (group.read("io.stat") or "").splitlines():
            device, *words = line.split()
            for word in words:
                key, _, value = word.partition("=")
                if key in _IO_V2:
                    name, op = _IO_V2[key]
                    found[name].append(_entry(device, op, int(value)))
    return {**{name: rows for name, rows in found.items() if rows}, **_pressure(groups, "io")}


def _v1_table(group: Group, file: str) -> Iterator[dict[str, Any]]:
    for pattern in _BLKIO_FILES:
        text = group.read(pattern.format(file)) or ""
        rows = [line.split() for line in text.splitlines() if ":" in line]
        if rows:
            for row in rows:
                yield _entry(row[0], row[1] if len(row) > 2 else "", int(row[-1]))  # noqa: PLR2004
            return


def _entry(device: str, op: str, value: int) -> dict[str, Any]:
    major, _, minor = device.partition(":")
    return {"major": int(major), "minor": int(minor), "op": op, "value": value}


def _hugetlb(groups: list[Group]) -> dict[str, dict[str, int]]:
    group = group_of(groups, "hugetlb")
    if group is None or not os.path.isdir(group.path):
        return {}
    end = "usage_in_bytes" if group.hierarchy.version == V1 else "current"
    found = {}
    for name in sorted(os.listdir(group.path)):
        size = re.fullmatch(rf"hugetlb\.([0-9]+[KMG]B)\.{end}", name)
        if size is None:
            continue
        prefix = f"hugetlb.{size[1]}"
        reserved = f"{prefix}.rsvd"
        use = reserved if _number(group, f"{reserved}.{end}") is not None else prefix
        found[size[1]] = {
            "usage": _number(group, f"{use}.{end}") or 0,
            "max": _number(group, f"{use}.max_usage_in_bytes") or 0,
            "failcnt": _number(group, f"{use}.failcnt")
            or numbers(group, f"{prefix}.events").get("max", 0),
        }
    return found
