"""runtime.md, "Start"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.conformance.bundle import Bundle
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness


@requirement("runtime.start.missing-id-errors")
def test_start_without_an_id_generates_an_error(harness: Harness) -> None:
    assert harness.runtime.start(None).failed


@requirement("runtime.start.runs-program")
def test_start_runs_the_program_once(harness: Harness) -> None:
    with harness.created(harness.config("mark", "program", Bundle.LOG)) as container:
        assert container.bundle.log_lines() == []
        assert container.start().ok
        container.wait()
        assert container.exit_status == 0
        assert len(container.bundle.log_lines()) == 1


@requirement("runtime.start.runs-program")
def test_start_does_not_wait_for_the_end_of_the_program(harness: Harness) -> None:
    with harness.created() as container:
        assert container.start().ok
        container.read_line()
        assert container.alive


@requirement("runtime.start.runs-program")
def test_each_container_runs_the_program_of_its_own_config(harness: Harness) -> None:
    with (
        harness.created(harness.config("say", "first")) as first,
        harness.created(harness.config("say", "second")) as second,
    ):
        assert second.start().ok
        assert second.read_line()["text"] == "second"
        assert first.state()["status"] == "created"
        assert first.start().ok
        assert first.read_line()["text"] == "first"


# Containers that are not created


@requirement("runtime.start.not-created-errors", "runtime.start.not-created-no-effect")
def test_start_of_a_running_container_generates_an_error(harness: Harness) -> None:
    config = harness.config("mark", "program", Bundle.LOG, "+", "catch")
    with harness.running(config) as container:
        assert container.read_line()["act"] == "catch"
        before = container.state()
        assert container.start().failed
        assert container.state() == before
        # The program has been neither disturbed nor run again.
        assert container.kill("USR1").ok
        assert container.read_line()["act"] == "caught"
        assert len(container.bundle.log_lines()) == 1


@requirement("runtime.start.not-created-errors", "runtime.start.not-created-no-effect")
def test_start_of_a_stopped_container_generates_an_error(harness: Harness) -> None:
    with harness.stopped(harness.config("mark", "program", Bundle.LOG)) as container:
        before = container.state()
        assert container.start().failed
        assert container.state() == before
        assert len(container.bundle.log_lines()) == 1


@requirement("runtime.start.not-created-errors", "runtime.start.not-created-no-effect")
def test_start_of_a_container_that_was_killed_before_generates_an_error(harness: Harness) -> None:
    with harness.created(harness.config("mark", "program", Bundle.LOG)) as container:
        if harness.ends_before_start(container):
            assert container.start().failed
            assert container.state()["status"] == "stopped"
            assert container.bundle.log_lines() == []


@requirement("runtime.start.not-created-errors")
def test_start_of_an_id_never_used_generates_an_error(harness: Harness) -> None:
    assert harness.runtime.start(harness.new_id()).failed


@requirement("runtime.start.not-created-errors")
def test_start_of_a_deleted_container_generates_an_error(stopped: Container) -> None:
    assert stopped.delete().ok
    assert stopped.runtime.start(stopped.id).failed


# Without process


@requirement("runtime.start.no-process-errors")
def test_start_of_a_container_without_process_generates_an_error(harness: Harness) -> None:
    config = harness.config()
    del config["process"]
    with harness.container(config) as container:
        if container.create().failed:
            # Which is an error as well, only an earlier one than this clause is about.
            harness.note("a config without process is refused by create")
            return
        assert container.state()["status"] == "created"
        assert container.start().failed
