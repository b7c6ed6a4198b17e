"""CPU time, and which CPUs and memory nodes (config-linux.md, "CPU"; cpuset(7), sched-bwc.rst)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from seatrial.oci.cgroup_files import Writer, check_uint64
from seatrial.oci.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.cgroup_files import Groups
    from seatrial.oci.config import CPU
    from seatrial.oci.operations import Op, Stage

POINTER = "/linux/resources/cpu"
SHARES_LEAST, SHARES_MOST = 2, 262144
WEIGHT_MOST = 10000
#: What the kernel begins with, in microseconds.
DEFAULT_PERIOD = 100_000


def compile(cpu: CPU | None, groups: Groups, stage: Stage) -> Iterator[Op]:  # noqa: A001 - the compiler's verb
    """Yield the writes; raises ``ConfigError``.

    The kernel has no shares, quota or period of 0, and callers write it for "not set".
    """
    if cpu is None:
        return
    _check(cpu)
    if any((cpu.shares, cpu.quota, cpu.period, cpu.realtime_period)) or any(
        value is not None for value in (cpu.burst, cpu.realtime_runtime, cpu.idle)
    ):
        write = Writer(groups.get("cpu", POINTER), stage, POINTER)
        yield from _weight(cpu, write)
        yield from _realtime(cpu, write)
        bandwidth = _v1_bandwidth(cpu, write) if write.is_v1 else _v2_bandwidth(cpu, write)
        yield from _in_order(cpu, write, list(bandwidth))
    if cpu.cpus or cpu.mems:
        write = Writer(groups.get("cpuset", POINTER), stage, POINTER)
        if cpu.cpus:
            yield write("cpuset.cpus", cpu.cpus, "cpus")
        if cpu.mems:
            yield write("cpuset.mems", cpu.mems, "mems")


def _check(cpu: CPU) -> None:
    for member, value in (
        ("shares", cpu.shares),
        ("burst", cpu.burst),
        ("period", cpu.period),
        ("realtimePeriod", cpu.realtime_period),
    ):
        check_uint64(value, f"{POINTER}/{member}")
    if cpu.quota is not None and 0 < cpu.quota < (cpu.burst or 0):
        raise ConfigError(f"{POINTER}/burst", f"{cpu.burst} is more than quota, {cpu.quota}")


def _weight(cpu: CPU, write: Writer) -> Iterator[Op]:
    writes = []
    if cpu.shares:
        writes.append(
            write("cpu.shares", cpu.shares, "shares")
            if write.is_v1
            else write("cpu.weight", weight(cpu.shares), "shares")
        )
    if cpu.idle is not None:
        writes.append(write("cpu.idle", cpu.idle, "idle"))
        # An idle group takes no weight (Linux 5.15).
        if cpu.idle == 0:
            writes.reverse()
    yield from writes


def weight(shares: int) -> int:
    """Return the v2 weight for v1 shares: least, default and most of both correspond.

    1024 shares are a weight of 100; runc and crun have the same formula.
    """
    if shares <= SHARES_LEAST:
        return 1
    if shares >= SHARES_MOST:
        return WEIGHT_MOST
    power = math.log2(shares)
    exponent = (power * power + 125 * power) / 612.0 - 7.0 / 34.0
    return math.ceil(10**exponent)


def _realtime(cpu: CPU, write: Writer) -> Iterator[Op]:
    if not write.is_v1:
        for member, value in (
            ("realtimeRuntime", cpu.realtime_runtime),
            ("realtimePeriod", cpu.realtime_period),
        ):
            if value:
                write.refuse(member, "cgroup v2 has no limit of realtime")
        return
    writes = []
    if cpu.realtime_period:
        writes.append(write("cpu.rt_period_us", cpu.realtime_period, "realtimePeriod"))
    if cpu.realtime_runtime is not None:
        writes.append(write("cpu.rt_runtime_us", cpu.realtime_runtime, "realtimeRuntime"))
        # Never more runtime than there is period.
        present = write.number("cpu.rt_runtime_us")
        if present is not None and (cpu.realtime_period or present) < present:
            writes.reverse()
    yield from writes


def _v1_bandwidth(cpu: CPU, write: Writer) -> Iterator[Op]:
    writes = []
    if cpu.period:
        writes.append(write("cpu.cfs_period_us", cpu.period, "period"))
    if cpu.quota:
        writes.append(write("cpu.cfs_quota_us", max(cpu.quota, -1), "quota"))
        quota, period = write.number("cpu.cfs_quota_us"), write.number("cpu.cfs_period_us")
        if cpu.period and quota and period and quota_first(quota, period, cpu.quota, cpu.period):
            writes.reverse()
    yield from writes


def quota_first(quota: int, period: int, new_quota: int, new_period: int) -> bool:
    """Whether, on the way to the new pair, the new quota with the old period is the lesser share.

    The kernel refuses a share above that of a cgroup above, in between too.
    """
    with_new_quota = new_quota / period if new_quota > 0 else 0.0
    with_new_period = quota / new_period if quota > 0 else 0.0
    return with_new_quota < with_new_period


def _v2_bandwidth(cpu: CPU, write: Writer) -> Iterator[Op]:
    if not cpu.quota and not cpu.period:
        return
    quota, period = "max", cpu.period or DEFAULT_PERIOD
    present = (write.group.read("cpu.max") or "").split()
    if cpu.quota:
        quota = str(cpu.quota) if cpu.quota > 0 else "max"
    elif present:
        quota = present[0]
    if not cpu.period and present:
        period = int(present[1])
    yield write("cpu.max", f"{quota} {period}", "quota" if cpu.quota else "period")


def _in_order(cpu: CPU, write: Writer, bandwidth: list[Op]) -> Iterator[Op]:
    """Put burst where quota is never less than it."""
    if cpu.burst is None:
        yield from bandwidth
        return
    name = "cpu.cfs_burst_us" if write.is_v1 else "cpu.max.burst"
    burst = write(name, cpu.burst, "burst")
    present = write.number(name)
    yield from [burst, *bandwidth] if present and cpu.burst < present else [*bandwidth, burst]
