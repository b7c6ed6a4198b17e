"""config-linux.md, "Personality"."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.errors import Ignored
from seatrial.conformance.facts import compat_machine
from seatrial.conformance.marks import needs, requirement

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.report import Report

#: linux/personality.h; the bits above are flags.
_LINUX, _LINUX32, _DOMAIN = 0x0000, 0x0008, 0x00FF


def seen_in(report: Report) -> tuple[int | None, str]:
    """Return the domain, if the container's kernel tells it, and the machine that it shows."""
    personality = report["personality"]
    return None if personality is None else personality & _DOMAIN, report["machine"]


def with_personality(harness: Harness, **personality: Any) -> Config:
    """Return a config with ``personality``."""
    config = harness.config()
    config["linux"]["personality"] = personality
    return config


@requirement("linux.personality.linux32")
@pytest.mark.parametrize("flags", [None, []], ids=["unset", "empty"])
@pytest.mark.parametrize("uid", [0, 1000])
def test_linux32_shows_a_32_bit_machine(
    harness: Harness, uid: int, flags: list[str] | None
) -> None:
    members = {} if flags is None else {"flags": flags}
    config = with_personality(harness, domain="LINUX32", **members)
    config["process"]["user"]["uid"] = uid
    seen = seen_in(harness.run(config))
    if seen in {(_LINUX, platform.machine()), (None, platform.machine())}:
        raise Ignored("personality is accepted, and the program has that of the caller")
    assert seen == (_LINUX32, compat_machine())


@requirement("linux.personality.linux")
def test_linux_shows_the_machine(harness: Harness) -> None:
    domain, machine = seen_in(harness.run(with_personality(harness, domain="LINUX")))
    assert domain in {_LINUX, None}
    assert machine == platform.machine()


@requirement("linux.personality.linux")
@needs("compat32")
def test_linux_takes_the_place_of_the_callers_domain(harness: Harness) -> None:
    caller = (str(probe_binary()), "quiet", "+", "personality", str(_LINUX32), "+", "exec")
    runtime = harness.runtime.called_through(*caller)
    report = harness.run(with_personality(harness, domain="LINUX"), runtime=runtime)
    seen = seen_in(report)
    if seen == (_LINUX32, compat_machine()):
        raise Ignored("personality is accepted, and the program has that of the caller")
    assert seen in {(_LINUX, platform.machine()), (None, platform.machine())}


@requirement("linux.personality.flags-refused")
@given(
    domain=st.sampled_from(["LINUX", "LINUX32"]),
    flags=st.lists(
        st.sampled_from(["ADDR_NO_RANDOMIZE", "STICKY_TIMEOUTS", "banana", ""]),
        min_size=1,
        unique=True,
    ),
)
@settings(max_examples=10)
def test_any_flag_generates_an_error(harness: Harness, domain: str, flags: list[str]) -> None:
    if harness.attempt(with_personality(harness, domain=domain, flags=flags)).ok:
        raise Ignored("flags of personality are accepted")


@requirement("linux.personality.domain-present")
@given(domain=st.sampled_from(["PER_LINUX32", "linux32", "LINUX64", "BSD", "banana", ""]))
@settings(max_examples=6)
def test_an_unknown_domain_generates_an_error(harness: Harness, domain: str) -> None:
    if harness.attempt(with_personality(harness, domain=domain)).ok:
        raise Ignored(f"personality of an unknown domain is accepted: {domain!r}")


@requirement("linux.personality.domain-present")
def test_a_personality_without_domain_is_recorded(harness: Harness) -> None:
    result = harness.attempt(with_personality(harness))
    harness.note(f"personality without domain is {'refused' if result.failed else 'accepted'}")
