"""config-linux.md, "Memory"."""

from __future__ import annotations

import json
import mmap
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seatrial.conformance import placement
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.placement import Placement

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

MIB = 2**20
#: The files of each member by the names of version 1 and version 2; the latter counts swap alone.
FILES = {
    "limit": ("memory.limit_in_bytes", "memory.max"),
    "swap": ("memory.memsw.limit_in_bytes", "memory.swap.max"),
    "kernel": ("memory.kmem.limit_in_bytes", ""),
    "kernelTCP": ("memory.kmem.tcp.limit_in_bytes", ""),
}
#: Where a soft limit can be seen in version 2, which has no such thing: the spec names no file.
SOFT_FILES = ("memory.low", "memory.high", "memory.min")


def sizes() -> st.SearchStrategy[int]:
    """Numbers of bytes that are enough for any runtime's first steps, not all whole pages."""
    return st.integers(128 * MIB, 2**40)


def limited(harness: Harness, **memory: Any) -> Config:
    """Return a config with ``resources.memory``, whose program waits."""
    config = harness.config("pause")
    config["linux"]["resources"] = {"memory": memory}
    return config


def bytes_of(cgroup: Placement, member: str) -> int | None:
    """Return what a cgroup has as the limit that ``member`` stands for, ``None`` for no limit."""
    return cgroup.number("memory", *FILES[member])


def soft_limits(cgroup: Placement) -> set[int | None]:
    """Return what is in the files that can hold a soft limit."""
    if cgroup.version == 1:
        return {cgroup.number("memory", "memory.soft_limit_in_bytes", "")}
    return {cgroup.number("memory", "", name) for name in SOFT_FILES}


def whole_pages(size: int) -> int:
    """Return what the kernel makes of a number of bytes: it counts in pages."""
    return size // mmap.PAGESIZE * mmap.PAGESIZE


@requirement("linux.cgroups.memory.limit")
@given(limit=sizes())
@settings(max_examples=15)
def test_limit_is_the_cap_on_memory(harness: Harness, limit: int) -> None:
    with harness.created(limited(harness, limit=limit)) as container:
        assert bytes_of(Placement(container), "limit") == whole_pages(limit)


@requirement("linux.cgroups.memory.reservation")
@given(reservation=sizes())
@settings(max_examples=15)
def test_reservation_is_the_soft_cap(harness: Harness, reservation: int) -> None:
    with harness.created(limited(harness, reservation=reservation)) as container:
        cgroup = Placement(container)
        assert whole_pages(reservation) in soft_limits(cgroup)
        assert bytes_of(cgroup, "limit") is None


@requirement("linux.cgroups.memory.limit", "linux.cgroups.memory.reservation")
@given(limit=sizes(), reservation=sizes())
@settings(max_examples=10)
def test_limit_and_reservation_go_together(harness: Harness, limit: int, reservation: int) -> None:
    reservation = min(limit, reservation)
    with harness.created(limited(harness, limit=limit, reservation=reservation)) as container:
        cgroup = Placement(container)
        assert bytes_of(cgroup, "limit") == whole_pages(limit)
        assert whole_pages(reservation) in soft_limits(cgroup)


@requirement("linux.cgroups.memory.swap")
@given(limit=sizes(), more=st.integers(0, 2**40))
@settings(max_examples=15)
def test_swap_is_the_cap_on_memory_and_swap_together(
    harness: Harness, limit: int, more: int
) -> None:
    limit = whole_pages(limit)
    with harness.created(limited(harness, limit=limit, swap=limit + more)) as container:
        cgroup = Placement(container)
        assert bytes_of(cgroup, "limit") == limit
        # Version 2 counts swap alone.
        before = limit if cgroup.version == 1 else 0
        assert bytes_of(cgroup, "swap") == before + whole_pages(more)


@requirement("linux.cgroups.memory.minus-one-unlimited")
@pytest.mark.parametrize("members", [["limit"], ["limit", "reservation"], ["reservation"]])
def test_minus_one_is_no_limit(harness: Harness, members: list[str]) -> None:
    with harness.created(limited(harness, **dict.fromkeys(members, -1))) as container:
        cgroup = Placement(container)
        assert bytes_of(cgroup, "limit") is None
        if "reservation" in members:
            assert None in soft_limits(cgroup)


@requirement("linux.cgroups.memory.minus-one-unlimited")
@needs("swap")
@given(limit=st.just(-1) | sizes())
@settings(max_examples=5)
def test_minus_one_is_no_limit_of_swap(harness: Harness, limit: int) -> None:
    with harness.created(limited(harness, limit=limit, swap=-1)) as container:
        cgroup = Placement(container)
        assert bytes_of(cgroup, "limit") == (None if limit == -1 else whole_pages(limit))
        assert bytes_of(cgroup, "swap") is None


