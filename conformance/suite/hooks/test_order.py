"""config.md, "POSIX-platform Hooks": which hooks are called, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from seatrial.conformance.hooks import KINDS, LOG, Hook, for_each_kind, hooked, live, tags
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.hooks import sequences

if TYPE_CHECKING:
    from collections.abc import Collection

    from seatrial.conformance.harness import Harness


@for_each_kind("invoked")
def test_hooks_are_invoked(harness: Harness, kind: str) -> None:
    with hooked(harness, {kind: [Hook("hook")]}) as container:
        assert "hook" in [record.tag for record in live(container)]


@requirement("config.hooks.six-kinds")
@given(present=st.sets(st.sampled_from(KINDS)))
def test_hooks_of_any_kinds_can_stand_together(harness: Harness, present: set[str]) -> None:
    _call_each_of(harness, present)


@requirement("config.hooks.three-kinds")
@given(present=st.sets(st.sampled_from(["prestart", "poststart", "poststop"])))
def test_hooks_of_any_of_three_kinds_can_stand_together(
    harness: Harness, present: set[str]
) -> None:
    _call_each_of(harness, present)


def _call_each_of(harness: Harness, kinds: Collection[str]) -> None:
    with hooked(harness, {kind: [Hook(kind)] for kind in kinds}) as container:
        assert sorted(record.tag for record in live(container)) == sorted([*kinds, "program"])


@requirement("config.hooks.six-kinds")
def test_the_list_of_a_kind_can_be_empty(harness: Harness) -> None:
    with hooked(harness, {kind: [] for kind in KINDS}) as container:
        assert [record.tag for record in live(container)] == ["program"]


@requirement("config.hooks.listed-order")
@given(listed=sequences())
def test_hooks_of_a_kind_are_called_in_the_listed_order(
    harness: Harness, listed: dict[str, list[str]]
) -> None:
    hooks = {kind: [Hook(f"{kind} {name}") for name in names] for kind, names in listed.items()}
    with hooked(harness, hooks) as container:
        called = [record.tag for record in live(container)]
    for kind, names in listed.items():
        mine = [tag for tag in called if tag.startswith(f"{kind} ")]
        assert mine == [f"{kind} {name}" for name in names]


@requirement(
    "config.hooks.prestart.before-create-runtime",
    "config.hooks.prestart.before-create-runtime-conditional",
)
def test_prestart_hooks_are_called_before_create_runtime_hooks(harness: Harness) -> None:
    _call_first_before_second(harness, "prestart", "createRuntime")


@requirement("config.hooks.create-container.after-create-runtime")
def test_create_container_hooks_are_called_after_create_runtime_hooks(harness: Harness) -> None:
    _call_first_before_second(harness, "createRuntime", "createContainer")


def _call_first_before_second(harness: Harness, first: str, second: str) -> None:
    hooks = {
        second: [Hook("second")],
        first: [Hook("first"), Hook("first", "mark", "first ended", LOG)],
    }
    with hooked(harness, hooks) as container:
        result = container.create()
        assert result.ok, result
        assert tags(container.bundle) == ["first", "first", "first ended", "second"]
