"""config-linux.md, "CPU"."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance import placement
from seatrial.conformance.errors import HarnessError
from seatrial.conformance.marks import requirement
from seatrial.conformance.placement import Placement
from seatrial.conformance.strategies.cgroups import listed, numbers_of

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

#: What the kernel takes (kernel/sched): shares from 2 on, periods of a millisecond to a second.
SHARES = (2, 2**18)
PERIODS = (1_000, 1_000_000)


def limited(harness: Harness, **cpu: Any) -> Config:
    """Return a config with ``resources.cpu``, whose program waits."""
    config = harness.config("pause")
    config["linux"]["resources"] = {"cpu": cpu}
    return config


def share(harness: Harness, shares: int) -> tuple[int, int]:
    """Return the share of a container created with ``shares``, and the version of its cgroup."""
    with harness.created(limited(harness, shares=shares)) as container:
        cgroup = Placement(container)
        return cgroup.number("cpu", "cpu.shares", "cpu.weight") or 0, cgroup.version


def bandwidth(cgroup: Placement) -> tuple[int | None, int]:
    """Return quota and period of a cgroup, in microseconds; ``None`` is no quota."""
    if cgroup.version == 1:
        quota = cgroup.number("cpu", "cpu.cfs_quota_us", "")
        return quota, cgroup.number("cpu", "cpu.cfs_period_us", "") or 0
    text, period = cgroup.read("cpu", "", "cpu.max").split()
    return None if text == "max" else int(text), int(period)


@requirement("linux.cgroups.cpu.shares")
@given(st.data())
@settings(max_examples=15)
def test_more_shares_are_a_larger_share(harness: Harness, data: st.DataObject) -> None:
    least, most = SHARES
    few = data.draw(st.integers(least, most - 1_000), "few")
    # Version 2 has a coarser scale, and the spec has no formula: neighbours may fall together.
    many = data.draw(st.integers(few + 1_000, most), "many")
    (small, version), (large, _) = share(harness, few), share(harness, many)
    if version == 1:
        assert (small, large) == (few, many)
    assert small < large


@requirement("linux.cgroups.cpu.quota", "linux.cgroups.cpu.period")
@given(period=st.integers(*PERIODS), times=st.floats(0.5, 8, width=16))
def test_quota_is_the_time_per_period(harness: Harness, period: int, times: float) -> None:
    # Less than half a processor would make the runtime's own first steps slow.
    quota = max(int(period * times), PERIODS[0])
    with harness.created(limited(harness, quota=quota, period=period)) as container:
        assert bandwidth(Placement(container)) == (quota, period)


@requirement("linux.cgroups.cpu.quota")
@given(quota=st.integers(50_000, 1_000_000))
@settings(max_examples=5)
def test_quota_stands_without_period(harness: Harness, quota: int) -> None:
    with harness.created(limited(harness, quota=quota)) as container:
        assert bandwidth(Placement(container))[0] == quota


@requirement("linux.cgroups.cpu.period")
@given(period=st.integers(*PERIODS))
@settings(max_examples=5)
def test_period_stands_without_quota(harness: Harness, period: int) -> None:
    with harness.created(limited(harness, period=period)) as container:
        assert bandwidth(Placement(container)) == (None, period)


@requirement("linux.cgroups.cpu.burst")
@given(st.data())
@settings(max_examples=10)
def test_burst_is_the_time_that_can_be_saved_up(harness: Harness, data: st.DataObject) -> None:
    quota = data.draw(st.integers(50_000, 1_000_000), "quota")
    burst = data.draw(st.integers(1, quota), "burst")
    config = limited(harness, quota=quota, period=100_000, burst=burst)
    with harness.created(config) as container:
        cgroup = Placement(container)
        assert cgroup.number("cpu", "cpu.cfs_burst_us", "cpu.max.burst") == burst
        assert bandwidth(cgroup) == (quota, 100_000)


@requirement("linux.cgroups.cpu.idle")
@pytest.mark.parametrize("idle", [0, 1])
def test_idle_is_that_of_the_cgroup(harness: Harness, idle: int) -> None:
    with harness.created(limited(harness, idle=idle)) as container:
        assert Placement(container).number("cpu", "cpu.idle", "cpu.idle") == idle


def available(kind: str) -> list[int]:
    """Return the processors (``cpus``) or memory nodes (``mems``) that a cgroup can have."""
    hierarchy = placement.hierarchy_of("cpuset")
    v1, v2 = f"cpuset.{kind}", f"cpuset.{kind}.effective"
    return numbers_of((hierarchy.path / (v1 if hierarchy.version == 1 else v2)).read_text())


def check_set(harness: Harness, kind: str, data: st.DataObject) -> None:
    """Create a container with a drawn list of processors or nodes, and compare the numbers."""
    numbers = data.draw(st.sets(st.sampled_from(available(kind)), min_size=1), "numbers")
    text = data.draw(listed(numbers), "list")
    with harness.running(limited(harness, **{kind: text})) as container:
        seen = Placement(container).read("cpuset", f"cpuset.{kind}", f"cpuset.{kind}")
        assert numbers_of(seen) == sorted(numbers)
        name = {"cpus": "Cpus_allowed_list", "mems": "Mems_allowed_list"}[kind]
        assert numbers_of(status_of(container.pid)[name]) == sorted(numbers)


def status_of(pid: int | None) -> dict[str, str]:
    """Return the fields of a process's status (proc(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


@requirement("linux.cgroups.cpu.cpus")
@given(st.data())
@settings(max_examples=10)
def test_cpus_are_those_that_the_container_runs_on(harness: Harness, data: st.DataObject) -> None:
    check_set(harness, "cpus", data)


@requirement("linux.cgroups.cpu.mems")
@given(st.data())
@settings(max_examples=10)
def test_mems_are_the_nodes_that_the_container_runs_on(
    harness: Harness, data: st.DataObject
) -> None:
    check_set(harness, "mems", data)


def allow_real_time(harness: Harness) -> None:
    """Let the run's own cgroup have 4 % of real time, so that those below can have of that.

    It stays so: the kernel counts the cgroups below until it has freed them, some time after their
    removal.
    """
    own = placement.folder(placement.hierarchy_of("cpu"), harness.cgroup)
    try:
        for folder, microseconds in ((own.parent, 400_000), (own, 40_000)):
            file = folder / "cpu.rt_runtime_us"
            if int(file.read_text()) < microseconds:
                file.write_text(str(microseconds))
    except OSError as error:
        raise HarnessError(f"cannot have real time: {error}") from None


@requirement("linux.cgroups.cpu.realtime-runtime", "linux.cgroups.cpu.realtime-period")
@given(period=st.integers(500_000, 2_000_000), runtime=st.integers(100, 1_000))
@settings(max_examples=10)
def test_realtime_runtime_is_the_budget_per_realtime_period(
    harness: Harness, period: int, runtime: int
) -> None:
    allow_real_time(harness)
    config = limited(harness, realtimeRuntime=runtime, realtimePeriod=period)
    with harness.created(config) as container:
        cgroup = Placement(container)
        assert cgroup.number("cpu", "cpu.rt_runtime_us", "") == runtime
        assert cgroup.number("cpu", "cpu.rt_period_us", "") == period
