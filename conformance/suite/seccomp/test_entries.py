"""config-linux.md, "Seccomp": what a filter has to have, and words that are not in the lists."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.filters import (
    ACTIONS,
    FIRST_ARCHITECTURES,
    FLAGS,
    LATER_ARCHITECTURES,
    OPERATORS,
    filtered,
)
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.seccomp import unknown_names

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness

WHOLE: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [
        {
            "names": ["munlockall"],
            "action": "SCMP_ACT_ERRNO",
            "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": 1}],
        }
    ],
}


def whole() -> dict[str, Any]:
    """Return a filter with all that is required."""
    return copy.deepcopy(WHOLE)


def record_omission(harness: Harness, seccomp: dict[str, Any], what: str) -> None:
    """Note whether a filter that lacks something is refused."""
    refused = harness.attempt(filtered(harness, seccomp)).failed
    harness.note(f"a filter without {what} is {'refused' if refused else 'accepted'}")


# What has to be there


@requirement("linux.seccomp.default-action-present")
def test_the_reaction_to_a_missing_default_action_is_recorded(harness: Harness) -> None:
    seccomp = whole()
    del seccomp["defaultAction"]
    record_omission(harness, seccomp, "defaultAction")


@requirement("linux.seccomp.default-action-present")
@given(word=unknown_names("SCMP_ACT_", ACTIONS))
@settings(max_examples=10)
def test_an_unknown_default_action_generates_an_error(harness: Harness, word: str) -> None:
    assert harness.attempt(filtered(harness, whole() | {"defaultAction": word})).failed


@requirement("linux.seccomp.syscalls.names-nonempty")
def test_an_entry_with_an_empty_list_of_names_generates_an_error(harness: Harness) -> None:
    seccomp = whole()
    seccomp["syscalls"][0]["names"] = []
    assert harness.attempt(filtered(harness, seccomp)).failed


@requirement("linux.seccomp.syscalls.names-nonempty")
def test_the_reaction_to_missing_names_is_recorded(harness: Harness) -> None:
    seccomp = whole()
    del seccomp["syscalls"][0]["names"]
    record_omission(harness, seccomp, "names")


@requirement("linux.seccomp.syscalls.action-present")
def test_the_reaction_to_a_missing_action_is_recorded(harness: Harness) -> None:
    seccomp = whole()
    del seccomp["syscalls"][0]["action"]
    record_omission(harness, seccomp, "action")


@requirement("linux.seccomp.syscalls.args-members-present")
@pytest.mark.parametrize("member", ["index", "value", "op"])
def test_the_reaction_to_a_missing_member_of_a_condition_is_recorded(
    harness: Harness, member: str
) -> None:
    seccomp = whole()
    del seccomp["syscalls"][0]["args"][0][member]
    record_omission(harness, seccomp, member)


# Words that are in no list


@requirement("linux.seccomp.unknown-value-errors")
@given(word=unknown_names("SECCOMP_FILTER_FLAG_", FLAGS), late=st.booleans())
@settings(max_examples=15)
def test_an_unknown_flag_generates_an_error(harness: Harness, word: str, *, late: bool) -> None:
    seccomp = whole() | {"flags": [word]}
    assert harness.attempt(filtered(harness, seccomp, late=late)).failed


@requirement("linux.seccomp.unknown-value-errors")
@given(word=unknown_names("SCMP_ACT_", ACTIONS))
@settings(max_examples=15)
def test_an_unknown_action_generates_an_error(harness: Harness, word: str) -> None:
    seccomp = whole()
    seccomp["syscalls"][0]["action"] = word
    assert harness.attempt(filtered(harness, seccomp)).failed


@requirement("linux.seccomp.unknown-value-errors")
@given(word=unknown_names("SCMP_CMP_", OPERATORS))
@settings(max_examples=15)
def test_an_unknown_operator_generates_an_error(harness: Harness, word: str) -> None:
    seccomp = whole()
    seccomp["syscalls"][0]["args"][0]["op"] = word
    assert harness.attempt(filtered(harness, seccomp)).failed


@requirement("linux.seccomp.unknown-value-errors")
@given(word=unknown_names("SCMP_ARCH_", FIRST_ARCHITECTURES + LATER_ARCHITECTURES))
@settings(max_examples=15)
def test_an_unknown_architecture_generates_an_error(harness: Harness, word: str) -> None:
    assert harness.attempt(filtered(harness, whole() | {"architectures": [word]})).failed
