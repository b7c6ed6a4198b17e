"""runtime.md, "Delete": what may be deleted, and what has to be gone then."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance import cgroups, namespaces, processes
from seatrial.conformance.config import with_namespaces
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.strategies.containers import identifiers

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness


@requirement("runtime.delete.missing-id-errors")
def test_delete_without_an_id_generates_an_error(harness: Harness) -> None:
    assert harness.runtime.delete(None).failed


# Containers that are not stopped


@requirement("runtime.delete.not-stopped-errors", "runtime.delete.not-stopped-no-effect")
def test_delete_of_a_running_container_generates_an_error(harness: Harness) -> None:
    with harness.running(harness.config("catch")) as container:
        before = container.state()
        assert container.delete().failed
        assert container.state() == before
        # The program has not noticed.
        assert container.kill("USR1").ok
        assert container.read_line()["act"] == "caught"


@requirement("runtime.delete.not-stopped-errors", "runtime.delete.not-stopped-no-effect")
def test_delete_of_a_suspended_container_generates_an_error(running: Container) -> None:
    assert running.kill("STOP").ok
    before = running.state()
    assert running.delete().failed
    assert running.state() == before
    assert running.alive


@requirement("runtime.delete.not-stopped-errors")
def test_delete_of_a_created_container_generates_an_error(created: Container) -> None:
    assert created.delete().failed


@requirement("runtime.delete.not-stopped-no-effect")
def test_delete_of_a_created_container_has_no_effect(created: Container) -> None:
    before = created.state()
    created.delete()
    result = created.runtime.state(created.id)
    assert result.ok, result
    assert created.state() == before
    assert created.start().ok
    created.read_line()


@requirement("runtime.delete.not-stopped-errors")
@settings(max_examples=10)
@given(identifier=identifiers())
def test_delete_of_an_id_never_used_generates_an_error(harness: Harness, identifier: str) -> None:
    assert harness.runtime.delete(f"never-{identifier}").failed


@requirement("runtime.delete.not-stopped-errors")
def test_a_container_is_deleted_only_once(stopped: Container) -> None:
    assert stopped.delete().ok
    assert stopped.delete().failed


@requirement("runtime.delete.not-stopped-no-effect")
def test_delete_of_one_container_leaves_the_others(harness: Harness) -> None:
    with (
        harness.created() as created,
        harness.running() as running,
        harness.stopped() as stopped,
        harness.stopped() as deleted,
    ):
        before = [each.state() for each in (created, running, stopped)]
        assert deleted.delete().ok
        assert [each.state() for each in (created, running, stopped)] == before
        assert created.alive
        assert running.alive


# What is gone


@requirement("runtime.delete.removes-created-resources")
def test_a_deleted_container_is_unknown(stopped: Container) -> None:
    assert stopped.delete().ok
    assert stopped.runtime.state(stopped.id).failed


@requirement("runtime.delete.removes-created-resources")
def test_the_cgroup_is_gone_after_delete(harness: Harness) -> None:
    config = harness.config("exit", "0")
    config["linux"]["cgroupsPath"] = path = f"{harness.cgroup}/{harness.new_id()}"
    with harness.stopped(config) as container:
        assert container.delete().ok
        assert _existing(path) == []


@requirement("runtime.delete.removes-created-resources")
def test_the_cgroup_is_gone_after_delete_although_create_made_those_above_it(
    harness: Harness,
) -> None:
    config = harness.config("exit", "0")
    above = f"{harness.cgroup}/{harness.new_id()}"
    config["linux"]["cgroupsPath"] = path = f"{above}/below"
    with harness.stopped(config) as container:
        assert container.delete().ok
        assert _existing(path) == []
        # Those above it may have become others' meanwhile, which hardly is create's to know.
        if left := _existing(above):
            harness.note("cgroups that create made above the container's are left after delete")
        for folder in left:
            cgroups.remove(folder)


@needs("host-kernel")
@requirement("runtime.delete.removes-created-resources")
def test_the_cgroup_is_gone_after_delete_although_a_process_lived_on_in_it(
    harness: Harness,
) -> None:
    config = with_namespaces(harness.config("orphan", "+", "exit", "0"), ["mount"])
    config["linux"]["cgroupsPath"] = path = f"{harness.cgroup}/{harness.new_id()}"
    with harness.stopped(config) as container:
        orphan = container.read_line()["pid"]
        assert container.delete().ok
        assert _existing(path) == []
        assert processes.wait(orphan, timeout_s=container.runtime.timeout_s)


@requirement("runtime.delete.removes-created-resources")
def test_the_cgroup_is_gone_after_delete_although_the_container_divided_it(
    harness: Harness,
) -> None:
    config = harness.config("pause")
    config["linux"]["cgroupsPath"] = path = f"{harness.cgroup}/{harness.new_id()}"
    with harness.running(config) as container:
        for folder in _existing(path):
            (folder / "division").mkdir()
        assert container.kill("KILL").ok
        container.wait()
        assert container.delete().ok
        assert _existing(path) == []


@requirement("runtime.delete.removes-created-resources")
def test_no_mount_is_left_after_delete(harness: Harness) -> None:
    before = namespaces.mounts()
    config = harness.config("exit", "0")
    config["mounts"].append({"destination": "/memory", "type": "tmpfs", "source": "tmpfs"})
    config["linux"] |= {"rootfsPropagation": "private", "maskedPaths": ["/proc/version"]}
    with harness.stopped(config) as container:
        assert container.delete().ok
        assert namespaces.mounts() == before


@requirement("runtime.delete.removes-created-resources")
def test_no_process_is_left_after_delete(harness: Harness) -> None:
    before = set(processes.children(os.getpid()))
    with harness.stopped() as container:
        assert container.delete().ok
        left = set(processes.children(os.getpid())) - before
        assert [pid for pid in left if not processes.wait(pid, timeout_s=1)] == []


@requirement("runtime.delete.removes-created-resources")
def test_nothing_is_left_in_the_state_root_after_delete(harness: Harness) -> None:
    root = harness.runtime.state_root
    before = sorted(root.rglob("*"))
    with harness.stopped() as container:
        assert container.delete().ok
        assert sorted(root.rglob("*")) == before


@requirement("runtime.delete.id-reusable")
@settings(max_examples=5)
@given(acts=st.lists(st.sampled_from("abc"), min_size=2, max_size=4))
def test_an_id_is_free_again_after_delete(harness: Harness, acts: list[str]) -> None:
    identifier = harness.new_id()
    for text in acts:
        config = harness.config("say", text)
        with harness.created(config, identifier=identifier) as container:
            assert container.start().ok
            assert container.read_line()["text"] == text
            container.wait()
            assert container.delete().ok


def _existing(path: str) -> list[Path]:
    """Return the folders of a cgroup, in every hierarchy that has it."""
    folders = [each.path / path.lstrip("/") for each in cgroups.hierarchies()]
    return [folder for folder in folders if folder.is_dir()]
