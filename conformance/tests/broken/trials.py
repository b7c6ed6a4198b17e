"""A suite of one test per way to be broken; named so that pytest takes it only when it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness


@requirement("runtime.state.status-created")
def test_a_created_container_is_created(created: Container) -> None:
    assert created.state()["status"] == "created"


@requirement("runtime.lifecycle.program-not-run-by-create")
def test_the_program_is_not_run_by_create(harness: Harness) -> None:
    config = harness.config("log", "ran", "/seatrial.log")
    with harness.created(config) as container:
        container.kill("KILL")
        container.wait()
        assert not container.bundle.log_lines()


@requirement("runtime.kill.delivers-signal")
def test_a_signal_is_delivered(running: Container) -> None:
    assert running.kill("KILL").ok
    running.wait()
    assert running.exit_status == -9


@requirement("runtime.kill.not-alive-errors")
def test_kill_of_a_stopped_container_is_an_error(stopped: Container) -> None:
    assert stopped.kill("KILL").failed


@requirement("config.hostname.applied")
@settings(
    derandomize=True,
    max_examples=2,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(name=st.sampled_from(("aft", "fore")))
def test_the_hostname_is_set(harness: Harness, name: str) -> None:
    config = harness.config()
    config["hostname"] = name
    report = harness.run(config)
    if report["hostname"] != name:
        raise Ignored("the hostname is not set")


@requirement("runtime.create.unappliable-property-errors")
def test_a_config_that_is_not_json_is_an_error(harness: Harness) -> None:
    assert harness.attempt(b"{").failed
