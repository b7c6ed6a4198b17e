"""config-linux.md, "Seccomp": conditions on arguments, and filters as a whole against a model."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.filters import (
    OPERATORS,
    RETURNS,
    Call,
    Condition,
    Entry,
    Filter,
    fails,
    filtered,
    observed,
)
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.seccomp import calls_about, conditions, filters_with_calls

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness

DENIED = fails(errno.ENOMSG)


def denying(*conditions: Condition) -> Filter:
    """Return a filter that denies one call where all conditions hold."""
    return Filter((Entry(("munlockall",), "SCMP_ACT_ERRNO", conditions, errno.ENOMSG),))


def row(op: str) -> str:
    """Return the id of an operator's row."""
    return f"linux.seccomp.operator.{op.removeprefix('SCMP_CMP_').lower().replace('_', '-')}"


for_each_operator = pytest.mark.parametrize(
    "op", [pytest.param(op, marks=requirement(row(op))) for op in OPERATORS]
)


@for_each_operator
@given(data=st.data())
@settings(max_examples=12)
def test_an_operator_compares_64_bits_without_a_sign(
    harness: Harness, op: str, data: st.DataObject
) -> None:
    condition = data.draw(conditions(data.draw(st.integers(0, 5)), (op,)))
    calls = [data.draw(calls_about("munlockall", [condition])) for _ in "12345678"]
    expected = [DENIED if condition.holds(call) else RETURNS for call in calls]
    assert observed(harness, denying(condition), calls) == expected


@for_each_operator
def test_an_operator_tells_the_halves_of_a_number_apart(harness: Harness, op: str) -> None:
    value = 0x0000_0002_0000_0002
    condition = Condition(1, op, value, value)
    calls = [
        Call("munlockall", (value, high << 32 | low)) for high in (1, 2, 3) for low in (1, 2, 3)
    ]
    expected = [DENIED if condition.holds(call) else RETURNS for call in calls]
    assert observed(harness, denying(condition), calls) == expected


@requirement("linux.seccomp.operator.eq")
def test_all_conditions_of_an_entry_have_to_hold(harness: Harness) -> None:
    rule = denying(Condition(0, "SCMP_CMP_EQ", 1), Condition(3, "SCMP_CMP_EQ", 2))
    calls = [Call("munlockall", (a, 0, 0, b)) for a, b in ((1, 2), (1, 0), (0, 2), (0, 0))]
    assert observed(harness, rule, calls) == [DENIED, RETURNS, RETURNS, RETURNS]


@requirement("linux.seccomp.operator.eq")
def test_one_of_several_entries_is_enough(harness: Harness) -> None:
    one, other = (denying(Condition(0, "SCMP_CMP_EQ", value)).entries for value in (1, 2))
    calls = [Call("munlockall", (value,)) for value in (1, 2, 3)]
    assert observed(harness, Filter(one + other), calls) == [DENIED, DENIED, RETURNS]


@requirement("linux.seccomp.operator.eq")
def test_what_two_conditions_on_one_argument_mean_is_recorded(harness: Harness) -> None:
    # The text does not say, and libseccomp takes no rule that compares an argument twice.
    rule = denying(Condition(0, "SCMP_CMP_GE", 2), Condition(0, "SCMP_CMP_LE", 3))
    with harness.container(filtered(harness, rule)) as container:
        created = container.create()
        if created.failed or container.start().failed:
            harness.note("two conditions on one argument are refused")
            return
    calls = [Call("munlockall", (value,)) for value in (1, 2, 3, 4)]
    seen = observed(harness, rule, calls)
    readings: dict[str, list[Any]] = {
        "both have to hold": [RETURNS, DENIED, DENIED, RETURNS],
        "one is enough": [DENIED] * 4,
    }
    assert seen in readings.values()
    said = next(text for text, outcomes in readings.items() if outcomes == seen)
    harness.note(f"of two conditions on one argument {said}")


@requirement("linux.seccomp.default-action-applied")
@given(drawn=filters_with_calls(), late=st.booleans())
@settings(max_examples=40)
def test_calls_get_what_a_model_of_the_filter_says(
    harness: Harness, drawn: tuple[Filter, list[Call]], *, late: bool
) -> None:
    rule, calls = drawn
    # A filter that denies calls by default is made for the program alone.
    late = late or rule.default != "SCMP_ACT_ALLOW"
    assert observed(harness, rule, calls, late=late) == rule.outcomes(calls)
