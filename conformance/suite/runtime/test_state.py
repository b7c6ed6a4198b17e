"""runtime.md, "State": ociVersion, id, status and the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from seatrial.conformance import processes
from seatrial.conformance.hooks import Gate, Hook, UnderWay, at_gate, hooked
from seatrial.conformance.marks import requirement
from seatrial.conformance.runtime import parse_object
from seatrial.conformance.states import SEMVER, STATUSES, State, breaches
from seatrial.conformance.strategies.containers import identifiers

if TYPE_CHECKING:
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness


@requirement("runtime.state.oci-version-present", "runtime.state.oci-version-of-create")
def test_the_state_names_a_version_of_the_spec(staged: Container) -> None:
    assert SEMVER.fullmatch(staged.state()["ociVersion"])


@requirement("runtime.state.id-present")
@given(identifier=identifiers())
def test_the_state_names_the_container(harness: Harness, identifier: str) -> None:
    with harness.created(identifier=identifier) as container:
        assert container.state()["id"] == identifier


@requirement("runtime.state.id-present")
def test_the_state_names_the_container_at_every_stage(staged: Container) -> None:
    assert staged.state()["id"] == staged.id


@requirement("runtime.state.schema-valid", "runtime.state.json-pattern")
def test_the_state_is_valid_at_every_stage(staged: Container) -> None:
    assert breaches(staged.state()) == []


# The status


@requirement("runtime.state.status-present", "runtime.state.status-values")
def test_the_status_is_one_of_those_that_the_spec_defines(staged: Container) -> None:
    assert staged.state()["status"] in STATUSES


@requirement("runtime.state.status-created")
def test_a_container_is_created_until_it_is_started(created: Container) -> None:
    assert [created.state()["status"] for _ in range(3)] == ["created"] * 3
    assert created.start().ok
    assert created.state()["status"] != "created"


@requirement("runtime.state.status-created", "runtime.state.status-stopped")
def test_a_container_that_is_killed_before_start_is_stopped(
    harness: Harness, created: Container
) -> None:
    if harness.ends_before_start(created):
        assert created.state()["status"] == "stopped"


@requirement("runtime.state.status-running")
def test_a_container_is_running_while_its_program_runs(harness: Harness) -> None:
    with harness.running(harness.config("catch")) as container:
        assert container.state()["status"] == "running"
        assert container.kill("USR1").ok
        container.read_line()
        assert container.state()["status"] == "running"


@requirement("runtime.state.status-running")
def test_a_container_whose_process_is_suspended_is_running(running: Container) -> None:
    # The process has neither exited nor is it anything that the spec has another word for.
    assert running.kill("STOP").ok
    assert running.state()["status"] == "running"


@requirement("runtime.state.status-stopped")
def test_a_container_is_stopped_once_its_process_has_exited(running: Container) -> None:
    assert running.pid is not None
    # It has exited as soon as its end can be seen, also while nobody has collected it yet.
    with processes.left_uncollected(running.pid):
        assert running.kill("KILL").ok
        assert processes.wait(running.pid, timeout_s=running.runtime.timeout_s)
        assert running.state()["status"] == "stopped"
    running.wait()
    assert running.state()["status"] == "stopped"


@requirement("runtime.state.status-stopped")
def test_a_container_is_stopped_although_another_of_its_processes_lives_on(
    harness: Harness,
) -> None:
    # With a PID namespace of its own the kernel would end the others with the first.
    config = harness.config("orphan", "+", "exit", "0")
    config["linux"]["namespaces"] = [{"type": "mount"}]
    with harness.stopped(config) as container:
        assert container.state()["status"] == "stopped"


@requirement("runtime.state.status-creating")
def test_while_create_is_at_work_the_container_is_not_further_than_created(
    harness: Harness,
) -> None:
    hooks = {"createRuntime": [Hook("hook", *at_gate())]}
    with (
        hooked(harness, hooks, "pause") as container,
        Gate(container.bundle) as gate,
        UnderWay(container.create, gate) as create,
    ):
        assert create.reaches(gate), create.result()
        result = container.runtime.state(container.id)
        status = State(parse_object(result))["status"] if result.ok else "unknown"
        gate.open()
        assert create.result().ok
        assert status in {"unknown", "creating", "created"}
        assert container.state()["status"] == "created"
    if status != "creating":
        harness.note(f"while create is at work the container is {status}")


@requirement("runtime.state.status-extra-only-new-states")
def test_a_status_of_the_runtimes_own_is_for_a_situation_of_its_own(harness: Harness) -> None:
    runtime = harness.runtime
    if not runtime.adapter.has("pause") or not runtime.adapter.has("resume"):
        harness.note("there is no situation that the spec does not define")
        return
    with harness.running() as container:
        paused = runtime.invoke("pause", id=container.id)
        assert paused.ok, paused
        try:
            status = container.state()["status"]
        finally:
            resumed = runtime.invoke("resume", id=container.id)
        assert resumed.ok, resumed
        assert container.state()["status"] == "running"
        # Its program runs and has not exited: of the four only this one is true.
        assert status not in {*STATUSES} - {"running"}
        assert container.alive


@requirement("runtime.state.status-extra-only-new-states")
@pytest.mark.parametrize("path", ["before-start", "after-start"])
def test_no_other_status_comes_between(harness: Harness, path: str) -> None:
    with harness.created() as container:
        seen = [container.state()["status"]]
        if path == "after-start":
            assert container.start().ok
            seen += [container.state()["status"]]
            container.read_line()
            seen += [container.state()["status"]]
            assert container.kill("KILL").ok
            container.wait()
            seen += [container.state()["status"]]
        elif harness.ends_before_start(container):
            seen += [container.state()["status"]]
    assert set(seen) <= set(STATUSES)
