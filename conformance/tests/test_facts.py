"""Facts about the host: each is said with what was looked at, met or not."""

from __future__ import annotations

import os
import platform
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance import adapters, cgroups, facts
from seatrial.conformance.cgroups import Hierarchy
from seatrial.conformance.registry import Registry, requirements_directory
from seatrial.conformance.registry.requirement import NEEDS

if TYPE_CHECKING:
    from seatrial.conformance.adapters import Adapter

#: Words of the vocabulary that nothing looks for yet: what needs them is skipped everywhere.
NOT_LOOKED_FOR = {"fs-iversion"}
#: What there is where the suite can run at all.
EVERYWHERE = {"mntns", "pidns", "utsns", "ipcns", "netns", "hook", "mount-propagation"}


@pytest.fixture
def crun() -> Adapter:
    """An adapter with all verbs."""
    return adapters.known()["crun"]


def words() -> list[str]:
    registry = Registry.load(requirements_directory())
    return sorted({*NEEDS, *(need for row in registry.values() for need in row.needs)})


@pytest.mark.parametrize("name", words())
def test_every_need_is_looked_for_with_evidence(name: str, crun: Adapter) -> None:
    evidence = facts.need(name, crun)
    if evidence.text == f"nothing here knows how to look for {name!r}":
        assert name in NOT_LOOKED_FOR
        assert not evidence
        return
    assert evidence.text
    assert bool(evidence) is evidence.met
    if name in EVERYWHERE:
        assert evidence.met


def test_nothing_is_a_need_that_nobody_knows() -> None:
    evidence = facts.need("warp-drive")
    assert (evidence.met, evidence.text) == (
        False,
        "nothing here knows how to look for 'warp-drive'",
    )


@pytest.mark.parametrize("name", ["exec", "update", "features", "pty", "log"])
def test_what_a_runtime_can_is_read_in_its_adapter(name: str, crun: Adapter) -> None:
    assert facts.need(name, crun)
    bare = replace(crun, verbs={"create": ("create",)}, options=())
    evidence = facts.need(name, bare)
    assert not evidence
    assert evidence.text.startswith("the adapter of crun has no ")


@pytest.mark.parametrize(("wanted", "met"), [("0.1", True), ("3", True), ("99.1", False)])
def test_a_kernel_is_compared_by_numbers(
    wanted: str, *, met: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "release", lambda: "10.2.3-weird")
    assert facts.need(f"kernel>={wanted}") == facts.Evidence(met=met, text="kernel 10.2.3-weird")
    assert facts.kernel_release() == (10, 2)
    monkeypatch.setattr(platform, "release", lambda: "odd")
    assert not facts.need("kernel>=1.0")


def test_a_capability_is_held_or_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "status_field", lambda _: f"{1 << 21:x}")
    assert facts.need("cap:sys_admin").text == "CAP_SYS_ADMIN is held"
    assert facts.need("cap:mknod").text == "CAP_MKNOD is withheld from the harness"
    assert "CAP_SYS_ADMIN" not in facts.withheld_capabilities()
    assert "CAP_MKNOD" in facts.withheld_capabilities()


def test_our_own_status_is_read() -> None:
    assert facts.status_field("Uid").split()[1] == str(os.geteuid())
    assert facts.status_field("NoSuchField") == ""


def at(path: str, version: int, *names: str) -> Hierarchy:
    return Hierarchy(Path("/sys/fs/cgroup") / path, version, frozenset(names))


V1 = [at("memory", 1, "memory"), at("blkio", 1, "blkio"), at("systemd", 1)]
V2 = [at("", 2, "memory", "io")]
HYBRID = [*V1, at("unified", 2, "hugetlb")]


@pytest.mark.parametrize(
    ("found", "name", "met"),
    [
        (V1, "controller:memory", True),
        (V1, "controller:io", True),
        (V1, "controller:hugetlb", False),
        (V1, "controller:freezer", False),
        (V1, "cgroup-v1", True),
        (V1, "cgroup-v2", False),
        (V2, "controller:io", True),
        (V2, "controller:freezer", True),
        (V2, "controller:devices", True),
        (V2, "controller:pids", False),
        (V2, "cgroup-v1", False),
        (V2, "cgroup-v2", True),
        (HYBRID, "controller:io", True),
        (HYBRID, "controller:hugetlb", False),
        (HYBRID, "cgroup-v1", True),
        (HYBRID, "cgroup-v2", False),
        ([], "controller:memory", False),
        ([], "cgroup-v1", False),
    ],
)
def test_cgroups_count_where_runtimes_use_them(
    found: list[Hierarchy], name: str, *, met: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroups, "hierarchies", lambda: found)
    evidence = facts.need(name)
    assert evidence.met == met
    assert evidence.text


@pytest.mark.parametrize(
    ("listed", "name", "text"),
    [
        ("capability,apparmor", "apparmor", "security modules: capability, apparmor"),
        ("capability,apparmor", "selinux", "security modules: capability, apparmor"),
        (None, "apparmor", "/sys/kernel/security/apparmor: ENOENT"),
        (None, "selinux", "/sys/fs/selinux/enforce: ENOENT"),
    ],
)
def test_security_modules_are_looked_up_in_two_places(
    listed: str | None, name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: str) -> os.stat_result:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(facts, "_read", lambda _: listed)
    monkeypatch.setattr(os, "stat", missing)
    evidence = facts.need(name)
    assert (evidence.met, evidence.text) == (bool(listed) and name in str(listed), text)


def test_seccomp_is_what_the_kernel_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_read", lambda _: "kill errno")
    assert facts.need("seccomp")
    assert not facts.need("seccomp-notify")
    monkeypatch.setattr(facts, "_read", lambda _: None)
    assert facts.need("seccomp").text == "seccomp actions_avail: not there"


def test_root_is_that_of_the_first_user_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(facts, "_read", lambda _: "0 1000 1")
    assert facts.need("root") == facts.Evidence(met=False, text="effective uid 0, uid_map 0 1000 1")


def test_the_header_of_results_has_the_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = facts.describe()
    assert found["kernel"] == platform.release()
    assert found["uid"] == os.geteuid()
    assert "proc" in facts.filesystems()

    def missing() -> dict[str, str]:
        raise OSError

    monkeypatch.setattr(platform, "freedesktop_os_release", missing)
    monkeypatch.setattr(facts, "_read", lambda _: None)
    assert facts.describe()["distribution"] == ""
