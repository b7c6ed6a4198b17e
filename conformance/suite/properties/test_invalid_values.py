"""config.md, "Valid values": at every member of a config that the spec gives a type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.invalid_values import (
    of_another_type,
    out_of_range,
    unlisted_words,
)
from seatrial.conformance.strategies.members import BOUNDS, REQUIRED, Member, members

if TYPE_CHECKING:
    import pytest

    from seatrial.conformance.harness import Harness


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test for the members that it is about, as far as the judged release has them."""
    known = members(metafunc.config.getoption("--spec"))
    chosen = {
        "member": known,
        "bounded": [each for each in known if BOUNDS.get(each.kind, (None, None)) != (None, None)],
        "listed": [each for each in known if each.kind == "word"],
        "required": [each for each in known if each.pointer in REQUIRED],
    }
    for name in chosen.keys() & set(metafunc.fixturenames):
        found = chosen[name]
        metafunc.parametrize(name, found, ids=[each.pointer.lstrip("/") for each in found])


def refused(harness: Harness, member: Member, value: object) -> None:
    """Judge a config in which only this value is wrong: an error, and nothing is left."""
    config = member.within(harness.config("exit", "0"), value)
    if harness.attempt(config).ok:
        raise Ignored(f"{member.pointer} may be {value!r}: neither create nor start is an error")


@requirement("config.valid-values.invalid-errors")
@settings(max_examples=1)
@given(data=st.data())
def test_a_value_of_another_type_is_refused(
    harness: Harness, member: Member, data: st.DataObject
) -> None:
    refused(harness, member, data.draw(of_another_type(member)))


@requirement("config.valid-values.invalid-errors")
@settings(max_examples=2)
@given(data=st.data())
def test_a_number_that_is_out_of_range_is_refused(
    harness: Harness, bounded: Member, data: st.DataObject
) -> None:
    refused(harness, bounded, data.draw(out_of_range(bounded)))


@requirement("config.valid-values.invalid-errors")
@settings(max_examples=1)
@given(word=unlisted_words())
def test_a_word_that_is_not_in_the_list_is_refused(
    harness: Harness, listed: Member, word: str
) -> None:
    refused(harness, listed, word)


@requirement("config.valid-values.invalid-errors")
def test_the_reaction_to_a_missing_member_is_recorded(harness: Harness, required: Member) -> None:
    # A missing member is not plainly an invalid value: whatever is made of it is no crash, and
    # leaves nothing behind.
    failed = harness.attempt(required.missing(harness.config("exit", "0"))).failed
    harness.note(f"without {required.pointer} a config is {'refused' if failed else 'accepted'}")


@requirement("config.valid-values.invalid-errors")
@settings(max_examples=20)
@given(data=st.data())
def test_null_is_refused_or_taken_for_something_at_every_member(
    harness: Harness, request: pytest.FixtureRequest, data: st.DataObject
) -> None:
    known = members(request.config.getoption("--spec"))
    member = data.draw(st.sampled_from(known))
    result: Any = harness.attempt(member.within(harness.config("exit", "0"), None))
    assert result.ok or result.failed
