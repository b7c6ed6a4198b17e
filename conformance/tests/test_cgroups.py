"""The host's cgroup hierarchies, the views of them, and the run's own cgroups."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance import cgroups, namespaces
from seatrial.conformance.cgroups import Hierarchy, OwnCgroups
from seatrial.conformance.errors import HarnessError, UnfitError
from seatrial.conformance.namespaces import Mount, Private

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this")

_numbers = itertools.count(1)


@pytest.fixture
def private() -> Iterator[None]:
    """Give namespaces of our own."""
    with Private():
        yield


@pytest.fixture
def name() -> str:
    """A name that no run has."""
    return f"test-{os.getpid()}-{next(_numbers)}"


def hierarchy(version: int, *controllers: str) -> Hierarchy:
    return Hierarchy(Path("/proc"), version, frozenset(controllers))


@pytest.mark.parametrize(
    ("found", "mode"),
    [
        ([], "none"),
        ([hierarchy(2, "pids")], "v2"),
        ([hierarchy(2)], "v2"),
        ([hierarchy(1, "pids"), hierarchy(1)], "v1"),
        ([hierarchy(1, "pids"), hierarchy(2)], "v1"),
        ([hierarchy(1, "pids"), hierarchy(2, "cpu")], "hybrid"),
        ([hierarchy(1), hierarchy(2, "cpu")], "v2"),
    ],
)
def test_a_set_up_has_a_name(found: list[Hierarchy], mode: str) -> None:
    assert cgroups.mode(found) == mode


def test_hierarchies_are_found_where_they_are_mounted() -> None:
    found = cgroups.hierarchies()
    assert found
    for each in found:
        assert (each.path / "cgroup.procs").exists()
        assert (each.path / "cgroup.controllers").exists() == (each.version == cgroups.V2)


def test_only_what_is_below_sys_fs_cgroup_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        Mount("/sys/fs/cgroup/cpu,cpuacct", "/", "cgroup", "cgroup"),
        Mount("/sys/fs/cgroup/systemd", "/", "cgroup", "cgroup"),
        Mount("/elsewhere/pids", "/", "cgroup", "cgroup"),
        Mount("/sys/fs/cgroup", "/", "tmpfs", "tmpfs"),
    ]
    monkeypatch.setattr(cgroups, "mounts", lambda: lines)
    monkeypatch.setattr(cgroups, "_controllers", lambda: frozenset({"cpu", "cpuacct", "pids"}))
    monkeypatch.setattr(os.path, "ismount", lambda _: True)
    monkeypatch.setattr(Path, "exists", lambda _: True)
    assert [(str(each.path), set(each.controllers)) for each in cgroups.hierarchies()] == [
        ("/sys/fs/cgroup/cpu,cpuacct", {"cpu", "cpuacct"}),
        ("/sys/fs/cgroup/systemd", set()),
    ]


def test_a_kernel_without_version_1_has_no_controllers_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    monkeypatch.setattr(cgroups, "mounts", list)
    assert cgroups.hierarchies() == []


@pytest.mark.usefixtures("private")
def test_the_view_of_version_2_is_the_unified_hierarchy_alone() -> None:
    cgroups.take_view("v2")
    (found,) = cgroups.hierarchies()
    assert (found.path, found.version) == (cgroups.ROOT, 2)


@pytest.mark.usefixtures("private")
def test_the_view_of_version_1_is_without_the_unified_hierarchy() -> None:
    if any(each.path == cgroups.ROOT for each in cgroups.hierarchies()):
        with pytest.raises(UnfitError, match=r"^the host has cgroup v2 only"):
            cgroups.take_view("v1")
        return
    cgroups.take_view("v1")
    assert {each.version for each in cgroups.hierarchies()} == {1}


@pytest.mark.usefixtures("private")
def test_the_view_of_the_host_changes_nothing() -> None:
    before = cgroups.hierarchies()
    cgroups.take_view("host")
    assert cgroups.hierarchies() == before


@pytest.mark.usefixtures("private")
def test_a_host_with_version_2_only_has_no_version_1() -> None:
    cgroups.take_view("v2")
    with pytest.raises(UnfitError, match=r"^the host has cgroup v2 only; view v1 cannot be made$"):
        cgroups.take_view("v1")


@pytest.mark.usefixtures("private")
def test_without_a_hierarchy_a_run_is_refused(name: str) -> None:
    for each in reversed(namespaces.mounts()):
        if each.target.startswith("/sys/fs/cgroup"):
            namespaces.umount(each.target, namespaces.MNT_DETACH)
    assert cgroups.mode(cgroups.hierarchies()) == "none"
    with pytest.raises(UnfitError, match=r"^no cgroup hierarchy is mounted") as caught:
        OwnCgroups(name)
    assert caught.value.hint


@pytest.mark.usefixtures("private")
def test_cgroups_that_cannot_be_made_are_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [hierarchy(1)])
    with pytest.raises(UnfitError, match=r"^cannot make cgroup /proc/seatrial") as caught:
        OwnCgroups(name)
    assert caught.value.hint


def test_own_cgroups_are_in_every_hierarchy_and_go_with_all_below(name: str) -> None:
    own = OwnCgroups(name)
    folders = own.folders()
    assert len(folders) == len(cgroups.hierarchies())
    assert all(folder.is_dir() for folder in folders)
    assert own.left() == []
    (folders[0] / "a" / "b").mkdir(parents=True)
    assert own.left() == [folders[0] / "a", folders[0] / "a" / "b"]
    own.clear()
    assert own.left() == []
    assert all(folder.is_dir() for folder in folders)
    own.remove()
    assert not any(folder.exists() for folder in folders)


def test_the_common_parent_stays_while_another_run_uses_it(name: str) -> None:
    first, second = OwnCgroups(name), OwnCgroups(f"{name}-other")
    first.remove()
    assert all(folder.is_dir() for folder in second.folders())
    second.remove()


def test_what_is_gone_already_is_no_error(name: str) -> None:
    own = OwnCgroups(name)
    for folder in own.folders():
        folder.rmdir()
    assert own.left() == []
    own.remove()
    cgroups.remove(Path("/sys/fs/cgroup/there-is-no-such-cgroup"))


def test_one_that_stays_busy_is_an_error_of_the_harness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "busy").mkdir()
    times = iter([0.0, 1.0, 100.0])
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    with pytest.raises(
        HarnessError, match=f"^cannot remove cgroup {tmp_path}: Directory not empty"
    ):
        cgroups.remove(tmp_path)
