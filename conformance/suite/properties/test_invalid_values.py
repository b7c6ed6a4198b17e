"""config.md, "Valid values": at every member of a config that the spec gives a type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.invalid_values import (
    of_another_type,
    out_of_range,
    unlisted_words,
)
from seatrial.conformance.strategies.members import (
    BOUNDS,
    REQUIRED,
    Member,
    Section,
    members,
    sections,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from seatrial.conformance.harness import Harness

#: Without these a container is in its caller's mount namespace, and what it mounts there stays.
_PLACES = {"/linux", "/linux/namespaces"}
#: There is nothing to be gained by smaller wrong values.
_wrong = settings(max_examples=1, phases=[Phase.generate])


def _is_bounded(member: Member) -> bool:
    return BOUNDS.get(member.kind, (None, None)) != (None, None)


def _is_listed(member: Member) -> bool:
    return member.kind == "word"


def _is_required(member: Member) -> bool:
    return member.pointer in REQUIRED


#: The members that a test is about, by the name of its argument.
_CHOICES: dict[str, Callable[[Member], bool]] = {
    "section": lambda _: True,
    "bounded": _is_bounded,
    "listed": _is_listed,
    "required": _is_required,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test for the members that it is about, as far as the judged release has them."""
    for name in _CHOICES.keys() & set(metafunc.fixturenames):
        found = []
        for section in sections(metafunc.config.getoption("--spec")):
            chosen = tuple(member for member in section.members if _CHOICES[name](member))
            found += [Section(section.name, chosen)] if chosen else []
        metafunc.parametrize(name, found, ids=[each.name for each in found])


def check(harness: Harness, section: Section, values: Callable[[Member], object]) -> None:
    """Judge configs in which only one value is wrong: each is an error, and nothing is left."""
    accepted = []
    for member, value in [(each, values(each)) for each in section.members]:
        config = member.within(harness.config("exit", "0"), value)
        if harness.attempt(config).ok:
            accepted.append((f"{member.pointer} may be {value!r}", config))
    if accepted:
        # Once more, so that it is the one that is shown.
        harness.attempt(accepted[0][1])
        told = ", ".join(text for text, _ in accepted)
        raise Ignored(f"neither create nor start is an error: {told}")


@requirement("config.valid-values.invalid-errors")
@_wrong
@given(data=st.data())
def test_a_value_of_another_type_is_refused(
    harness: Harness, section: Section, data: st.DataObject
) -> None:
    check(harness, section, lambda member: data.draw(of_another_type(member)))


@requirement("config.valid-values.invalid-errors")
@settings(_wrong, max_examples=2)
@given(data=st.data())
def test_a_number_that_is_out_of_range_is_refused(
    harness: Harness, bounded: Section, data: st.DataObject
) -> None:
    check(harness, bounded, lambda member: data.draw(out_of_range(member)))


@requirement("config.valid-values.invalid-errors")
@_wrong
@given(word=unlisted_words())
def test_a_word_that_is_not_in_the_list_is_refused(
    harness: Harness, listed: Section, word: str
) -> None:
    check(harness, listed, lambda _: word)


@requirement("config.valid-values.invalid-errors")
def test_the_reaction_to_a_missing_member_is_recorded(harness: Harness, required: Section) -> None:
    # A missing member is not plainly an invalid value: whatever is made of it is no crash, and
    # leaves nothing behind.
    for member in required.members:
        failed = harness.attempt(member.missing(harness.config("exit", "0"))).failed
        harness.note(f"without {member.pointer} a config is {'refused' if failed else 'accepted'}")


@requirement("config.valid-values.invalid-errors")
@settings(max_examples=20)
@given(data=st.data())
def test_null_is_refused_or_taken_for_something_at_every_member(
    harness: Harness, request: pytest.FixtureRequest, data: st.DataObject
) -> None:
    known = members(request.config.getoption("--spec"))
    member = data.draw(st.sampled_from([each for each in known if each.pointer not in _PLACES]))
    result = harness.attempt(member.within(harness.config("exit", "0"), None))
    assert result.ok or result.failed
