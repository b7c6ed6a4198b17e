"""config.md, "Poststop": between the end of the container and the return of delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given

from seatrial.conformance.hooks import (
    LOG,
    Gate,
    Hook,
    UnderWay,
    at_gate,
    failing,
    hooked,
    live,
    tags,
)
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.hooks import ways_to_fail

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness


@requirement("config.hooks.poststop.after-delete-before-return")
def test_poststop_hooks_are_called_after_the_container_is_deleted(harness: Harness) -> None:
    hooks = {"poststop": [Hook("hook", *at_gate())]}
    with hooked(harness, hooks) as container, Gate(container.bundle) as gate:
        assert container.create().ok
        assert container.start().ok
        container.wait()
        assert tags(container.bundle) == ["program"]
        with UnderWay(container.delete, gate) as delete:
            assert delete.reaches(gate), delete.result()
            state = container.runtime.state(container.id)
            gate.open()
            assert delete.result().ok
            assert state.failed


@requirement("config.hooks.poststop.after-delete-before-return")
def test_delete_does_not_return_before_poststop_hooks_have_ended(harness: Harness) -> None:
    hooks = {"poststop": [Hook("hook", *at_gate(), "+", "mark", "end", LOG)]}
    with hooked(harness, hooks) as container, Gate(container.bundle) as gate:
        assert container.create().ok
        assert container.start().ok
        container.wait()
        with UnderWay(container.delete, gate) as delete:
            assert delete.reaches(gate), delete.result()
            container.runtime.state(container.id)
            assert not delete.returned
            gate.open()
            assert delete.result().ok
            assert tags(container.bundle) == ["program", "hook", "end"]


@requirement("config.hooks.poststop.failure-warns")
@given(way=ways_to_fail())
def test_delete_succeeds_although_a_poststop_hook_fails(harness: Harness, way: str) -> None:
    with hooked(harness, {"poststop": [failing(way)]}) as container:
        live(container)
        assert container.runtime.state(container.id).failed
        with harness.created(identifier=container.id):
            pass


@requirement("config.hooks.poststop.failure-continues")
def test_the_other_poststop_hooks_are_called_although_some_fail(harness: Harness) -> None:
    hooks = [
        Hook("first"),
        failing("exit-status"),
        Hook("next"),
        failing("signal"),
        Hook("next but one"),
        failing("timeout"),
        Hook("last"),
    ]
    with hooked(harness, {"poststop": hooks}) as container:
        called = [record.tag for record in live(container) if record.tag != "failing"]
    assert called == ["program", "first", "next", "next but one", "last"]
