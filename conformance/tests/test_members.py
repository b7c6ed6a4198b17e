"""The table of a config's members, and the values that it has for each."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seatrial.conformance import config as configs
from seatrial.conformance.spec import NEWEST
from seatrial.conformance.strategies.invalid_values import of_another_type, out_of_range
from seatrial.conformance.strategies.members import BOUNDS, REQUIRED, Member, members

_PYTHON = {"string": str, "word": str, "bool": bool, "array": list, "object": dict}


def found(config: configs.Config, pointer: str) -> Any:
    """Return what is at a pointer, whose ``-`` is here the last element."""
    inner: Any = config
    for name in pointer.split("/")[1:]:
        inner = inner[-1 if name == "-" else name]
    return inner


@pytest.mark.parametrize("member", members(NEWEST), ids=lambda member: member.pointer)
def test_a_config_has_just_that_value_at_the_member(member: Member) -> None:
    base = configs.minimal()
    config = member.within(base, "here")
    assert found(config, member.pointer) == "here"
    assert base == configs.minimal()


def test_no_member_is_there_twice_and_the_required_ones_are_all_there() -> None:
    pointers = [each.pointer for each in members(NEWEST)]
    assert len(pointers) == len(set(pointers))
    assert set(pointers) >= REQUIRED


def test_a_release_has_no_members_of_later_ones() -> None:
    old = {each.pointer for each in members("1.0.2")}
    assert "/process/user/umask" in old
    assert not {"/domainname", "/process/scheduler", "/linux/memoryPolicy/mode"} & old


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(member=st.sampled_from(members(NEWEST)), data=st.data())
def test_no_wrong_value_is_of_the_type_or_in_the_range(member: Member, data: st.DataObject) -> None:
    value = data.draw(of_another_type(member))
    # A number of Python's may be a boolean, one of JSON's may not.
    assert type(value) is not _PYTHON.get(member.kind, int)
    least, most = BOUNDS.get(member.kind, (None, None))
    if (least, most) != (None, None):
        number = data.draw(out_of_range(member))
        assert (least is not None and number < least) or (most is not None and number > most)
