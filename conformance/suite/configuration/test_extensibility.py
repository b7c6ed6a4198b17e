"""config.md, "Extensibility": properties that a runtime does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.documents import (
    Path,
    anything,
    large,
    lasting,
    objects,
    unknown_members,
    unknown_names,
    with_members,
)

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness


@requirement("config.extensibility.unknown-ignored", "config.extensibility.unknown-no-error")
def test_unknown_members_at_any_depth_change_nothing(harness: Harness) -> None:
    config = large(harness.config())
    known = lasting(harness.run(config))

    @given(members=unknown_members(list(objects(config))))
    def change_nothing(members: list[tuple[Path, str, Any]]) -> None:
        assert lasting(harness.run(with_members(config, members))) == known

    change_nothing()


@requirement("config.extensibility.unknown-ignored", "config.extensibility.unknown-no-error")
def test_every_object_may_have_an_unknown_member(harness: Harness) -> None:
    config = large(harness.config())
    known = lasting(harness.run(config))
    for place in objects(config):
        members = [(place, "seatrial", {"deep": [{"er": None}]})]
        assert lasting(harness.run(with_members(config, members))) == known, place


@requirement("config.extensibility.unknown-no-error")
@settings(max_examples=10)
@given(names=st.lists(unknown_names(), min_size=50, max_size=200, unique=True), value=anything())
def test_there_may_be_many_unknown_members(
    harness: Harness, names: list[str], value: object
) -> None:
    config = harness.config("exit", "0") | dict.fromkeys(names, value)
    result = harness.attempt(config)
    assert result.ok, result


@requirement("config.extensibility.unknown-no-error")
@pytest.mark.parametrize("depth", [10, 100])
def test_an_unknown_member_may_be_deep(harness: Harness, depth: int) -> None:
    value: Any = 1
    for _ in range(depth):
        value = {"deeper": [value]}
    result = harness.attempt(harness.config("exit", "0") | {"seatrial": value})
    assert result.ok, result


@requirement("config.extensibility.unknown-ignored")
@pytest.mark.parametrize("name", ["Hostname", "HOSTNAME", "hostName"])
def test_what_a_known_name_in_other_case_does_is_recorded(harness: Harness, name: str) -> None:
    config = harness.config() | {"hostname": "seatrial", name: "other"}
    with harness.container(config) as container:
        if container.create().failed:
            harness.note(f"{name} is refused")
            return
        assert container.start().ok
        ignored = container.report()["hostname"] == "seatrial"
        harness.note(f"{name} is {'ignored' if ignored else 'taken for hostname'}")
