"""runtime.md, "Scope of a Container", "Operations", "Errors" and "Warnings"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.bundle import Bundle
from seatrial.conformance.hooks import Hook, failing, hooked, tags
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness


@requirement("runtime.operations.all-supported", "runtime.scope.creator-can-operate")
def test_who_creates_a_container_can_operate_on_it(harness: Harness) -> None:
    with harness.container(harness.config("pause")) as container:
        runtime = container.runtime
        assert container.create().ok
        assert runtime.state(container.id).ok
        assert container.start().ok
        container.read_line()
        assert container.kill("KILL").ok
        container.wait()
        assert container.delete().ok


@requirement("runtime.scope.creator-can-operate")
@settings(max_examples=10)
@given(umasks=st.lists(st.integers(0, 0o777), min_size=5, max_size=5))
def test_who_creates_a_container_can_operate_on_it_with_any_umask(
    harness: Harness, umasks: list[int]
) -> None:
    create, state, start, kill, delete = (
        harness.runtime.called_with_umask(umask) for umask in umasks
    )
    with harness.container(harness.config("pause"), runtime=create) as container:
        assert container.create().ok
        assert state.state(container.id).ok
        assert start.start(container.id).ok
        container.read_line()
        assert kill.kill(container.id, "KILL").ok
        container.wait()
        assert delete.delete(container.id).ok
        container.exists = False


@requirement("runtime.scope.creator-can-operate")
def test_who_creates_a_container_can_operate_on_it_from_anywhere(harness: Harness) -> None:
    with harness.container(harness.config("pause")) as container:
        runtime, bundle = container.runtime, container.bundle
        assert container.create(bundle=".", cwd=str(bundle.path)).ok
        assert runtime.invoke("state", id=container.id, cwd="/").ok
        assert runtime.invoke("start", id=container.id, cwd="/").ok
        container.read_line()
        assert runtime.invoke("kill", id=container.id, signal="KILL", cwd=str(bundle.rootfs)).ok
        container.wait()
        assert runtime.invoke("delete", id=container.id, cwd="/proc").ok
        container.exists = False


# Errors: the auditor looks around after each of these as well


@requirement("runtime.errors.environment-restored")
@pytest.mark.parametrize("operation", ["start", "state", "kill", "delete"])
def test_an_operation_on_no_container_changes_nothing(harness: Harness, operation: str) -> None:
    root = harness.runtime.state_root
    with harness.running() as other:
        before = other.state(), sorted(root.rglob("*"))
        assert harness.runtime.invoke(operation, id=harness.new_id(), signal="KILL").failed
        assert (other.state(), sorted(root.rglob("*"))) == before


@requirement("runtime.errors.environment-restored")
def test_a_create_that_fails_late_leaves_the_bundle_and_the_host_as_they_were(
    harness: Harness,
) -> None:
    config = harness.config()
    config["hostname"] = "h" * 65
    config["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"})  # noqa: S108
    with harness.bundle(config) as bundle:
        before = _files(bundle), _state(harness)
        with harness.container(config, bundle=bundle) as container:
            assert container.create().failed
        bundle.write_config(b"")
        assert (_files(bundle), _state(harness)) == before


def _files(bundle: Bundle) -> list[str]:
    files = sorted(bundle.rootfs.rglob("*"))
    return [f"{file} {file.lstat().st_mode:o} {file.lstat().st_ino}" for file in files]


def _state(harness: Harness) -> list[str]:
    return sorted(str(file) for file in harness.runtime.state_root.rglob("*"))


@requirement("runtime.errors.environment-restored")
def test_create_is_an_error_as_often_as_it_is_tried(harness: Harness) -> None:
    config = harness.config()
    config["root"]["path"] = "missing"
    with harness.bundle(config) as bundle:
        for _ in range(3):
            with harness.container(config, bundle=bundle, identifier="tried-again") as container:
                assert container.create().failed
                assert container.runtime.state(container.id).failed


# Warnings


@requirement("runtime.warnings.flow-unchanged")
def test_the_failure_of_a_poststop_hook_does_not_change_the_flow_of_delete(
    harness: Harness,
) -> None:
    hooks = {"poststop": [Hook("before"), failing("exit-status"), Hook("after")]}
    with hooked(harness, hooks) as container:
        assert container.create().ok
        assert container.start().ok
        container.wait()
        assert container.delete().ok
        assert container.runtime.state(container.id).failed
        assert tags(container.bundle)[1:] == ["before", "failing", "after"]


@requirement("runtime.warnings.flow-unchanged")
def test_a_capability_that_does_not_exist_does_not_change_the_flow(harness: Harness) -> None:
    config = harness.config("mark", "program", Bundle.LOG)
    sets = ("bounding", "effective", "permitted")
    config["process"]["capabilities"] = {name: ["CAP_KILL", "CAP_SEATRIAL"] for name in sets}
    with harness.container(config) as container:
        if container.create().failed:
            # It should not fail, which the chapter on capabilities judges; but then there was no
            # warning either, after which to go on.
            harness.note("a capability that does not exist is an error")
            return
        assert container.start().ok
        container.wait()
        assert container.exit_status == 0
        assert tags(container.bundle) == ["program"]
        assert container.delete().ok
