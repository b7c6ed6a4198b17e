"""runtime.md, "Query State"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings

from seatrial.conformance.marks import requirement
from seatrial.conformance.states import STATUSES
from seatrial.conformance.strategies.containers import identifiers

if TYPE_CHECKING:
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness


@requirement("runtime.state-query.missing-id-errors")
def test_a_query_without_an_id_generates_an_error(harness: Harness) -> None:
    assert harness.runtime.state(None).failed


@requirement("runtime.state-query.unknown-container-errors")
@settings(max_examples=10)
@given(identifier=identifiers())
def test_a_query_of_an_id_never_used_generates_an_error(harness: Harness, identifier: str) -> None:
    assert harness.runtime.state(f"never-{identifier}").failed


@requirement("runtime.state-query.unknown-container-errors")
def test_a_query_of_a_deleted_container_generates_an_error(stopped: Container) -> None:
    assert stopped.delete().ok
    assert stopped.runtime.state(stopped.id).failed


@requirement("runtime.state-query.unknown-container-errors")
def test_a_query_of_a_part_of_an_id_generates_an_error(harness: Harness) -> None:
    with harness.created(identifier="long-name") as container:
        for part in ("long", "long-", "name", "long-nam", "LONG-NAME", "long-name2", "*", "."):
            assert container.runtime.state(part).failed


@requirement("runtime.state-query.returns-state")
def test_a_query_returns_the_state_at_every_stage(staged: Container, stage: str) -> None:
    state = staged.state()
    assert state["id"] == staged.id
    assert state["status"] == stage
    assert {"ociVersion", "id", "status", "bundle"} <= state.keys()


@requirement("runtime.state-query.returns-state")
def test_each_of_several_containers_has_a_state_of_its_own(harness: Harness) -> None:
    with (
        harness.created() as created,
        harness.running() as running,
        harness.stopped() as stopped,
    ):
        containers = (created, running, stopped)
        for container, status in zip(containers, STATUSES[1:], strict=True):
            state = container.state()
            assert (state["id"], state["status"]) == (container.id, status)
            assert state["bundle"] == str(container.bundle.path)


@requirement("runtime.state-query.returns-state")
def test_a_query_changes_nothing(staged: Container) -> None:
    before = staged.state()
    assert [staged.state() for _ in range(3)] == [before] * 3