@requirement("linux.cgroups.memory.minus-one-unlimited")
@needs("cgroup-v1")
def test_minus_one_is_no_limit_of_tcp_buffers(harness: Harness) -> None:
    with harness.created(limited(harness, kernelTCP=-1)) as container:
        assert bytes_of(Placement(container), "kernelTCP") is None


@requirement("linux.cgroups.memory.kernel-tcp")
@given(limit=sizes())
@settings(max_examples=10)
def test_kernel_tcp_is_the_cap_on_tcp_buffers(harness: Harness, limit: int) -> None:
    with harness.created(limited(harness, kernelTCP=limit)) as container:
        found = bytes_of(Placement(container), "kernelTCP")
        if found is None:
            raise Ignored("kernelTCP is accepted, and the cgroup has no such limit")
        assert found == whole_pages(limit)


@requirement("linux.cgroups.memory.kernel")
def test_kernel_is_the_cap_on_kernel_memory(harness: Harness) -> None:
    with harness.container(limited(harness, kernel=128 * MIB)) as container:
        if container.create().failed:
            harness.note("kernel is refused")
        elif bytes_of(Placement(container), "kernel") != 128 * MIB:
            # Kernels from 5.16 on refuse every limit but none.
            harness.note("kernel is accepted, and the cgroup has no such limit")


@requirement("linux.cgroups.memory.swappiness")
@given(swappiness=st.integers(0, 100))
@settings(max_examples=10)
def test_swappiness_is_that_of_the_cgroup(harness: Harness, swappiness: int) -> None:
    with harness.created(limited(harness, swappiness=swappiness)) as container:
        assert Placement(container).number("memory", "memory.swappiness", "") == swappiness


# 101 to 200 mean something to the kernel (since Linux 5.8), and nothing in the spec.
@requirement("linux.cgroups.memory.swappiness")
@given(swappiness=st.integers(101, 2**64 - 1))
@example(swappiness=101)
@example(swappiness=2**64 - 1)
@settings(max_examples=5)
def test_swappiness_above_100_generates_an_error(harness: Harness, swappiness: int) -> None:
    result = harness.attempt(limited(harness, swappiness=swappiness))
    assert result.failed, result


@requirement("linux.cgroups.memory.disable-oom-killer")
@pytest.mark.parametrize("memory", [{}, {"disableOOMKiller": False}, {"disableOOMKiller": True}])
def test_disable_oom_killer_disables_it(harness: Harness, memory: dict[str, bool]) -> None:
    with harness.created(limited(harness, **memory)) as container:
        control = Placement(container).keyed("memory", "memory.oom_control", "")
        disabled = memory.get("disableOOMKiller", False)
        assert control["oom_kill_disable"] == ("1" if disabled else "0")


@requirement("linux.cgroups.memory.use-hierarchy")
def test_use_hierarchy_lets_children_share_the_limits(harness: Harness) -> None:
    with harness.created(limited(harness, useHierarchy=True)) as container:
        assert Placement(container).number("memory", "memory.use_hierarchy", "") == 1


@requirement("linux.cgroups.memory.check-before-update-rejects")
@given(limit=st.integers(1, 16).map(lambda pages: pages * mmap.PAGESIZE))
@settings(max_examples=3)
def test_a_limit_below_the_present_use_is_refused(harness: Harness, limit: int) -> None:
    with harness.running(limited(harness, limit=512 * MIB)) as container:
        update = container.bundle.path / "update.json"
        update.write_text(json.dumps({"memory": {"limit": limit, "checkBeforeUpdate": True}}))
        result = harness.runtime.invoke("update", id=container.id, resources=str(update))
        assert container.alive, "the container was ended by the update"
        assert container.state()["status"] == "running"
        assert result.failed, result
        assert bytes_of(Placement(container), "limit") == 512 * MIB


@requirement("linux.cgroups.path.no-resources-limits-kept")
@needs("controller:memory")
@given(limit=sizes())
@settings(max_examples=5)
def test_without_resources_the_memory_limit_of_the_cgroup_is_kept(
    harness: Harness, limit: int
) -> None:
    config = harness.config("pause")
    config["linux"]["cgroupsPath"] = path = f"{harness.cgroup}/{harness.new_id()}"
    with harness.container(config) as container, placement.existing(path):
        hierarchy = placement.hierarchy_of("memory")
        placement.enable("memory", path)
        file = placement.folder(hierarchy, path) / FILES["limit"][hierarchy.version - 1]
        file.write_text(str(limit))
        created = container.create()
        assert created.ok, created
        found = bytes_of(Placement(container), "limit")
        if found is None:
            raise Ignored("the limit that the cgroup had is gone")
        assert found == whole_pages(limit)
