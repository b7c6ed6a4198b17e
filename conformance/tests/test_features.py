"""The features document: kinds of members, the releases that define them, the order of versions."""

from __future__ import annotations

import pytest

from seatrial.conformance.errors import Malformed
from seatrial.conformance.features import (
    breaches,
    declared,
    listed,
    precedence,
    release_of,
    undefined,
)

DOCUMENT = {
    "ociVersionMin": "1.0.0",
    "ociVersionMax": "1.3.0",
    "hooks": ["prestart"],
    "annotations": {"any": "thing"},
    "linux": {"namespaces": None, "cgroup": {"v1": False}, "netDevices": {"enabled": True}},
}


def test_members_are_found_by_their_path() -> None:
    assert declared(DOCUMENT, "linux.cgroup.v1") is False
    assert declared(DOCUMENT, "linux.seccomp.enabled") is None
    assert listed(DOCUMENT, "hooks") == ["prestart"]
    assert listed(DOCUMENT, "linux.namespaces") == []


@pytest.mark.parametrize("hooks", ["prestart", [1], {}])
def test_a_list_of_names_is_that(hooks: object) -> None:
    with pytest.raises(Malformed):
        listed({"hooks": hooks}, "hooks")
    assert breaches({"hooks": hooks}) != []


def test_null_is_as_good_as_missing() -> None:
    assert breaches(DOCUMENT) == []
    assert breaches({"linux": None, "hooks": None}) == []


@pytest.mark.parametrize("wrong", [{"linux": {"cgroup": {"v1": 1}}}, {"annotations": []}])
def test_a_member_of_another_kind_is_a_breach(wrong: dict[str, object]) -> None:
    assert len(breaches(wrong)) == 1


def test_what_a_release_does_not_define_is_found() -> None:
    assert undefined(DOCUMENT, "1.3.0") == []
    assert undefined(DOCUMENT, "1.2.1") == ["linux.netDevices", "linux.netDevices.enabled"]
    assert undefined({"linux": {"made": {"up": 1}}}, "1.3.0") == ["linux.made", "linux.made.up"]


@pytest.mark.parametrize(
    ("version", "release"),
    [
        ("1.3.0", "1.3.0"),
        ("1.2.3", "1.2.1"),
        ("1.0.2-dev", "1.1.0"),
        ("1.1.0+dev", "1.2.0"),
        ("9.0.0-dev", "1.3.0"),
        ("0.9.0", None),
    ],
)
def test_a_version_has_a_release(version: str, release: str | None) -> None:
    assert release_of(version) == release


def test_versions_have_an_order() -> None:
    ordered = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-rc.2", "1.0.0-rc.10", "1.0.0", "1.0.10"]
    mixed = [*ordered[3:], *ordered[:3]]
    assert sorted(mixed, key=precedence) == ordered
    with pytest.raises(Malformed):
        precedence("1.0")
