"""config-linux.md, "PIDs"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.placement import Placement

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness


def limited(harness: Harness, pids: dict[str, Any]) -> Config:
    """Return a config with ``resources.pids``, whose program waits."""
    config = harness.config("pause")
    config["linux"]["resources"] = {"pids": pids}
    return config


def largest_number(harness: Harness, pids: dict[str, Any]) -> int | None:
    """Return the largest number of tasks that a container created with this may have."""
    with harness.created(limited(harness, pids)) as container:
        return Placement(container).number("pids", "pids.max", "pids.max")


# A runtime may need some threads for itself until it executes the program; PID_MAX_LIMIT is 2^22.
@requirement("linux.cgroups.pids.limit")
@given(limit=st.integers(64, 2**22))
def test_limit_is_the_largest_number_of_tasks(harness: Harness, limit: int) -> None:
    assert largest_number(harness, {"limit": limit}) == limit


@requirement("linux.cgroups.pids.limit-minus-one")
def test_a_limit_of_minus_one_is_no_limit(harness: Harness) -> None:
    assert largest_number(harness, {"limit": -1}) is None


@requirement("linux.cgroups.pids.limit-zero")
def test_a_limit_of_zero_allows_no_task(harness: Harness) -> None:
    assert largest_number(harness, {"limit": 0}) == 0


@requirement("linux.cgroups.pids.limit-optional")
def test_pids_without_limit_sets_none(harness: Harness) -> None:
    assert largest_number(harness, {}) is None


@requirement("linux.cgroups.pids.limit-present")
@needs("controller:pids")
def test_the_reaction_to_pids_without_limit_is_recorded(harness: Harness) -> None:
    result = harness.attempt(limited(harness, {}))
    harness.note(f"pids without limit is {'refused' if result.failed else 'accepted'}")


@requirement("linux.cgroups.pids.limit")
@given(limit=st.integers(64, 128))
@settings(max_examples=5)
def test_limit_holds_for_the_running_container(harness: Harness, limit: int) -> None:
    with harness.running(limited(harness, {"limit": limit})) as container:
        assert Placement(container).number("pids", "pids.max", "pids.max") == limit
