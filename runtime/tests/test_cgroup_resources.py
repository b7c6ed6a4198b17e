"""Limits of v1 and v2: what is written where, in which order, and what is refused."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from seatrial.oci import cgroup_cpu, cgroup_io, cgroup_memory, resources
from seatrial.oci.cgroup_files import Groups
from seatrial.oci.config import Resources, decode_resources
from seatrial.oci.errors import ConfigError
from seatrial.oci.hierarchies import Group, Hierarchy
from seatrial.oci.operations import Stage

if TYPE_CHECKING:
    from pathlib import Path

V1 = [
    "cpu",
    "cpuset",
    "memory",
    "pids",
    "blkio",
    "devices",
    "hugetlb",
    "net_cls",
    "net_prio",
    "rdma",
    "freezer",
]
V2 = ["cpu", "cpuset", "memory", "pids", "io", "hugetlb", "rdma"]


@pytest.fixture
def v1(tmp_path: Path) -> Groups:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/memory.memsw.limit_in_bytes").touch()
    return Groups(
        [
            Group(Hierarchy(f"{tmp_path}/{name}", 1, frozenset({name})), f"{tmp_path}/{name}/c")
            for name in V1
        ]
    )


@pytest.fixture
def v2(tmp_path: Path) -> Groups:
    return Groups([Group(Hierarchy(str(tmp_path), 2, frozenset(V2)), f"{tmp_path}/c")])


def written(groups: Groups, *, update: bool = False, **sections: Any) -> list[tuple[str, str]]:
    wanted = decode_resources(msgspec.json.encode(sections))
    return [
        (op.path.rsplit("/", 1)[1], op.text)
        for op in resources.compile(wanted, groups, stage=Stage.BEFORE, update=update)
    ]


def refused(groups: Groups, **sections: Any) -> str:
    with pytest.raises(ConfigError) as error:
        written(groups, **sections)
    return error.value.pointer.removeprefix("/linux/resources/")


def existing(groups: Groups, controller: str, **files: object) -> None:
    found = groups.get(controller, "")
    os.makedirs(found.path, exist_ok=True)
    for name, content in files.items():
        with open(f"{found.path}/{name.replace('__', '.')}", "w", encoding="ascii") as file:
            file.write(f"{content}\n")


def test_v1_memory_is_written_before_memory_and_swap_in_a_new_cgroup(v1: Groups) -> None:
    assert written(v1, memory={"limit": 1000, "swap": 3000, "reservation": 500}) == [
        ("memory.limit_in_bytes", "1000"),
        ("memory.memsw.limit_in_bytes", "3000"),
        ("memory.soft_limit_in_bytes", "500"),
    ]


def test_v1_limits_that_are_raised_begin_with_the_greater(v1: Groups) -> None:
    existing(v1, "memory", memory__memsw__limit_in_bytes=2000)
    raised = written(v1, memory={"limit": 2500, "swap": 3000})
    assert [name for name, _ in raised] == ["memory.memsw.limit_in_bytes", "memory.limit_in_bytes"]


def test_v1_limits_that_are_lowered_begin_with_the_lesser(v1: Groups) -> None:
    existing(v1, "memory", memory__memsw__limit_in_bytes=2000)
    lowered = written(v1, memory={"limit": 500, "swap": 1000})
    assert [name for name, _ in lowered] == ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]


def test_v1_unlimited_memory_is_unlimited_swap(v1: Groups) -> None:
    assert written(v1, memory={"limit": -1}) == [
        ("memory.limit_in_bytes", "-1"),
        ("memory.memsw.limit_in_bytes", "-1"),
    ]


def test_v1_has_the_settings_that_v2_lacks(v1: Groups) -> None:
    sections = {"swappiness": 0, "disableOOMKiller": True, "useHierarchy": True, "kernelTCP": 7}
    assert written(v1, memory=sections) == [
        ("memory.use_hierarchy", "1"),
        ("memory.kmem.tcp.limit_in_bytes", "7"),
        ("memory.swappiness", "0"),
        ("memory.oom_control", "1"),
    ]


def test_v2_memory_is_converted(v2: Groups) -> None:
    assert written(v2, memory={"limit": 1000, "swap": 3000, "reservation": -1}) == [
        ("memory.swap.max", "2000"),
        ("memory.max", "1000"),
        ("memory.low", "max"),
    ]


@pytest.mark.parametrize(
    ("limit", "swap", "value"),
    [
        (None, None, None),
        (1000, None, None),
        (-1, None, "max"),
        (1000, 1000, "0"),
        (1000, 1500, "500"),
        (1000, -1, "max"),
        (None, -1, "max"),
        (-1, 500, "500"),
    ],
)
def test_swap_of_v2_is_swap_alone(limit: int | None, swap: int | None, value: str | None) -> None:
    assert cgroup_memory.v2_swap(limit, swap) == value


def test_v2_swap_without_a_limit_is_taken_from_the_present_limit(v2: Groups) -> None:
    assert refused(v2, memory={"swap": 3000}) == "memory/swap"
    existing(v2, "memory", memory__max=1000)
    assert written(v2, memory={"swap": 3000}) == [("memory.swap.max", "2000")]


@pytest.mark.parametrize(
    "member",
    [
        {"kernel": 5},
        {"kernelTCP": 5},
        {"swappiness": 0},
        {"disableOOMKiller": True},
        {"useHierarchy": False},
    ],
)
def test_v2_refuses_memory_settings_that_it_has_no_way_for(
    v2: Groups, member: dict[str, object]
) -> None:
    assert refused(v2, memory=member) == f"memory/{next(iter(member))}"


def test_v2_needs_no_write_for_what_is_so_anyway(v2: Groups) -> None:
    always = {"disableOOMKiller": False, "useHierarchy": True, "kernel": -1, "kernelTCP": -1}
    assert written(v2, memory=always) == []


def test_a_limit_below_the_usage_is_refused_when_that_is_to_be_checked(v2: Groups) -> None:
    existing(v2, "memory", memory__current=5000)
    assert refused(v2, memory={"limit": 4999, "checkBeforeUpdate": True}) == "memory/limit"
    assert written(v2, memory={"limit": 5000, "checkBeforeUpdate": True})
    assert written(v2, memory={"limit": 4999})


@pytest.mark.parametrize(
    ("member", "pointer"),
    [
        ({"limit": -2}, "memory/limit"),
        ({"swappiness": 101}, "memory/swappiness"),
        ({"limit": 1000, "swap": 999}, "memory/swap"),
    ],
)
def test_memory_that_means_nothing_is_refused_everywhere(
    v1: Groups, v2: Groups, member: dict[str, int], pointer: str
) -> None:
    assert refused(v1, memory=member) == refused(v2, memory=member) == pointer


@pytest.mark.parametrize(
    ("shares", "weight"),
    [(1, 1), (2, 1), (3, 2), (512, 59), (1024, 100), (2048, 174), (262144, 10000), (10**6, 10000)],
)
def test_shares_become_weights(shares: int, weight: int) -> None:
    assert cgroup_cpu.weight(shares) == weight


def test_weights_grow_with_shares() -> None:
    weights = [cgroup_cpu.weight(shares) for shares in range(2, 262145, 97)]
    assert weights == sorted(weights)


def test_v1_cpu(v1: Groups) -> None:
    wanted = {"shares": 512, "quota": 50, "period": 100, "burst": 20, "cpus": "0-1,3", "mems": "0"}
    assert written(v1, cpu=wanted) == [
        ("cpu.shares", "512"),
        ("cpu.cfs_period_us", "100"),
        ("cpu.cfs_quota_us", "50"),
        ("cpu.cfs_burst_us", "20"),
        ("cpuset.cpus", "0-1,3"),
        ("cpuset.mems", "0"),
    ]


def test_v2_cpu(v2: Groups) -> None:
    wanted = {"shares": 1024, "quota": -1, "period": 5000, "burst": 20, "idle": 1}
    assert written(v2, cpu=wanted) == [
        ("cpu.weight", "100"),
        ("cpu.idle", "1"),
        ("cpu.max", "max 5000"),
        ("cpu.max.burst", "20"),
    ]


def test_v2_leaves_the_half_of_cpu_max_that_is_not_given(v2: Groups) -> None:
    assert written(v2, cpu={"period": 5000}) == [("cpu.max", "max 5000")]
    existing(v2, "cpu", cpu__max="7000 20000")
    assert written(v2, cpu={"period": 5000}) == [("cpu.max", "7000 5000")]
    assert written(v2, cpu={"quota": 9000}) == [("cpu.max", "9000 20000")]


def test_an_idle_group_becomes_normal_before_it_gets_shares(v1: Groups) -> None:
    assert [name for name, _ in written(v1, cpu={"shares": 9, "idle": 0})] == [
        "cpu.idle",
        "cpu.shares",
    ]


def test_a_burst_that_shrinks_makes_room_for_the_quota(v1: Groups) -> None:
    existing(v1, "cpu", cpu__cfs_burst_us=40)
    assert [name for name, _ in written(v1, cpu={"quota": 30, "burst": 10})] == [
        "cpu.cfs_burst_us",
        "cpu.cfs_quota_us",
    ]


@pytest.mark.parametrize(
    ("before", "after", "first"),
    [
        ((50, 100), (100, 200), False),
        ((100, 200), (50, 100), True),
        ((-1, 100), (50, 100), False),
        ((50, 100), (-1, 100), True),
    ],
)
def test_between_two_writes_of_bandwidth_the_share_is_not_above_both(
    before: tuple[int, int], after: tuple[int, int], *, first: bool
) -> None:
    assert cgroup_cpu.quota_first(*before, *after) == first


def test_realtime_shrinks_runtime_first(v1: Groups) -> None:
    wanted = {"realtimePeriod": 100, "realtimeRuntime": 50}
    assert [name for name, _ in written(v1, cpu=wanted)] == [
        "cpu.rt_period_us",
        "cpu.rt_runtime_us",
    ]
    existing(v1, "cpu", cpu__rt_runtime_us=500)
    assert [name for name, _ in written(v1, cpu=wanted)] == [
        "cpu.rt_runtime_us",
        "cpu.rt_period_us",
    ]


def test_v2_has_no_realtime(v2: Groups) -> None:
    assert refused(v2, cpu={"realtimeRuntime": 5}) == "cpu/realtimeRuntime"


def test_a_burst_above_the_quota_is_refused(v2: Groups) -> None:
    assert refused(v2, cpu={"quota": 1000, "burst": 1001}) == "cpu/burst"
    assert written(v2, cpu={"quota": -1, "burst": 1001})


def test_zero_is_no_value_of_the_cpu_controller(v1: Groups) -> None:
    assert written(v1, cpu={"shares": 0, "quota": 0, "period": 0, "cpus": ""}) == []


@pytest.mark.parametrize(("limit", "text"), [(0, "0"), (-1, "max"), (100, "100")])
def test_limits_of_tasks(v1: Groups, v2: Groups, limit: int, text: str) -> None:
    assert written(v1, pids={"limit": limit}) == [("pids.max", text)]
    assert written(v2, pids={"limit": limit}) == [("pids.max", text)]
    assert written(v2, pids={}) == []


def test_tasks_are_limited_once_the_process_is_there(v2: Groups) -> None:
    (op,) = resources.compile(decode_resources(b'{"pids": {"limit": 0}}'), v2, stage=Stage.BEFORE)
    assert op.stage == Stage.ADOPT


def test_v1_block_io(v1: Groups) -> None:
    wanted = {
        "weight": 500,
        "weightDevice": [{"major": 8, "minor": 0, "weight": 300, "leafWeight": 200}],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 7}],
    }
    assert written(v1, blockIO=wanted) == [
        ("blkio.weight", "500"),
        ("blkio.weight_device", "8:0 300"),
        ("blkio.leaf_weight_device", "8:0 200"),
        ("blkio.throttle.write_iops_device", "8:16 7"),
    ]


def test_v1_weights_go_to_bfq_where_that_has_them(v1: Groups) -> None:
    (op,) = cgroup_io.compile(
        decode_resources(b'{"blockIO": {"weight": 10}}').block_io, v1, Stage.BEFORE
    )
    assert op.extra.endswith("/blkio.bfq.weight")


def test_v2_block_io(v2: Groups) -> None:
    wanted = {
        "weight": 1000,
        "weightDevice": [{"major": 8, "minor": 0, "weight": 10}],
        "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}],
        "throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 0}],
    }
    assert written(v2, blockIO=wanted) == [
        ("io.weight", "10000"),
        ("io.weight", "8:0 1"),
        ("io.max", "8:0 rbps=600"),
        ("io.max", "8:0 riops=max"),
    ]


def test_v2_weights_stay_as_they_are_for_bfq(v2: Groups) -> None:
    existing(v2, "io", io__bfq__weight="default 100")
    assert written(v2, blockIO={"weight": 300}) == [("io.bfq.weight", "300")]


def test_v2_has_no_leaf_weight(v2: Groups) -> None:
    assert refused(v2, blockIO={"leafWeight": 10}) == "blockIO/leafWeight"


def test_a_device_without_any_weight_is_refused(v1: Groups) -> None:
    device = {"major": 8, "minor": 0}
    assert refused(v1, blockIO={"weightDevice": [device]}) == "blockIO/weightDevice/0"


def test_huge_pages_are_limited_in_use_and_reserved(v1: Groups, v2: Groups) -> None:
    limits = [{"pageSize": "2MB", "limit": 4194304}]
    assert written(v1, hugepageLimits=limits) == [
        ("hugetlb.2MB.limit_in_bytes", "4194304"),
        ("hugetlb.2MB.rsvd.limit_in_bytes", "4194304"),
    ]
    assert written(v2, hugepageLimits=limits) == [
        ("hugetlb.2MB.max", "4194304"),
        ("hugetlb.2MB.rsvd.max", "4194304"),
    ]


def test_network_is_of_v1_only(v1: Groups, v2: Groups) -> None:
    wanted: dict[str, Any] = {"classID": 7, "priorities": [{"name": "lo", "priority": 3}]}
    assert written(v1, network=wanted) == [
        ("net_cls.classid", "7"),
        ("net_prio.ifpriomap", "lo 3"),
    ]
    assert refused(v2, network={"classID": 7}) == "network/classID"
    assert refused(v2, network={"priorities": wanted["priorities"]}) == "network/priorities/0"


def test_rdma(v2: Groups) -> None:
    both = {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}}
    assert written(v2, rdma=both) == [("rdma.max", "mlx5_1 hca_handle=3 hca_object=10000")]
    assert refused(v2, rdma={"a/b": {}}) == "rdma/a~1b"


def test_unified_is_written_line_by_line_and_needs_its_controller(v2: Groups) -> None:
    unified = {"io.max": "8:0 rbps=1\n8:16 wbps=2", "memory.made_up": "1", "cgroup.freeze": "0"}
    assert written(v2, unified=unified) == [
        ("io.max", "8:0 rbps=1"),
        ("io.max", "8:16 wbps=2"),
        ("memory.made_up", "1"),
        ("cgroup.freeze", "0"),
    ]
    assert set(v2.used) == {"io", "memory"}


@pytest.mark.parametrize("name", ["misc.max", "nothing", "../memory.max", ""])
def test_unified_of_no_controller_is_refused(v2: Groups, name: str) -> None:
    escaped = name.replace("/", "~1")
    assert refused(v2, unified={name: "1"}) == f"unified/{escaped}"


def test_unified_needs_a_v2_hierarchy(v1: Groups) -> None:
    assert refused(v1, unified={"memory.high": "1"}) == "unified/memory.high"


def test_on_a_hybrid_host_each_setting_goes_where_its_controller_is(v1: Groups) -> None:
    memory = v1.get("memory", "")
    unified = Group(Hierarchy("/u", 2, frozenset({"hugetlb"})), "/u/c")
    groups = Groups([memory, unified])
    ops = resources.compile(
        decode_resources(
            b'{"memory": {"limit": 5}, "hugepageLimits": [{"pageSize": "2MB", "limit": 1}],'
            b' "unified": {"hugetlb.1GB.max": "2"}}'
        ),
        groups,
        stage=Stage.BEFORE,
    )
    assert [op.path for op in ops] == [
        f"{memory.path}/memory.limit_in_bytes",
        "/u/c/hugetlb.2MB.max",
        "/u/c/hugetlb.2MB.rsvd.max",
        "/u/c/hugetlb.1GB.max",
    ]


def test_without_any_hierarchy_only_what_asks_for_something_is_refused() -> None:
    nothing = Groups([])
    empty: dict[str, Any] = {
        "memory": {},
        "cpu": {},
        "pids": {},
        "blockIO": {},
        "network": {},
        "rdma": {},
    }
    assert written(nothing, **empty) == []
    for section in ({"memory": {"limit": 1}}, {"cpu": {"cpus": "0"}}, {"pids": {"limit": 1}}):
        assert refused(nothing, **section)


def test_numbers_of_more_than_64_bits_are_refused(v2: Groups) -> None:
    assert refused(v2, cpu={"period": 2**64}) == "cpu/period"


def test_members_that_nobody_knows_are_ignored() -> None:
    assert decode_resources(b'{"memory": {"a": 1}, "b": 2}') == decode_resources(b'{"memory": {}}')
    assert decode_resources(b"{}") == Resources()
