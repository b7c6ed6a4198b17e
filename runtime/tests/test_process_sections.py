"""Sections about the process: what is refused, where, and what the kernel is given."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from seatrial.oci import (
    _core,
    affinity,
    capabilities,
    id_mappings,
    intel_rdt,
    memory_policy,
    namespaces,
    network_devices,
    personality,
    process,
    scheduling,
    time_offsets,
)
from seatrial.oci.config import Capabilities, Config, IDMapping, Process
from seatrial.oci.errors import ConfigError
from seatrial.oci.operations import Kind, Op, Stage
from seatrial.oci.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def config_of(process: dict[str, Any] | None = None, **linux: object) -> Config:
    content: dict[str, Any] = {"ociVersion": "1.3.0", "linux": linux}
    if process is not None:
        content["process"] = {"cwd": "/", "args": ["/probe"], **process}
    return msgspec.convert(content, Config)


def process_of(**members: object) -> Process:
    return msgspec.convert({"cwd": "/", "args": ["/probe"], **members}, Process)


def refused(pointer: str, act: Callable[[], object]) -> None:
    with pytest.raises(ConfigError) as caught:
        act()
    assert caught.value.pointer == pointer


@pytest.mark.parametrize(
    ("text", "numbers"), [("0", [0]), ("0-3,7", [0, 1, 2, 3, 7]), (" 2 , 1\n", [1, 2])]
)
def test_a_list_of_numbers_and_ranges_is_read(text: str, numbers: list[int]) -> None:
    assert affinity.parse_list(text, "") == numbers


@pytest.mark.parametrize("text", ["a", "1-", "-1", "3-2", "1,,2", "99999", "0x1", "1 2", "²"])
def test_a_list_that_is_none_is_refused(text: str) -> None:
    refused("/here", lambda: affinity.parse_list(text, "/here"))


def test_a_mask_has_whole_words() -> None:
    assert affinity.mask([0, 3]) == struct.pack("<Q", 0b1001)
    assert affinity.mask([64]) == struct.pack("<QQ", 0, 1)


def test_an_exec_runs_on_its_cpus_before_and_after_it_enters_the_cgroup() -> None:
    wanted = process_of(execCPUAffinity={"initial": "0", "final": "1"})
    (before,), (after,) = affinity.initial(wanted), affinity.final(wanted)
    assert (before.stage, before.blob) == (Stage.JOIN, struct.pack("<Q", 1))
    assert (after.stage, after.blob) == (Stage.START, struct.pack("<Q", 2))


@pytest.mark.parametrize(
    ("policy", "pointer"),
    [
        ({"mode": "MPOL_X"}, "mode"),
        ({"mode": "MPOL_BIND"}, "nodes"),
        ({"mode": "MPOL_INTERLEAVE"}, "nodes"),
        ({"mode": "MPOL_DEFAULT", "nodes": "0"}, "nodes"),
        ({"mode": "MPOL_LOCAL", "nodes": "0"}, "nodes"),
        ({"mode": "MPOL_BIND", "nodes": "1023"}, "nodes"),
        ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_X"]}, "flags/0"),
        ({"mode": "MPOL_LOCAL", "flags": ["MPOL_F_STATIC_NODES"]}, "flags/0"),
        ({"mode": "MPOL_LOCAL", "flags": ["MPOL_F_NUMA_BALANCING"]}, "flags/0"),
        (
            {
                "mode": "MPOL_BIND",
                "nodes": "0",
                "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"],
            },
            "flags",
        ),
    ],
)
def test_a_memory_policy_that_no_kernel_takes_is_refused(
    policy: dict[str, Any], pointer: str
) -> None:
    config = config_of(memoryPolicy=policy)
    refused(f"/linux/memoryPolicy/{pointer}", lambda: list(memory_policy.compile(config)))


def test_a_memory_policy_is_a_mode_with_flags_and_a_mask_of_nodes() -> None:
    policy = {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}
    (op,) = memory_policy.compile(config_of(memoryPolicy=policy))
    assert op.numbers == (2 | 1 << 15,)
    assert op.blob == struct.pack("<Q", 1)


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"domain": "BSD"}, "/linux/personality/domain"),
        ({"domain": "LINUX", "flags": ["X"]}, "/linux/personality/flags/0"),
    ],
)
def test_an_unknown_personality_is_refused(wanted: dict[str, Any], pointer: str) -> None:
    refused(pointer, lambda: list(personality.compile(config_of(personality=wanted))))


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"policy": "SCHED_X"}, "/policy"),
        ({"policy": "SCHED_ISO"}, "/policy"),
        ({"policy": "SCHED_OTHER", "flags": ["X"]}, "/flags/0"),
        ({"policy": "SCHED_OTHER", "nice": 20}, "/nice"),
        ({"policy": "SCHED_OTHER", "priority": 1}, "/priority"),
        ({"policy": "SCHED_FIFO"}, "/priority"),
        ({"policy": "SCHED_RR", "priority": 100}, "/priority"),
        ({"policy": "SCHED_BATCH", "runtime": 5}, "/runtime"),
        ({"policy": "SCHED_DEADLINE"}, ""),
        ({"policy": "SCHED_DEADLINE", "runtime": 9000, "deadline": 8000}, ""),
    ],
)
def test_a_scheduler_that_no_kernel_takes_is_refused(wanted: dict[str, Any], pointer: str) -> None:
    refused(f"/process/scheduler{pointer}", lambda: scheduling.check(process_of(scheduler=wanted)))


def test_what_takes_power_over_the_host_is_set_by_the_runtime_in_a_user_namespace() -> None:
    wanted = process_of(
        scheduler={"policy": "SCHED_FIFO", "priority": 5},
        ioPriority={"class": "IOPRIO_CLASS_RT", "priority": 1},
    )
    for foreign, stage in ((True, Stage.ADOPT), (False, Stage.START)):
        ops = list(scheduling.compile(wanted, stage=stage, foreign=foreign))
        assert [op.kind for op in ops] == [Kind.SCHEDULER, Kind.IO_PRIORITY]
    assert not list(scheduling.compile(wanted, stage=Stage.START, foreign=True))


def test_capabilities_that_depend_on_one_another_are_what_the_kernel_can_grant(
    capfd: pytest.CaptureFixture[str],
) -> None:
    names = ["CAP_CHOWN", "CAP_KILL"]
    wanted = Capabilities(
        bounding=["CAP_CHOWN", "CAP_NOPE"], permitted=names, effective=[*names, "CAP_FOWNER"],
        inheritable=names, ambient=names,
    )  # fmt: skip
    found = capabilities.sets(wanted, granted=capabilities.every())
    chown, kill = 1 << 0, 1 << 5
    assert (found.bounding, found.permitted, found.effective) == (chown, chown | kill, chown | kill)
    assert (found.inheritable, found.ambient) == (chown, chown)
    warnings = capfd.readouterr().err
    for text in ("CAP_NOPE is unknown", "effective: capability CAP_FOWNER", "ambient: capability"):
        assert text in warnings


def test_power_to_load_a_filter_lasts_only_up_to_exec() -> None:
    ops = list(capabilities.grant(capabilities.Sets(1, 1, 1, 0, 0), for_filter=True))
    assert ops[0].numbers == (1 | capabilities.SYS_ADMIN, 1 | capabilities.SYS_ADMIN, 0)


def test_a_process_without_capabilities_keeps_none() -> None:
    config = config_of(process={})
    assert config.process is not None
    ops = list(process.compile(config.process, config, keyring="_ses.x"))
    kept = {op.kind: op.numbers for op in ops}
    assert kept[Kind.BOUNDING] == (0,)
    assert kept[Kind.CAPABILITIES] == (0, 0, 0)
    assert kept[Kind.AMBIENT] == (0,)


def test_a_filter_is_the_last_thing_before_exec() -> None:
    config = config_of(process={}, seccomp={"defaultAction": "SCMP_ACT_KILL"})
    assert config.process is not None
    kinds = [op.kind for op in process.compile(config.process, config, keyring="_ses.x")]
    assert kinds[-3:] == [Kind.PROGRAM, Kind.SECCOMP, Kind.EXEC]


def user_namespace(uids: list[dict[str, int]], gids: list[dict[str, int]] | None = None) -> Config:
    return config_of(
        namespaces=[{"type": "mount"}, {"type": "user"}],
        uidMappings=uids,
        gidMappings=uids if gids is None else gids,
    )


def row(container: int, host: int, size: int) -> dict[str, int]:
    return {"containerID": container, "hostID": host, "size": size}


@pytest.mark.parametrize(
    ("rows", "pointer"),
    [
        ([], "/linux/uidMappings"),
        ([row(0, 0, 0)], "/linux/uidMappings/0/size"),
        ([row(0, 0, 10), row(9, 100, 1)], "/linux/uidMappings/1/containerID"),
        ([row(0, 105, 10), row(20, 100, 10)], "/linux/uidMappings/0/hostID"),
        ([row(0, 2**32 - 2, 10)], "/linux/uidMappings/0/hostID"),
        ([row(i, i, 1) for i in range(341)], "/linux/uidMappings"),
    ],
)
def test_mappings_that_no_kernel_takes_are_refused(
    rows: list[dict[str, int]], pointer: str
) -> None:
    refused(pointer, lambda: id_mappings.check(user_namespace(rows)))


def test_mappings_without_a_user_namespace_are_refused() -> None:
    config = config_of(uidMappings=[row(0, 0, 1)])
    refused("/linux/uidMappings", lambda: id_mappings.check(config))


def test_a_map_has_a_line_for_each_range() -> None:
    ops = list(id_mappings.compile(user_namespace([row(0, 1000, 1), row(5, 2000, 3)])))
    assert [op.path for op in ops] == ["uid_map", "gid_map"]
    assert ops[0].text == "0 1000 1\n5 2000 3\n"


def test_without_privileges_one_gid_is_mapped_by_giving_up_setgroups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(capabilities, "held", lambda: 0)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("os.getegid", lambda: 1000)
    ops = list(id_mappings.compile(user_namespace([row(0, 1000, 1)])))
    assert [(op.kind, op.path) for op in ops] == [
        (Kind.ID_MAP, "uid_map"),
        (Kind.PROCESS_FILE, "setgroups"),
        (Kind.ID_MAP, "gid_map"),
    ]


def test_without_privileges_more_ids_are_mapped_by_a_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(capabilities, "held", lambda: 0)
    config = user_namespace([row(0, 1000, 1), row(1, 100000, 9)])
    monkeypatch.setenv("PATH", str(tmp_path))
    refused("/linux/uidMappings", lambda: list(id_mappings.compile(config)))
    for name in ("newuidmap", "newgidmap"):
        (tmp_path / name).touch(0o755)
    ops = list(id_mappings.compile(config))
    assert [op.path for op in ops] == [f"{tmp_path}/newuidmap", f"{tmp_path}/newgidmap"]
    assert ops[0].blob == b"0\x001000\x001\x001\x00100000\x009\x00"


def test_where_root_is_not_mapped_the_first_id_is_taken() -> None:
    op = id_mappings.become(user_namespace([row(7, 1000, 1)]), new=True)
    assert op.numbers == (7, 7)
    assert IDMapping().size == 0


@pytest.mark.parametrize(
    ("linux", "pointer"),
    [
        ({"timeOffsets": {"monotonic": {}}}, ""),
        (
            {
                "timeOffsets": {"monotonic": {}},
                "namespaces": [{"type": "time", "path": "/proc/1/ns/time"}],
            },
            "",
        ),
        ({"timeOffsets": {"real": {}}, "namespaces": [{"type": "time"}]}, "/real"),
        (
            {
                "timeOffsets": {"boottime": {"nanosecs": 10**9}},
                "namespaces": [{"type": "time"}],
            },
            "/boottime/nanosecs",
        ),
    ],
)
def test_offsets_that_no_namespace_takes_are_refused(linux: dict[str, Any], pointer: str) -> None:
    refused(f"/linux/timeOffsets{pointer}", lambda: time_offsets.check(config_of(**linux)))


def test_a_time_namespace_is_made_by_clone_unless_it_has_offsets() -> None:
    plain = config_of(namespaces=[{"type": "time"}])
    moved = config_of(namespaces=[{"type": "time"}], timeOffsets={"monotonic": {"secs": 1}})
    assert namespaces.new(plain) == namespaces.FLAGS["time"]
    assert namespaces.new(moved) == 0


def test_all_namespaces_are_opened_before_any_is_entered_and_the_users_last_but_retried() -> None:
    paths = [{"type": kind, "path": f"/{kind}"} for kind in ("user", "network")]
    ops = [op for op in namespaces.compile(config_of(namespaces=paths)) if op.stage == Stage.JOIN]
    user, network = namespaces.FLAGS["user"], namespaces.FLAGS["network"]
    assert [(op.kind, op.flags) for op in ops] == [
        (Kind.OPEN_NAMESPACE, user),
        (Kind.OPEN_NAMESPACE, network),
        (Kind.SETNS, network),
        (Kind.SETNS, user),
        (Kind.SETNS, network),
    ]


@pytest.mark.parametrize(
    ("devices", "pointer"),
    [
        ({"a/b": {}}, "/a~1b"),
        ({"eth%d": {}}, "/eth%d"),
        ({"eth0": {"name": "a" * 16}}, "/eth0/name"),
        ({"eth0": {"name": "x%s"}}, "/eth0/name"),
        ({"eth0": {"name": ".."}}, "/eth0/name"),
        ({"eth0": {"name": "q"}, "q": {}}, "/q/name"),
    ],
)
def test_names_that_no_device_can_have_are_refused(devices: dict[str, Any], pointer: str) -> None:
    config = config_of(namespaces=[{"type": "network"}], netDevices=devices)
    refused(f"/linux/netDevices{pointer}", lambda: list(network_devices.compile(config)))


def test_devices_need_a_network_namespace_to_move_to() -> None:
    config = config_of(netDevices={"eth0": {}})
    refused("/linux/netDevices", lambda: list(network_devices.compile(config)))


def rdt(
    monkeypatch: pytest.MonkeyPatch, top: Path, **members: object
) -> list[tuple[str, str, str]]:
    monkeypatch.setattr(intel_rdt, "mounted", lambda: str(top))
    ops = intel_rdt.compile(config_of(intelRdt=members), "c1")
    return [(op.kind.name, op.path.removeprefix(str(top)), op.text) for op in ops]


def test_without_a_class_of_its_own_a_container_gets_one_that_goes_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ops = rdt(
        monkeypatch, tmp_path, memBwSchema="MB:0=20", l3CacheSchema="L3:0=f", schemata=["L2:0=1"],
        enableMonitoring=True,
    )  # fmt: skip
    assert ops == [
        ("MAKE_DIRECTORIES", "/c1", ""),
        ("WRITE", "/c1/schemata", "L3:0=f\n"),
        ("WRITE", "/c1/schemata", "MB:0=20\n"),
        ("WRITE", "/c1/schemata", "L2:0=1\n"),
        ("ATTACH_TASK", "/c1/tasks", ""),
        ("MAKE_DIRECTORIES", "/c1/mon_groups/c1", ""),
        ("ATTACH_TASK", "/c1/mon_groups/c1/tasks", ""),
        ("REMOVE_CGROUP", "/c1/mon_groups/c1", ""),
        ("REMOVE_CGROUP", "/c1", ""),
    ]


def test_a_new_class_with_a_name_stays_unless_its_create_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(intel_rdt, "mounted", lambda: str(tmp_path))
    config = config_of(intelRdt={"closID": "gold", "schemata": ["L3:0=f"]})
    *_, removed = intel_rdt.compile(config, "c1")
    state = (b'"c1"', b'"/"', b"stopped", b"")
    group = tmp_path / "gold"
    group.mkdir()

    def end(ops: list[Op]) -> bool:
        plan = Plan(0, ops).encode()
        assert _core.run_stage(plan, Stage.DELETED, 0, *state) is None
        return group.exists()

    assert end([removed])
    (group / "tasks").write_text("1234\n")
    assert intel_rdt.undone([removed]) == []
    (group / "tasks").unlink()
    assert not end(intel_rdt.undone([removed]))


def test_a_class_that_exists_is_joined_and_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "gold").mkdir()
    (tmp_path / "gold/schemata").write_text("    L3:0=00f;1=0f0\n    MB:0=100\n")
    joined = [("ATTACH_TASK", "/gold/tasks", "")]
    assert rdt(monkeypatch, tmp_path, closID="gold") == joined
    assert rdt(monkeypatch, tmp_path, closID="gold", l3CacheSchema="L3:0=f;1=f0") == joined
    refused(
        "/linux/intelRdt/l3CacheSchema",
        lambda: rdt(monkeypatch, tmp_path, closID="gold", l3CacheSchema="L3:0=1"),
    )
    refused("/linux/intelRdt/closID", lambda: rdt(monkeypatch, tmp_path, closID="none"))
    assert rdt(monkeypatch, tmp_path, closID="/") == [("ATTACH_TASK", "/tasks", "")]


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"closID": "a/b"}, "/closID"),
        ({"memBwSchema": "L3:0=1"}, "/memBwSchema"),
        ({"schemata": ["MB:0=1\nL3:0=1"]}, "/schemata/0"),
    ],
)
def test_schemata_that_are_none_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, members: dict[str, Any], pointer: str
) -> None:
    refused(f"/linux/intelRdt{pointer}", lambda: rdt(monkeypatch, tmp_path, **members))
