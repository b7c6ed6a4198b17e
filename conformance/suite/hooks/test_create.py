"""config.md, "Prestart", "CreateRuntime Hooks", "CreateContainer Hooks": what is there by then."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seatrial.conformance import namespaces, processes
from seatrial.conformance.config import with_namespaces
from seatrial.conformance.hooks import (
    LOG,
    Gate,
    Hook,
    UnderWay,
    at_gate,
    for_each_kind,
    hooked,
    record_of,
    tags,
)
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.namespaces import Mount

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.conformance.bundle import Bundle
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

#: Types in a config that are there from the start, and the names that the kernel has for them.
_OWN = {"pid": "pid", "network": "net", "mount": "mnt", "ipc": "ipc", "uts": "uts"}


@needs("host-kernel")
@for_each_kind("before-pivot-root", kinds=["prestart", "createRuntime"])
def test_before_pivot_root_the_root_of_the_container_is_not_its_own_yet(
    harness: Harness, kind: str
) -> None:
    with (
        hooked(harness, {kind: [Hook("hook", *at_gate())]}) as container,
        Gate(container.bundle) as gate,
        UnderWay(container.create, gate) as create,
    ):
        assert create.reaches(gate), create.result()
        pid = _process(container.bundle)
        assert _namespaces(pid, ["mnt"]) != {"mnt": namespaces.current("mnt")}
        assert not _is_root(pid, container.bundle.rootfs)
        assert not create.returned
        gate.open()
        assert create.result().ok
        assert _is_root(pid, container.bundle.rootfs)


@for_each_kind("before-pivot-root", kinds=["createContainer"])
def test_before_pivot_root_a_hook_in_the_container_is_at_the_root_of_the_host(
    harness: Harness, kind: str
) -> None:
    hook = Hook("hook", *at_gate(), "+", "mark", "end", LOG)
    with (
        hooked(harness, {kind: [hook]}) as container,
        Gate(container.bundle) as gate,
        UnderWay(container.create, gate) as create,
    ):
        assert create.reaches(gate), create.result()
        record = record_of(container.bundle)
        assert record.path == str(container.bundle.log)
        assert record.seen["root"]["inode"] == os.stat("/").st_ino
        assert record.seen["root"]["inode"] != os.stat(container.bundle.rootfs).st_ino
        assert record.seen["namespaces"]["mnt"] != namespaces.current("mnt")
        assert not create.returned
        gate.open()
        assert create.result().ok
        assert tags(container.bundle) == ["hook", "end"]


def _process(bundle: Bundle) -> int:
    pid = record_of(bundle).pid
    # All that a runtime starts is below the harness, which is its subreaper.
    assert pid in processes.descendants(os.getpid())
    return pid


def _is_root(pid: int, folder: Path) -> bool:
    return os.path.samestat(os.stat(f"/proc/{pid}/root"), os.stat(folder))


def _namespaces(pid: int, kinds: list[str]) -> dict[str, str]:
    return {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in kinds}


@needs("host-kernel")
@for_each_kind("after-namespaces", kinds=["prestart", "createRuntime"])
def test_the_namespaces_of_the_container_are_there(harness: Harness, kind: str) -> None:
    config = with_namespaces(harness.config("exit", "0"), list(_OWN))
    with (
        hooked(harness, {kind: [Hook("hook", *at_gate())]}, config=config) as container,
        Gate(container.bundle) as gate,
        UnderWay(container.create, gate) as create,
    ):
        assert create.reaches(gate), create.result()
        there = _namespaces(_process(container.bundle), list(_OWN.values()))
        gate.open()
        assert create.result().ok
        assert there == {name: container.namespace(name) for name in _OWN.values()}
        assert not set(there.values()) & {namespaces.current(name) for name in _OWN.values()}


@needs("host-kernel")
@requirement("config.hooks.create-runtime.mounts-done")
def test_the_mounts_of_the_container_are_done_before_create_runtime_hooks(harness: Harness) -> None:
    with (
        hooked(
            harness, {"createRuntime": [Hook("hook", *at_gate())]}, config=_config(harness)
        ) as container,
        Gate(container.bundle) as gate,
        UnderWay(container.create, gate) as create,
    ):
        assert create.reaches(gate), create.result()
        pid = _process(container.bundle)
        with open(f"/proc/{pid}/mountinfo", encoding="latin-1") as lines:
            mounts = [Mount.parse(line.rstrip("\n")) for line in lines]
        assert _expected(container.bundle) <= {(each.target, each.fstype) for each in mounts}


@requirement("config.hooks.create-container.mounts-done")
def test_the_mounts_of_the_container_are_done_before_create_container_hooks(
    harness: Harness,
) -> None:
    with hooked(harness, {"createContainer": [Hook("hook")]}, config=_config(harness)) as container:
        result = container.create()
        assert result.ok, result
        seen = record_of(container.bundle).seen
        mounts = {(each.target, each.fstype) for each in seen.mounts}
        assert _expected(container.bundle) <= mounts


def _config(harness: Harness) -> Config:
    config = harness.config("exit", "0")
    config["mounts"] += [
        {"destination": "/mnt", "type": "tmpfs", "source": "tmpfs"},
        {"destination": "/mnt/bound", "type": "none", "source": "/proc", "options": ["bind"]},
    ]
    return config


def _expected(bundle: Bundle) -> set[tuple[str, str]]:
    mounts = {"/proc": "proc", "/dev": "tmpfs", "/mnt": "tmpfs", "/mnt/bound": "proc"}
    return {(f"{bundle.rootfs}{target}", fstype) for target, fstype in mounts.items()}


@requirement("config.hooks.prestart.during-start")
def test_prestart_hooks_are_called_by_start(harness: Harness) -> None:
    with hooked(harness, {"prestart": [Hook("hook")]}) as container:
        assert container.create().ok
        assert tags(container.bundle) == []
        assert container.start().ok
        container.wait()
        assert tags(container.bundle) == ["hook", "program"]
