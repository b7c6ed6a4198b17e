"""runtime.md, "Lifecycle", steps 3 to 9: what comes of a failing hook that is not of poststop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.bundle import Bundle
from seatrial.conformance.hooks import (
    BEFORE_PROGRAM,
    DECISIVE,
    KINDS,
    NOT_EXECUTABLE,
    Hook,
    attempt,
    failing,
    for_each_kind,
    has_ended,
    hooked,
    record_of,
    tags,
)
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.hooks import (
    failing_exit_statuses,
    failing_hooks,
    ways_to_fail,
)

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness

#: A program that does not end by itself, so that something has to stop it.
_LASTING = ("mark", "program", Bundle.LOG, "+", "pause")


@for_each_kind("failure-errors", kinds=DECISIVE)
@given(way=ways_to_fail())
def test_a_hook_that_fails_is_an_error(harness: Harness, kind: str, way: str) -> None:
    with hooked(harness, {kind: [failing(way)]}, *_LASTING) as container:
        assert attempt(container).failed


@for_each_kind("failure-errors", kinds=DECISIVE)
@settings(max_examples=10)
@given(status=failing_exit_statuses())
def test_every_exit_status_of_a_hook_but_0_is_an_error(
    harness: Harness, kind: str, status: int
) -> None:
    with hooked(harness, {kind: [Hook("failing", "exit", str(status))]}, *_LASTING) as container:
        assert attempt(container).failed


# Not of poststart: whether a runtime bears with those who do not read what it writes is another
# question (test_state.py), and would decide about this one.
@for_each_kind("failure-errors", kinds=BEFORE_PROGRAM)
@given(path=st.sampled_from(NOT_EXECUTABLE))
def test_a_hook_that_cannot_be_executed_is_an_error(harness: Harness, kind: str, path: str) -> None:
    with hooked(harness, {kind: [Hook("failing", path=path)]}, *_LASTING) as container:
        assert attempt(container).failed


@for_each_kind("failure-errors", kinds=DECISIVE)
def test_the_last_of_several_hooks_failing_is_an_error(harness: Harness, kind: str) -> None:
    hooks = {kind: [Hook("first"), failing("exit-status")]}
    with hooked(harness, hooks, *_LASTING) as container:
        assert attempt(container).failed
        # The program may have been executed, and have said so, before poststart hooks are called.
        called = [tag for tag in tags(container.bundle) if tag in {"first", "failing"}]
        assert called == ["first", "failing"]


@for_each_kind("failure-stops-container", kinds=DECISIVE)
def test_a_failing_hook_stops_the_container(harness: Harness, kind: str) -> None:
    # A hook before it is there to be told which process the container's is.
    told = kind if kind == "prestart" else "createRuntime"
    hooks = {told: [Hook("told")]}
    hooks.setdefault(kind, []).append(failing("exit-status"))
    with hooked(harness, hooks, *_LASTING) as container:
        attempt(container)
        assert has_ended(record_of(container.bundle, "told").pid)


@for_each_kind("failure-destroys-and-poststops", kinds=DECISIVE)
def test_a_failing_hook_destroys_the_container(harness: Harness, kind: str) -> None:
    with hooked(harness, {kind: [failing("exit-status")]}, *_LASTING) as container:
        attempt(container)
        assert container.runtime.state(container.id).failed


@for_each_kind("failure-destroys-and-poststops", kinds=DECISIVE)
def test_after_a_failing_hook_poststop_hooks_are_called(harness: Harness, kind: str) -> None:
    hooks = {kind: [failing("exit-status")], "poststop": [Hook("a"), Hook("b")]}
    with hooked(harness, hooks, *_LASTING) as container:
        attempt(container)
        assert [tag for tag in tags(container.bundle) if tag in {"a", "b"}] == ["a", "b"]


# What is not done any more


@requirement("config.hooks.failure-skips-later-steps")
@pytest.mark.parametrize("kind", BEFORE_PROGRAM)
def test_a_failing_hook_keeps_the_rest_of_its_list_from_being_called(
    harness: Harness, kind: str
) -> None:
    _fail_without(harness, {kind: [failing("exit-status"), Hook("skipped"), Hook("skipped")]})


@for_each_kind("failure-destroys-and-poststops", kinds=["poststart"])
def test_a_failing_hook_is_followed_by_none_of_its_list(harness: Harness, kind: str) -> None:
    _fail_without(harness, {kind: [failing("exit-status"), Hook("skipped"), Hook("skipped")]})


@requirement("config.hooks.failure-skips-later-steps")
@pytest.mark.parametrize("kind", BEFORE_PROGRAM)
def test_a_failing_hook_keeps_hooks_of_later_kinds_from_being_called(
    harness: Harness, kind: str
) -> None:
    later = [each for each in DECISIVE if KINDS.index(each) > KINDS.index(kind)]
    skipped = {each: [Hook("skipped")] for each in later}
    _fail_without(harness, {kind: [failing("exit-status")]} | skipped)


def _fail_without(harness: Harness, hooks: dict[str, list[Hook]]) -> None:
    with hooked(harness, hooks) as container:
        attempt(container)
        if container.exists:
            container.wait()
        called = tags(container.bundle)
        assert "failing" in called
        assert "skipped" not in called


@requirement("config.hooks.failure-skips-later-steps")
@pytest.mark.parametrize("kind", BEFORE_PROGRAM)
@given(hook=failing_hooks())
def test_a_failing_hook_keeps_the_program_from_being_executed(
    harness: Harness, kind: str, hook: Hook
) -> None:
    with hooked(harness, {kind: [hook]}) as container:
        attempt(container)
        if container.exists:
            container.wait()
        assert "program" not in tags(container.bundle)


# Before 1.3.0


@requirement("config.hooks.poststart.failure-warns")
@given(way=ways_to_fail())
def test_a_failing_poststart_hook_was_no_more_than_a_warning(harness: Harness, way: str) -> None:
    hooks = {"poststart": [failing(way), Hook("next")]}
    with hooked(harness, hooks, *_LASTING) as container:
        assert not attempt(container).failed
        assert "next" in tags(container.bundle)
        assert container.alive
