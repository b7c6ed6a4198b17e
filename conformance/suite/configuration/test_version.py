"""config.md, "Specification version"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.config import without
from seatrial.conformance.marks import requirement
from seatrial.conformance.spec import RELEASES

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

#: What breaks one rule each of the grammar of SemVer 2.0.0.
_MALFORMED = (
    *("", "1", "1.0", "1.0.0.0", "1.0.x", "x", "latest", "v1.0.0", "V1.0.0", "=1.0.0", "-1.0.0"),
    *("01.0.0", "1.00.0", "1.0.00", "1.0.0-", "1.0.0+", "1.0.0-a..b", "1.0.0-01", "1.0.0-ä"),
    *("1.0.0+a+b", "1.0.0+_", "1.0.0 ", " 1.0.0", "1. 0.0", "1.0.0\n", "1,0,0", "1.0.\u0660"),
)


def versioned(harness: Harness, version: object) -> Config:
    """Return a config that says it is of this version of the spec."""
    config = harness.config("exit", "0")
    config["ociVersion"] = version
    return config


def numbered(first: int, second: int, third: int) -> str:
    """Return a version of three numbers."""
    return f"{first}.{second}.{third}"


@requirement("config.version.present")
def test_the_reaction_to_a_config_without_a_version_is_recorded(harness: Harness) -> None:
    failed = harness.attempt(without(harness.config("exit", "0"), "ociVersion")).failed
    harness.note(f"a config without ociVersion is {'refused' if failed else 'accepted'}")


@requirement("config.version.semver")
@pytest.mark.parametrize("version", _MALFORMED, ids=ascii)
def test_what_is_no_semantic_version_is_an_error(harness: Harness, version: str) -> None:
    assert harness.attempt(versioned(harness, version)).failed


@requirement("config.version.semver")
@settings(max_examples=10)
@given(version=st.integers(0, 2) | st.booleans() | st.just([]) | st.just({}) | st.floats(1.0, 1.5))
def test_a_version_that_is_no_string_is_an_error(harness: Harness, version: object) -> None:
    assert harness.attempt(versioned(harness, version)).failed


@requirement("config.version.older-minor-accepted")
@pytest.mark.parametrize("version", RELEASES)
def test_a_config_of_an_earlier_release_is_accepted(harness: Harness, version: str) -> None:
    newest = harness.config()["ociVersion"]
    config = versioned(harness, version)
    if version in RELEASES[: RELEASES.index(newest) + 1]:
        result = harness.attempt(config)
        assert result.ok, result
        return
    failed = harness.attempt(config).failed
    harness.note(
        f"{version} is {'refused' if failed else 'accepted'}, which is later than what is supported"
    )


@requirement("config.version.older-minor-accepted")
@settings(max_examples=10)
@given(patch=st.integers(3, 999))
def test_a_config_of_another_patch_of_an_earlier_release_is_accepted(
    harness: Harness, patch: int
) -> None:
    result = harness.attempt(versioned(harness, numbered(1, 0, patch)))
    assert result.ok, result


@requirement("config.version.older-minor-accepted")
@pytest.mark.parametrize("version", ["1.0.0-rc5", "1.0.2-dev", "1.0.0+build.7", "1.0.2-a-b.1+c-d"])
def test_the_reaction_to_a_version_with_more_than_numbers_is_recorded(
    harness: Harness, version: str
) -> None:
    failed = harness.attempt(versioned(harness, version)).failed
    harness.note(f"{version} is {'refused' if failed else 'accepted'}")


@requirement("config.version.unsupported-refused")
@pytest.mark.parametrize("version", ["0.1.0", "0.9.0", "1.999.0", "2.0.0", "3.1.4", "99.0.0"])
def test_the_reaction_to_another_major_version_is_recorded(harness: Harness, version: str) -> None:
    failed = harness.attempt(versioned(harness, version)).failed
    harness.note(f"{version} is {'refused' if failed else 'accepted'}")
