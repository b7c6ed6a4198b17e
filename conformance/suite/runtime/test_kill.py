"""runtime.md, "Kill"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness


@requirement("runtime.kill.not-alive-errors", "runtime.kill.not-alive-no-effect")
def test_kill_of_a_stopped_container_generates_an_error(stopped: Container) -> None:
    before = stopped.state()
    assert stopped.kill("KILL").failed
    assert stopped.state() == before


@requirement("runtime.delete.not-stopped-errors")
def test_delete_of_a_created_container_generates_an_error(created: Container) -> None:
    assert created.delete().failed


@requirement("runtime.kill.missing-id-errors")
def test_kill_without_an_id_generates_an_error(harness: Harness) -> None:
    assert harness.runtime.kill(None).failed
