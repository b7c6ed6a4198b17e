"""What a list of allowed devices means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.conformance.device_rules import (
    Access,
    Rule,
    agreed,
    by_exceptions,
    last_fitting,
    plain,
)
from seatrial.conformance.strategies.cgroups import listed, numbers_of

NULL = Access("c", 1, 3, "r")
DENY, ALLOW = False, True
ALL, NONE = Rule(ALLOW), Rule(DENY)


@pytest.mark.parametrize("model", [last_fitting, by_exceptions])
@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        ([ALL], True),
        ([NONE], False),
        ([NONE, Rule(ALLOW, "c", 1, 3, "r")], True),
        ([NONE, Rule(ALLOW, "c", 1, 3, "w")], False),
        ([NONE, Rule(ALLOW, "b", 1, 3, "r")], False),
        ([NONE, Rule(ALLOW, "c", 1)], True),
        ([NONE, Rule(ALLOW, "c", None, 4)], False),
        ([ALL, Rule(DENY, "c", 1, 3, "r")], False),
        ([ALL, Rule(DENY, "c", 1, 3, "r"), Rule(ALLOW, "c", 1, 3)], True),
        ([Rule(ALLOW, "c", 1, 3), NONE], False),
    ],
)
def test_both_models_know_the_order(model: object, rules: list[Rule], *, allowed: bool) -> None:
    assert callable(model)
    assert model(rules, NULL) is allowed


def test_what_asks_for_more_than_is_allowed_is_denied_by_both() -> None:
    both = Access("c", 1, 3, "rw")
    for rules in ([ALL, Rule(DENY, "c", 1, 3, "r")], [NONE, Rule(ALLOW, "c", 1, 3, "r")]):
        assert agreed(rules, [both]) == {both: False}


def test_a_hole_in_a_wildcard_is_seen_otherwise() -> None:
    rules = [NONE, Rule(ALLOW, "c", 1), Rule(DENY, "c", 1, 3)]
    assert agreed(rules, [NULL]) == {}
    assert not plain(rules, [NULL])
    assert plain(rules[:2], [NULL])


def test_a_rule_is_an_entry_without_what_is_everything() -> None:
    assert ALL.entry() == {"allow": True, "access": "rwm"}
    assert Rule(DENY, "b", 8, None, "m").entry() == {
        "allow": False,
        "type": "b",
        "major": 8,
        "access": "m",
    }


@given(numbers=st.sets(st.integers(0, 40)), data=st.data())
def test_a_list_stands_for_its_numbers(numbers: set[int], data: st.DataObject) -> None:
    assert numbers_of(data.draw(listed(numbers))) == sorted(numbers)
