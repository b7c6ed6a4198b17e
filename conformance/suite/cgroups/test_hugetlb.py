"""config-linux.md, "Huge page limits"."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.config import without
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.placement import Placement

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

KIB = 2**10


def page_sizes() -> list[int]:
    """Return the sizes of huge pages that the kernel has, in bytes (/sys/kernel/mm/hugepages)."""
    folders = Path("/sys/kernel/mm/hugepages").glob("hugepages-*kB")
    return sorted(int(each.name[10:-2]) * KIB for each in folders)


def name_of(size: int) -> str:
    """Write a size as the spec and the control files do, in steps of 1024: 64KB, 2MB, 1GB."""
    for power, prefix in ((3, "G"), (2, "M")):
        if size % KIB**power == 0:
            return f"{size // KIB**power}{prefix}B"
    return f"{size // KIB}KB"


def limited(harness: Harness, *limits: dict[str, Any]) -> Config:
    """Return a config with ``resources.hugepageLimits``, whose program waits."""
    config = harness.config("pause")
    config["linux"]["resources"] = {"hugepageLimits": list(limits)}
    return config


def limit_of(cgroup: Placement, size: str, *, reserved: bool) -> int | None:
    """Return the limit on pages of a size, either on their reservation or on their use."""
    kind = ".rsvd" if reserved else ""
    v1, v2 = f"hugetlb.{size}{kind}.limit_in_bytes", f"hugetlb.{size}{kind}.max"
    found = cgroup.number("hugetlb", v1, v2)
    # Version 1 has a number of pages for "no limit".
    return None if found is not None and found >= 2**62 else found


def reserves(cgroup: Placement, size: str) -> bool:
    """Whether the kernel can limit reservations (since Linux 5.7)."""
    v1, v2 = f"hugetlb.{size}.rsvd.limit_in_bytes", f"hugetlb.{size}.rsvd.max"
    return cgroup.file("hugetlb", v1, v2).exists()


@requirement("linux.cgroups.hugetlb.prefix-base-1024")
@given(data=st.data())
@settings(max_examples=10)
def test_prefixes_count_in_steps_of_1024(harness: Harness, data: st.DataObject) -> None:
    size = data.draw(st.sampled_from(page_sizes()), "size")
    limit = data.draw(st.integers(0, 64), "pages") * size
    with harness.created(
        limited(harness, {"pageSize": name_of(size), "limit": limit})
    ) as container:
        cgroup = Placement(container)
        kinds = [False, True] if reserves(cgroup, name_of(size)) else [False]
        assert limit in [limit_of(cgroup, name_of(size), reserved=kind) for kind in kinds]


@requirement("linux.cgroups.hugetlb.reservation-limit")
@given(data=st.data())
@settings(max_examples=15)
def test_limit_is_that_of_reservations(harness: Harness, data: st.DataObject) -> None:
    size = data.draw(st.sampled_from(page_sizes()), "size")
    limit = data.draw(st.integers(0, 2**42), "limit")
    with harness.created(
        limited(harness, {"pageSize": name_of(size), "limit": limit})
    ) as container:
        cgroup = Placement(container)
        found = limit_of(cgroup, name_of(size), reserved=reserves(cgroup, name_of(size)))
        if found is None:
            raise Ignored("the limit is accepted, and none is set on reservations")
        assert found == limit // size * size
        for other in page_sizes():
            if other != size:
                reserved = reserves(cgroup, name_of(other))
                assert limit_of(cgroup, name_of(other), reserved=reserved) is None


@requirement("linux.cgroups.hugetlb.usage-limit")
@given(data=st.data())
@settings(max_examples=10)
def test_limit_is_that_of_use(harness: Harness, data: st.DataObject) -> None:
    size = data.draw(st.sampled_from(page_sizes()), "size")
    limit = data.draw(st.integers(0, 2**42), "limit")
    with harness.created(
        limited(harness, {"pageSize": name_of(size), "limit": limit})
    ) as container:
        found = limit_of(Placement(container), name_of(size), reserved=False)
        assert found == limit // size * size


@requirement("linux.cgroups.hugetlb.reservation-limit")
@given(data=st.data())
@settings(max_examples=5)
def test_limits_of_all_sizes_go_together(harness: Harness, data: st.DataObject) -> None:
    limits = {
        size: data.draw(st.integers(0, 64), name_of(size)) * size
        for size in data.draw(st.permutations(page_sizes()), "order")
    }
    entries = [{"pageSize": name_of(size), "limit": limit} for size, limit in limits.items()]
    with harness.created(limited(harness, *entries)) as container:
        cgroup = Placement(container)
        for size, limit in limits.items():
            reserved = reserves(cgroup, name_of(size))
            assert limit_of(cgroup, name_of(size), reserved=reserved) == limit


@requirement("linux.cgroups.hugetlb.page-size-known")
@given(pages=st.integers(1, 2**20))
@settings(max_examples=10)
def test_a_size_that_the_kernel_does_not_have_generates_an_error(
    harness: Harness, pages: int
) -> None:
    size = pages * KIB
    if size in page_sizes():
        size += KIB
    result = harness.attempt(limited(harness, {"pageSize": name_of(size), "limit": 2**30}))
    assert result.failed, result


@requirement("linux.cgroups.hugetlb.page-size-present")
@needs("controller:hugetlb", "hugetlb")
@pytest.mark.parametrize("page_size", ["2M", "2mB", "2MiB", "2 MB", "MB", "2097152", "2MB ", ""])
def test_a_size_in_another_format_generates_an_error(harness: Harness, page_size: str) -> None:
    result = harness.attempt(limited(harness, {"pageSize": page_size, "limit": 2**30}))
    assert result.failed, result


@needs("controller:hugetlb", "hugetlb")
@pytest.mark.parametrize(
    "member",
    [
        pytest.param("pageSize", marks=requirement("linux.cgroups.hugetlb.page-size-present")),
        pytest.param("limit", marks=requirement("linux.cgroups.hugetlb.limit-present")),
    ],
)
def test_the_reaction_to_a_missing_member_is_recorded(harness: Harness, member: str) -> None:
    entry = {"pageSize": name_of(page_sizes()[0]), "limit": 2**30}
    config = limited(harness, entry)
    config = without(config, "linux", "resources", "hugepageLimits", 0, member)
    result = harness.attempt(config)
    harness.note(f"hugepageLimits without {member} is {'refused' if result.failed else 'accepted'}")
