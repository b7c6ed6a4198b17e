"""config-linux.md, "IntelRdt": on hosts without resctrl."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness


def configured() -> st.SearchStrategy[dict[str, Any]]:
    """Values of ``intelRdt``, with one property at least."""
    cache, bandwidth = "L3:0=f", "MB:0=50"
    return st.fixed_dictionaries(
        {},
        optional={
            "closID": st.sampled_from(["seatrial", "/"]),
            "l3CacheSchema": st.just(cache),
            "memBwSchema": st.just(bandwidth),
            "schemata": st.lists(st.sampled_from([cache, bandwidth]), unique=True),
            "enableMonitoring": st.booleans(),
        },
    ).filter(bool)


@requirement("linux.rdt.no-resctrl-errors")
@given(rdt=configured())
def test_intel_rdt_without_resctrl_generates_an_error(
    harness: Harness, rdt: dict[str, Any]
) -> None:
    _refused(harness, rdt)


@requirement("linux.rdt.no-resctrl-errors")
def test_intel_rdt_without_properties_generates_an_error_too(harness: Harness) -> None:
    """It is set, so the process is to be in a group named after the container."""
    _refused(harness, {})


def _refused(harness: Harness, rdt: dict[str, Any]) -> None:
    config = harness.config()
    config["linux"]["intelRdt"] = rdt
    if harness.attempt(config).ok:
        raise Ignored(f"intelRdt is accepted where there is no resctrl: {rdt}")
