"""config.md, "Linux Process": ``apparmorProfile``."""

from __future__ import annotations

import string
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

PROFILES = Path("/sys/kernel/security/apparmor/profiles")
UNCONFINED = "unconfined"
#: Modes in which a profile lets the probe do its work (apparmor(7)).
HARMLESS = {"complain", "unconfined"}


def profiled(harness: Harness, profile: str) -> Config:
    """Return a config with ``apparmorProfile``."""
    config = harness.config()
    config["process"]["apparmorProfile"] = profile
    return config


def loaded_profile() -> str:
    """Return the name of a loaded profile that denies nothing; ``unconfined`` is always there."""
    for line in sorted(PROFILES.read_text(encoding="utf-8").splitlines()):
        name, _, mode = line.rpartition(" ")
        if mode.strip("()") in HARMLESS and ":" not in name and "//" not in name:
            return name
    return UNCONFINED


def unknown_profiles() -> st.SearchStrategy[str]:
    """Names of profiles that nobody has loaded."""
    return st.text(string.ascii_lowercase, min_size=4).map(lambda word: f"seatrial-{word}")


@requirement("config.process.apparmor.applied")
def test_the_profile_is_that_of_the_program(harness: Harness) -> None:
    profile = loaded_profile()
    with harness.container(profiled(harness, profile)) as container:
        if container.create().failed or container.start().failed:
            # Who is confined may not be allowed to change to another profile, such as a caller in
            # a container (apparmor.d(5), change_profile).
            harness.note("a profile that is loaded is refused")
            return
        # Such as "name (complain)", or "unconfined" alone.
        seen, _, _ = container.report()["apparmor"].strip().partition(" (")
    assert seen == profile


@requirement("config.process.apparmor.unavailable-errors")
@given(profile=unknown_profiles())
@settings(max_examples=5)
def test_a_profile_that_is_not_there_generates_an_error(harness: Harness, profile: str) -> None:
    result = harness.attempt(profiled(harness, profile))
    if result.ok:
        raise Ignored(f"a profile that is not there is accepted: {result!r}")
