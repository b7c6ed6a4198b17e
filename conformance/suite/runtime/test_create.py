"""runtime.md, "Create": what it is given, what it makes, and ids that are taken."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from seatrial.conformance.bundle import Bundle
from seatrial.conformance.hooks import Gate, Hook, UnderWay, at_gate, hooked
from seatrial.conformance.marks import needs, requirement

if TYPE_CHECKING:
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness


@requirement("runtime.create.missing-bundle-errors")
def test_create_without_a_bundle_generates_an_error(harness: Harness) -> None:
    # A command line may take the working directory for the bundle that it was not told; this one
    # holds none.
    with harness.container(harness.config()) as container:
        folder = container.bundle.rootfs / "tmp"
        assert container.create(bundle=None, cwd=str(folder)).failed
        assert container.runtime.state(container.id).failed


@requirement("runtime.create.missing-id-errors")
def test_create_without_an_id_generates_an_error(harness: Harness) -> None:
    with harness.bundle(harness.config()) as bundle:
        assert harness.runtime.invoke("create", bundle=str(bundle.path)).failed


@requirement("runtime.create.makes-container")
def test_create_makes_a_container(harness: Harness) -> None:
    with harness.container(harness.config("pause")) as container:
        assert container.runtime.state(container.id).failed
        assert container.create().ok
        assert container.state()["status"] == "created"
        assert container.alive


@requirement("runtime.create.makes-container")
def test_a_bundle_serves_several_containers(harness: Harness) -> None:
    with harness.bundle(harness.config()) as bundle:
        config = harness.config("pause")
        with (
            harness.running(config, bundle=bundle) as first,
            harness.running(config, bundle=bundle) as second,
        ):
            assert first.id != second.id
            assert first.state()["pid"] != second.state()["pid"]
            assert second.kill("KILL").ok
            second.wait()
            assert first.state()["status"] == "running"


@requirement("runtime.lifecycle.program-not-run-by-create")
def test_create_does_not_run_the_program(harness: Harness) -> None:
    with harness.created(harness.config("mark", "program", Bundle.LOG)) as container:
        assert container.state()["status"] == "created"
        # What ends before it is started has not run either, however long it would have waited.
        assert container.kill("KILL").ok
        container.wait()
        assert container.bundle.log_lines() == []


@needs("host-kernel")
@requirement("runtime.create.args-not-applied")
def test_the_program_is_not_in_the_process_before_start(harness: Harness) -> None:
    with harness.created(harness.config("say", "started", "+", "pause")) as container:
        assert os.readlink(f"/proc/{container.pid}/exe") != "/probe"
        with open(f"/proc/{container.pid}/cmdline", "rb") as words:
            assert words.read().split(b"\0")[:3] != [b"/probe", b"say", b"started"]
        assert container.start().ok
        assert container.read_line()["text"] == "started"
        assert os.readlink(f"/proc/{container.pid}/exe") == "/probe"


@requirement("runtime.create.args-not-applied")
def test_a_program_that_is_missing_is_a_matter_for_start(harness: Harness) -> None:
    config = harness.config()
    config["process"]["args"] = ["/no/such/program"]
    with harness.container(config) as container:
        # To look a program up may or may not be to apply args.
        if container.create().failed:
            harness.note("create refuses a program that is not there")


# Ids that are taken


def _untouched(first: Container, state: dict[str, object]) -> None:
    """Assert that a container is as it was, and that it goes on through its life."""
    assert first.state() == state
    if state["status"] == "created":
        assert first.start().ok
        first.read_line()
    if state["status"] != "stopped":
        assert first.alive
        assert first.kill("KILL").ok
        first.wait()
    assert first.delete().ok


@requirement("runtime.create.duplicate-id-errors", "runtime.create.duplicate-id-creates-nothing")
def test_the_id_of_a_container_at_any_stage_is_taken(harness: Harness, staged: Container) -> None:
    state = staged.state()
    with harness.container(harness.config(), identifier=staged.id) as second:
        assert second.create().failed
    _untouched(staged, state)


@requirement("runtime.create.duplicate-id-errors", "runtime.create.duplicate-id-creates-nothing")
def test_the_same_bundle_is_not_created_twice_under_one_id(
    harness: Harness, staged: Container
) -> None:
    state = staged.state()
    config = harness.config("pause")
    with harness.container(config, bundle=staged.bundle, identifier=staged.id) as second:
        assert second.create().failed
    _untouched(staged, state)


@requirement("runtime.create.duplicate-id-errors", "runtime.create.duplicate-id-creates-nothing")
def test_the_hooks_of_a_container_whose_id_is_taken_are_not_run(
    harness: Harness, created: Container
) -> None:
    with harness.bundle(harness.config()) as bundle:
        kinds = ("prestart", "createRuntime", "createContainer", "poststop")
        config = harness.config()
        config["hooks"] = {kind: [Hook(kind).entry(kind, bundle)] for kind in kinds}
        with harness.container(config, bundle=bundle, identifier=created.id) as second:
            assert second.create().failed
        assert bundle.log_lines() == []


@requirement("runtime.create.duplicate-id-errors", "runtime.create.duplicate-id-creates-nothing")
def test_an_id_is_taken_while_create_is_at_work(harness: Harness) -> None:
    hooks = {"createRuntime": [Hook("hook", *at_gate())]}
    with (
        hooked(harness, hooks, "pause") as first,
        Gate(first.bundle) as gate,
        UnderWay(first.create, gate) as create,
    ):
        assert create.reaches(gate), create.result()
        with harness.container(harness.config(), identifier=first.id) as second:
            assert second.create().failed
        gate.open()
        assert create.result().ok
        assert first.start().ok
        first.read_line()


@requirement("runtime.state.id-host-unique")
def test_an_id_is_unique_in_one_state_root_at_least(harness: Harness) -> None:
    with harness.created() as first:
        with harness.container(harness.config(), identifier=first.id) as second:
            assert second.create().failed
        elsewhere = replace(harness.runtime, state_root=first.bundle.path / "state")
        config = harness.config()
        # Not the cgroup of the first, which would be another reason to refuse.
        config["linux"]["cgroupsPath"] = f"{harness.cgroup}/{harness.new_id()}"
        with harness.container(config, identifier=first.id, runtime=elsewhere) as third:
            if third.create().ok:
                harness.note("another state root may hold the same id")
        assert first.state()["status"] == "created"
