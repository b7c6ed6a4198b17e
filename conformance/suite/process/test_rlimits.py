"""config.md, "POSIX process": rlimits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.config import without
from seatrial.conformance.facts import CAPABILITIES
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.process import LIMITS, rlimits

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

Entries = list[dict[str, Any]]

FILES = {"type": "RLIMIT_NOFILE", "soft": 1000, "hard": 1000}
#: One that harms nobody, whatever a runtime takes for a member that is missing.
CORE = {"type": "RLIMIT_CORE", "soft": 0, "hard": 1000}


def limited(harness: Harness, *entries: dict[str, Any]) -> Config:
    """Return a config with ``rlimits``."""
    config = harness.config()
    config["process"]["rlimits"] = list(entries)
    return config


@requirement("config.process.rlimits.soft-applied")
@given(entries=rlimits())
def test_the_soft_limits_are_those_of_the_config(harness: Harness, entries: Entries) -> None:
    seen = harness.run(limited(harness, *entries))["rlimits"]
    assert {entry["type"]: seen[entry["type"]]["soft"] for entry in entries} == {
        entry["type"]: entry["soft"] for entry in entries
    }


@requirement("config.process.rlimits.hard-applied")
@given(entries=rlimits())
def test_the_hard_limits_are_those_of_the_config(harness: Harness, entries: Entries) -> None:
    seen = harness.run(limited(harness, *entries))["rlimits"]
    assert {entry["type"]: seen[entry["type"]]["hard"] for entry in entries} == {
        entry["type"]: entry["hard"] for entry in entries
    }


@requirement("config.process.rlimits.getrlimit-succeeds")
@pytest.mark.parametrize("kind", sorted(LIMITS))
def test_the_program_can_ask_for_the_limit(harness: Harness, kind: str) -> None:
    ceiling = LIMITS[kind].ceiling
    config = limited(harness, {"type": kind, "soft": ceiling, "hard": ceiling})
    assert harness.run(config)["rlimits"][kind] is not None


@requirement("config.process.rlimits.soft-applied")
def test_a_soft_limit_above_the_hard_one_is_refused(harness: Harness) -> None:
    # The kernel sets no such limit (EINVAL of setrlimit(2)).
    assert harness.attempt(limited(harness, FILES | {"soft": 1001})).failed


@requirement("config.process.rlimits.hard-applied")
def test_a_limit_that_the_caller_may_not_set_is_refused(harness: Harness) -> None:
    drop = ("drop-bounding", str(CAPABILITIES.index("CAP_SYS_RESOURCE")))
    lower = ("rlimit", str(LIMITS["RLIMIT_NOFILE"].number), "1000", "1000")
    caller = harness.runtime.called_through(
        str(probe_binary()), "quiet", "+", *drop, "+", *lower, "+", "exec"
    )
    assert harness.run(limited(harness, FILES), runtime=caller)["rlimits"]["RLIMIT_NOFILE"] == {
        "soft": 1000,
        "hard": 1000,
    }
    assert harness.attempt(limited(harness, FILES | {"hard": 1001}), runtime=caller).failed


@requirement("config.process.rlimits.unknown-type-errors")
@given(
    kind=st.sampled_from(["RLIMIT_BOGUS", "NOFILE", "RLIMIT_", "rlimit_nofile", "RLIMIT_NLIMITS"])
    | st.sampled_from(sorted(LIMITS)).map(lambda kind: kind + "S")
    | st.just("")
)
def test_an_unknown_type_is_refused(harness: Harness, kind: str) -> None:
    assert harness.attempt(limited(harness, FILES | {"type": kind})).failed


@requirement("config.process.rlimits.duplicate-type-errors")
@given(entries=rlimits(), data=st.data())
def test_a_type_that_is_there_twice_is_refused(
    harness: Harness, entries: Entries, data: st.DataObject
) -> None:
    twice = data.draw(st.sampled_from(entries))
    assert harness.attempt(limited(harness, *entries, twice)).failed


@requirement("config.process.rlimits.soft-applied")
def test_a_limit_with_which_no_file_can_be_opened_is_applied_or_refused(harness: Harness) -> None:
    # The program can live with it; what a runtime still has to do under it is its own affair,
    # and so is cleaning up after itself when that fails.
    with harness.container(limited(harness, FILES | {"soft": 0})) as container:
        result = container.create()
        if result.ok:
            result = container.start()
        if result.failed:
            harness.note("a soft limit of 0 for RLIMIT_NOFILE is refused")
        else:
            assert container.report()["rlimits"]["RLIMIT_NOFILE"] == {"soft": 0, "hard": 1000}


@requirement("config.process.rlimits.type-present")
def test_an_entry_without_type_is_refused_or_accepted(harness: Harness) -> None:
    refused = harness.attempt(limited(harness, without(CORE, "type"))).failed
    harness.note(f"an entry of rlimits without type is {'refused' if refused else 'accepted'}")


@requirement("config.process.rlimits.soft-present")
def test_an_entry_without_soft_is_refused_or_accepted(harness: Harness) -> None:
    refused = harness.attempt(limited(harness, without(CORE, "soft"))).failed
    harness.note(f"an entry of rlimits without soft is {'refused' if refused else 'accepted'}")


@requirement("config.process.rlimits.hard-present")
def test_an_entry_without_hard_is_refused_or_accepted(harness: Harness) -> None:
    refused = harness.attempt(limited(harness, without(CORE, "hard"))).failed
    harness.note(f"an entry of rlimits without hard is {'refused' if refused else 'accepted'}")
