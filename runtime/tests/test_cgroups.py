"""Where the container's cgroups are, whose they are, and how they come and go."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from seatrial.oci import _core, cgroup_ownership, cgroups, freezer, stats
from seatrial.oci.command import Usage
from seatrial.oci.config import Config, decode
from seatrial.oci.errors import ConfigError
from seatrial.oci.hierarchies import Group, Hierarchy, hierarchies
from seatrial.oci.operations import Kind, Op, Stage
from seatrial.oci.plan import Plan
from seatrial.oci.verbs import events, update

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def config(path: str = "/a/b", **members: object) -> Config:
    linux = {"cgroupsPath": path, **members}
    return decode(msgspec.json.encode({"ociVersion": "1.3.0", "linux": linux}))


@pytest.fixture
def v1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    names = ("cpuset", "freezer", "pids")
    found = [Hierarchy(f"{tmp_path}/{name}", 1, frozenset({name})) for name in names]
    monkeypatch.setattr(cgroups, "hierarchies", lambda: found)
    return tmp_path


@pytest.fixture
def v2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = [Hierarchy(str(tmp_path), 2, frozenset({"cpu", "pids"}))]
    monkeypatch.setattr(cgroups, "hierarchies", lambda: found)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "where"),
    [("/a/b", "/a/b"), ("a//b/", "/a/b"), ("", "/seatrial-oci/c1"), ("//a", "/a")],
)
def test_a_path_is_taken_from_the_root_of_the_hierarchies(path: str, where: str) -> None:
    assert cgroups.path_of(config(path), "c1") == where


@pytest.mark.parametrize("path", ["/", "/a/../..", "../a", "."])
def test_a_path_that_is_not_below_the_root_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="/linux/cgroupsPath"):
        cgroups.path_of(config(path), "c1")


def test_the_process_is_put_into_every_hierarchy_of_v1(v1: Path) -> None:
    ops = list(cgroups.compile(config(), "c1"))
    assert [op.path for op in ops if op.kind == Kind.ATTACH] == [
        f"{v1}/{name}/a/b/cgroup.procs" for name in ("cpuset", "freezer", "pids")
    ]
    assert [op.flags & cgroups.CLONED_INTO for op in ops if op.kind == Kind.ATTACH] == [0, 0, 0]
    assert [op.extra for op in ops if op.kind == Kind.ATTACH] == [
        "",
        f"{v1}/freezer/a/b/freezer.state",
        "",
    ]


def test_on_v2_the_process_is_cloned_into_its_cgroup(v2: Path) -> None:
    (attach,) = (op for op in cgroups.compile(config(), "c1") if op.kind == Kind.ATTACH)
    assert attach.flags == cgroups.CLONED_INTO
    assert attach.extra == f"{v2}/a/b/cgroup.freeze"


def test_on_v2_controllers_are_enabled_from_the_root_down_and_the_needed_ones_for_sure(
    v2: Path,
) -> None:
    ops = cgroups.compile(config(resources={"pids": {"limit": 5}}), "c1")
    enabled = [(op.path, op.text, op.flags) for op in ops if op.kind == Kind.ENABLE_CONTROLLERS]
    assert enabled == [
        (f"{v2}/cgroup.subtree_control", "+pids", 0),
        (f"{v2}/cgroup.subtree_control", "+cpu", cgroups.WHERE_POSSIBLE),
        (f"{v2}/a/cgroup.subtree_control", "+pids", 0),
        (f"{v2}/a/cgroup.subtree_control", "+cpu", cgroups.WHERE_POSSIBLE),
    ]


def test_the_limit_of_tasks_comes_after_the_process(v2: Path) -> None:
    ops = list(cgroups.compile(config(resources={"pids": {"limit": 0}}), "c1"))
    assert [op.kind for op in ops if op.stage == Stage.ADOPT] == [Kind.ATTACH, Kind.WRITE]
    assert ops[-1].path == f"{v2}/a/b/pids.max"


def test_a_cgroup_in_use_is_refused(v2: Path) -> None:
    (v2 / "a/b").mkdir(parents=True)
    (v2 / "a/b/cgroup.procs").write_text("17\n")
    with pytest.raises(ConfigError, match="in use by 1 processes"):
        list(cgroups.compile(config(), "c1"))


@pytest.mark.parametrize("state", ["FROZEN", "FREEZING"])
def test_a_frozen_cgroup_is_refused(v1: Path, state: str) -> None:
    (v1 / "freezer/a/b").mkdir(parents=True)
    (v1 / "freezer/a/b/freezer.state").write_text(f"{state}\n")
    with pytest.raises(ConfigError, match="is frozen"):
        list(cgroups.compile(config(), "c1"))


def test_an_exec_goes_where_the_process_went_when_the_cgroup_only_has_children(v2: Path) -> None:
    stored = Plan(0, [op for op in cgroups.compile(config(), "c1") if op.kind == Kind.ATTACH])
    (v2 / "a/b").mkdir(parents=True)
    assert [op.path for op in cgroups.join(stored, os.getpid())] == [f"{v2}/a/b/cgroup.procs"]
    (v2 / "a/b/kid").mkdir()
    assert [op.path for op in cgroups.join(stored, os.getpid(), {"": "kid"})] == [
        f"{v2}/a/b/kid/cgroup.procs"
    ]


@pytest.mark.usefixtures("v2")
def test_a_joined_cgroup_is_never_taken_by_clone() -> None:
    stored = Plan(0, [op for op in cgroups.compile(config(), "c1") if op.kind == Kind.ATTACH])
    assert [op.flags for op in cgroups.join(stored, os.getpid())] == [0]


RW = {"destination": "/sys/fs/cgroup", "source": "cgroup", "type": "cgroup"}


def delegated(uid: int = 5, **changes: Any) -> Config:
    given: dict[str, object] = {
        "ociVersion": "1.3.0",
        "process": {"cwd": "/", "user": {"uid": uid}},
        "mounts": [RW],
        "linux": {
            "namespaces": [{"type": "cgroup"}, {"type": "user"}],
            "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
        },
    }
    return decode(msgspec.json.encode({**given, **changes}))


def owners(of: Config, version: int = 2) -> set[tuple[str, int]]:
    group = Group(Hierarchy("/h", version, frozenset()), "/h/c")
    ops = cgroup_ownership.compile(of, "/h/c", [group], Stage.BEFORE)
    return {(op.path, op.numbers[0]) for op in ops}


def test_a_delegated_cgroup_and_its_files_belong_to_the_user_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cgroup_ownership, "DELEGATE", "/nonexistent")
    names = ("", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads")
    assert owners(delegated()) == {(f"/h/c{name}", 1005) for name in names}


def test_without_a_user_namespace_the_owner_is_the_user_itself() -> None:
    linux = {"namespaces": [{"type": "cgroup"}]}
    assert {uid for _, uid in owners(delegated(linux=linux))} == {5}


@pytest.mark.parametrize(
    "changes",
    [
        {"mounts": []},
        {"mounts": [{**RW, "options": ["nosuid", "ro"]}]},
        {"mounts": [{**RW, "source": "cgroup2"}]},
        {"mounts": [{**RW, "destination": "/cgroup"}]},
        {"linux": {"namespaces": []}},
        {"linux": {"namespaces": [{"type": "cgroup", "path": "/proc/1/ns/cgroup"}]}},
    ],
)
def test_a_cgroup_that_is_not_delegated_keeps_its_owner(changes: dict[str, Any]) -> None:
    assert owners(delegated(**changes)) == set()


def test_ownership_does_not_change_on_v1_nor_for_a_user_without_an_id_here() -> None:
    assert owners(delegated(), version=1) == set()
    assert owners(delegated(uid=77)) == set()


@pytest.fixture
def unified() -> Iterator[str]:
    found = [each for each in hierarchies() if each.version == 2]
    if os.geteuid() != 0 or not found or not os.access(found[0].path, os.W_OK):
        pytest.skip("needs a v2 hierarchy to write to")
    path = tempfile.mkdtemp(prefix="seatrial-test-", dir=found[0].path)
    yield path
    for where, _, _ in os.walk(path, topdown=False):
        os.rmdir(where)


def do(*ops: Op) -> int:
    plan = Plan(0, list(ops)).encode()
    failure = _core.run_stage(plan, Stage.BEFORE, os.getpid(), b'""', b'""', b"", b"")
    return 0 if failure is None else int(failure[0])


def make(path: str, owner: str) -> Op:
    return Op(
        Kind.MAKE_DIRECTORIES,
        Stage.BEFORE,
        "make",
        path=path,
        text=owner,
        flags=cgroups.MARK,
        numbers=(0o755,),
    )


def take_away(path: str, owner: str = "", flags: int = cgroups.MARK) -> Op:
    return Op(Kind.REMOVE_CGROUP, Stage.BEFORE, "remove", path=path, text=owner, flags=flags)


def test_what_create_made_is_removed_with_all_that_is_in_it(unified: str) -> None:
    assert do(make(f"{unified}/a/b", "c1")) == 0
    os.makedirs(f"{unified}/a/b/kid/grandkid")
    assert do(take_away(f"{unified}/a/b", "c1")) == 0
    assert do(take_away(f"{unified}/a", flags=cgroups.MARK | cgroups.ABOVE)) == 0
    assert not os.path.exists(f"{unified}/a")


def test_what_was_there_before_stays(unified: str) -> None:
    os.makedirs(f"{unified}/a/b")
    assert do(make(f"{unified}/a/b", "c1"), take_away(f"{unified}/a/b", "c1")) == 0
    assert do(take_away(f"{unified}/a", flags=cgroups.MARK | cgroups.ABOVE)) == 0
    assert os.path.exists(f"{unified}/a/b")


def test_what_another_container_has_come_to_use_stays(unified: str) -> None:
    assert do(make(f"{unified}/a", "c1"), make(f"{unified}/a", "c2")) == 0
    assert do(take_away(f"{unified}/a", "c1")) == 0
    assert os.path.exists(f"{unified}/a")
    assert do(take_away(f"{unified}/a", "c2")) == 0
    assert not os.path.exists(f"{unified}/a")


def test_a_folder_above_goes_with_the_last_that_is_in_it(unified: str) -> None:
    assert do(make(f"{unified}/a/b", "c1"), make(f"{unified}/a/c", "c2")) == 0
    above = take_away(f"{unified}/a", flags=cgroups.MARK | cgroups.ABOVE)
    assert do(take_away(f"{unified}/a/b", "c1"), above) == 0
    assert os.path.exists(f"{unified}/a")
    assert do(take_away(f"{unified}/a/c", "c2"), above) == 0
    assert not os.path.exists(f"{unified}/a")


def test_a_v2_cgroup_is_frozen_and_thawed(unified: str) -> None:
    hierarchy = next(each for each in hierarchies() if each.version == 2)
    groups = [Group(hierarchy, unified)]
    freezer.freeze(groups)
    assert freezer.is_frozen(groups)
    freezer.thaw(groups)
    assert not freezer.is_frozen(groups)


def test_what_has_no_freezer_is_not_frozen() -> None:
    assert not freezer.is_frozen([])
    freezer.thaw([])


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("-1", -1),
        ("0", 0),
        ("512", 512),
        ("512m", 512 << 20),
        ("1.5G", 3 << 29),
        ("7KiB", 7168),
        ("2mb", 2 << 20),
    ],
)
def test_sizes_have_units(text: str, size: int) -> None:
    assert update.size(text, "memory") == size


@pytest.mark.parametrize("text", ["", "-2", "x", "5q", "1 2"])
def test_what_is_no_size_is_wrong_usage(text: str) -> None:
    with pytest.raises(Usage):
        update.size(text, "memory")


@pytest.mark.parametrize(
    ("text", "time_s"), [("5s", 5), ("500ms", 0.5), ("1m30s", 90), ("2h", 7200)]
)
def test_times_have_units(text: str, time_s: float) -> None:
    assert events.duration_s(text) == time_s


@pytest.mark.parametrize("text", ["", "5", "0s", "-5s", "5s6"])
def test_what_is_no_time_is_wrong_usage(text: str) -> None:
    with pytest.raises(Usage):
        events.duration_s(text)


def test_statistics_of_v2_are_given_in_the_form_of_v1(v2: Path) -> None:
    hierarchy = Hierarchy(str(v2), 2, frozenset({"memory", "pids", "io", "cpu"}))
    (v2 / "c").mkdir()
    files = {
        "memory.max": "max",
        "memory.current": "4096",
        "memory.stat": "file 7\nanon 8\n",
        "memory.swap.max": "100",
        "memory.swap.current": "10",
        "memory.events": "low 0\nmax 3\noom 1\n",
        "pids.current": "2",
        "pids.max": "max",
        "io.stat": "8:0 rbytes=5 wbytes=6 rios=1 wios=2 dbytes=0 dios=0",
        "cpu.stat": "usage_usec 9\nuser_usec 4\nsystem_usec 5\nnr_throttled 2\nthrottled_usec 7\n",
        "cpu.pressure": "some avg10=0.50 avg60=0.00 avg300=0.00 total=12\n",
    }
    for name, content in files.items():
        (v2 / "c" / name).write_text(content)
    found = stats.collect([Group(hierarchy, f"{v2}/c")])
    assert found["memory"]["usage"] == {"limit": 2**64 - 1, "usage": 4096, "max": 0, "failcnt": 3}
    assert found["memory"]["swap"]["usage"] == 4106
    assert found["memory"]["cache"] == 7
    assert found["pids"] == {"current": 2, "limit": 0}
    assert found["blkio"]["ioServiceBytesRecursive"] == [
        {"major": 8, "minor": 0, "op": "Read", "value": 5},
        {"major": 8, "minor": 0, "op": "Write", "value": 6},
    ]
    assert found["cpu"]["usage"] == {"total": 9000, "user": 4000, "kernel": 5000}
    assert found["cpu"]["throttling"]["throttledTime"] == 7000
    assert found["cpu"]["psi"]["some"] == {"avg10": 0.5, "avg60": 0.0, "avg300": 0.0, "total": 12}


def test_nothing_is_counted_where_nothing_counts() -> None:
    assert stats.collect([])["memory"] == {}


def test_a_hierarchy_beneath_another_mount_is_none() -> None:
    program = (
        "from seatrial.oci import hierarchies; found = hierarchies.hierarchies();"
        "print([(each.path, each.version) for each in found])"
    )
    cover = (
        "mount -t tmpfs over /sys/fs/cgroup && mkdir /sys/fs/cgroup/later && "
        'mount -t cgroup2 later /sys/fs/cgroup/later && exec "$@"'
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", cover, "sh", sys.executable, "-c", program],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "[('/sys/fs/cgroup/later', 2)]\n"


def test_a_cpuset_below_empty_ones_is_set_up_from_the_top(tmp_path: Path) -> None:
    # Files in place of the kernel's, which writes a line even for an empty set.
    files = ("cpuset.cpus", "cpuset.mems")
    for folder, content in (("", "0-1\n"), ("above", "\n"), ("above/own", "\n")):
        (tmp_path / folder).mkdir(exist_ok=True)
        for file in files:
            (tmp_path / folder / file).write_text(content)
    path = str(tmp_path / "above/own")
    op = Op(
        Kind.MAKE_DIRECTORIES,
        Stage.BEFORE,
        "make",
        path=path,
        flags=cgroups.CPUSET,
        numbers=(0o755, len(str(tmp_path)) + 1),
    )
    binary = Plan(0, [op]).encode()
    assert _core.run_stage(binary, Stage.BEFORE, 0, b'""', b'""', b"", b"") is None
    for file in files:
        assert (tmp_path / "above/own" / file).read_text() == "0-1\n"
