"""config.md, "StartContainer Hooks" and "Poststart": around the execution of the program."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seatrial.conformance.hooks import LOG, Gate, Hook, UnderWay, at_gate, hooked, tags
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness

_END = ("mark", "end", LOG)
#: How long a runtime has to show that it does not wait for what it should wait for.
_WRONGLY_S = 0.3


def _has_executed_program(container: Container) -> bool:
    program = os.stat(container.bundle.rootfs / "probe")
    return os.path.samestat(os.stat(f"/proc/{container.pid}/exe"), program)


@requirement("config.hooks.start-container.invoked")
def test_start_container_hooks_are_not_called_by_create(harness: Harness) -> None:
    with hooked(harness, {"startContainer": [Hook("hook")]}) as container:
        assert container.create().ok
        assert tags(container.bundle) == []


@requirement("config.hooks.start-container.before-program")
def test_start_container_hooks_are_called_before_the_program_is_executed(harness: Harness) -> None:
    hooks = {"startContainer": [Hook("hook", *at_gate(), "+", *_END)]}
    with hooked(harness, hooks) as container, Gate(container.bundle) as gate:
        assert container.create().ok
        assert tags(container.bundle) == []
        with UnderWay(container.start, gate) as start:
            assert gate.is_reached(), start.result()
            assert not _has_executed_program(container)
            gate.open()
            assert start.result().ok
        container.wait()
        assert tags(container.bundle) == ["hook", "end", "program"]


@requirement("config.hooks.poststart.after-program-before-return")
def test_poststart_hooks_are_not_called_by_create(harness: Harness) -> None:
    with hooked(harness, {"poststart": [Hook("hook")]}) as container:
        assert container.create().ok
        assert tags(container.bundle) == []


@requirement("config.hooks.poststart.after-program-before-return")
def test_poststart_hooks_are_called_after_the_program_is_executed(harness: Harness) -> None:
    hooks = {
        "startContainer": [Hook("before", *at_gate("before"))],
        "poststart": [Hook("after", *at_gate("after"))],
    }
    with (
        hooked(harness, hooks, "pause") as container,
        Gate(container.bundle, "before") as before,
        Gate(container.bundle, "after") as after,
    ):
        with UnderWay(container.create, before, after) as create:
            assert not create.reaches(after)
            assert create.result().ok
        with UnderWay(container.start, before, after) as start:
            assert start.reaches(before, after), start.result()
            if start.reaches(before, within_s=0):
                # As long as a startContainer hook is at work, the program cannot be executed.
                assert not start.reaches(after, within_s=_WRONGLY_S)
            before.open()
            assert start.reaches(after), start.result()
            assert _has_executed_program(container)
            after.open()
            assert start.result().ok


@requirement("config.hooks.poststart.after-program-before-return")
def test_start_does_not_return_before_poststart_hooks_have_ended(harness: Harness) -> None:
    hooks = {"poststart": [Hook("hook", *at_gate(), "+", *_END)]}
    with hooked(harness, hooks, "pause") as container, Gate(container.bundle) as gate:
        with UnderWay(container.create, gate) as create:
            assert not create.reaches(gate)
            assert create.result().ok
        with UnderWay(container.start, gate) as start:
            assert start.reaches(gate), start.result()
            # As long as a command takes; one on this container may have to wait for start.
            harness.runtime.state(harness.new_id())
            assert not start.returned
            gate.open()
            assert start.result().ok
            assert tags(container.bundle) == ["hook", "end"]
