"""config-linux.md, "Offset for Time Namespace"."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.config import with_namespaces
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

Offsets = dict[str, dict[str, int]]

_CLOCKS = {"monotonic": time.CLOCK_MONOTONIC, "boottime": time.CLOCK_BOOTTIME}
_NS = 10**9


def offsets() -> st.SearchStrategy[Offsets]:
    """Offsets of one clock or both, with one property or both; no clock gets below 0."""
    secs = st.integers(-30, 10**8)
    one = st.fixed_dictionaries({}, optional={"secs": secs, "nanosecs": st.integers(1, _NS - 1)})
    return st.dictionaries(st.sampled_from(sorted(_CLOCKS)), one.filter(bool), min_size=1)


def shifted(harness: Harness, clocks: Offsets, *kinds: str) -> Config:
    """Return a config with ``timeOffsets``, and new namespaces of these types."""
    config = with_namespaces(harness.config(), ["mount", *kinds])
    config["linux"]["timeOffsets"] = clocks
    return config


def as_text(clocks: Offsets) -> dict[str, list[int]]:
    """Return what /proc/PID/timens_offsets says then (time_namespaces(7))."""
    return {
        clock: [clocks.get(clock, {}).get(name, 0) for name in ("secs", "nanosecs")]
        for clock in _CLOCKS
    }


def read(text: str) -> dict[str, list[int]]:
    """Read what /proc/PID/timens_offsets says."""
    rows = [line.split() for line in text.splitlines()]
    return {clock: [int(secs), int(nanosecs)] for clock, secs, nanosecs in rows}


@requirement("linux.time-offsets.applied")
@given(clocks=offsets())
@settings(max_examples=15)
def test_the_clocks_of_the_container_are_shifted(harness: Harness, clocks: Offsets) -> None:
    before = {name: time.clock_gettime_ns(clock) for name, clock in _CLOCKS.items()}
    report = harness.run(shifted(harness, clocks, "time"))
    after = {name: time.clock_gettime_ns(clock) for name, clock in _CLOCKS.items()}
    seen = read(report.of_kernel("time_offsets"))
    if seen == as_text({}) and seen != as_text(clocks):
        raise Ignored("timeOffsets is accepted and shifts no clock")
    assert seen == as_text(clocks)
    for name, (secs, nanosecs) in seen.items():
        offset = secs * _NS + nanosecs
        assert before[name] <= report["clock"][f"{name}_ns"] - offset <= after[name]


@requirement("linux.time-offsets.no-namespace-errors")
@given(clocks=offsets())
@settings(max_examples=5)
def test_offsets_without_a_time_namespace_generate_an_error(
    harness: Harness, clocks: Offsets
) -> None:
    result = harness.attempt(shifted(harness, clocks))
    if result.ok:
        raise Ignored("timeOffsets is accepted without a time namespace, and shifts no clock")


@requirement("linux.time-offsets.no-namespace-errors")
@given(clocks=offsets())
@settings(max_examples=3)
def test_offsets_for_the_time_namespace_of_others_generate_an_error(
    harness: Harness, clocks: Offsets
) -> None:
    """The offsets of a time namespace cannot be written once a process is in it."""
    other = with_namespaces(harness.config("pause"), ["mount", "time"])
    with harness.running(other) as container:
        config = shifted(harness, clocks)
        path = f"/proc/{container.pid}/ns/time"
        config["linux"]["namespaces"].append({"type": "time", "path": path})
        result = harness.attempt(config)
        if result.ok:
            raise Ignored("timeOffsets is accepted for a namespace whose clocks are set already")


@requirement("linux.time-offsets.unknown-clock-errors")
def test_a_clock_without_an_offset_in_the_kernel_is_recorded(harness: Harness) -> None:
    """It may pass for an unknown property, which is to be ignored."""
    said = []
    for clock in ("banana", "realtime"):
        clocks: dict[str, Any] = {clock: {"secs": 1}}
        with harness.container(shifted(harness, clocks, "time")) as container:
            result = container.create()
            result = container.start() if result.ok else result
            said.append(f"{clock} is {'refused' if result.failed else 'accepted'}")
            if result.ok:
                assert read(container.report().of_kernel("time_offsets")) == as_text({})
    harness.note(f"offsets for unknown clocks: {', '.join(said)}")
