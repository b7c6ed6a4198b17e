"""features-linux.md, "Seccomp"."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.conformance.features import Document, declared, listed
from seatrial.conformance.filters import (
    ACTIONS,
    FIRST_ARCHITECTURES,
    FLAGS,
    LATER_ARCHITECTURES,
    OPERATORS,
    Call,
    Entry,
    Filter,
    fails,
    filtered,
    observed,
)
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness

#: Those whose programs no machine of the first kind can do without filtering.
OF_THIS_MACHINE = ("SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32")


def is_listed(harness: Harness, features: Document, path: str, name: str, seccomp: Any) -> bool:
    """Whether a name is listed; if not, record what becomes of it."""
    if name in listed(features, f"linux.seccomp.{path}"):
        return True
    refused = harness.attempt(filtered(harness, seccomp)).failed
    harness.note(f"{name} is not listed, and is {'refused' if refused else 'accepted'}")
    return False


def rule(action: str = "SCMP_ACT_ERRNO", **members: Any) -> dict[str, Any]:
    """Return a filter with an entry for one call."""
    entry = {"names": ["munlockall"], "action": action}
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [entry], **members}


@requirement("features-linux.seccomp.enabled-truthful")
def test_seccomp_is_enabled_if_a_filter_works(harness: Harness, features: Document) -> None:
    said = declared(features, "linux.seccomp.enabled")
    denying = Filter((Entry(("munlockall",), "SCMP_ACT_ERRNO", (), errno.EXDEV),))
    if said is None:
        harness.note("seccomp.enabled is not declared")
    if said is not True and harness.attempt(filtered(harness, denying)).failed:
        return
    assert observed(harness, denying, [Call("munlockall")]) == [fails(errno.EXDEV)]
    assert said is not False


@requirement("features-linux.seccomp.actions-recognized")
@pytest.mark.parametrize("action", ACTIONS)
def test_a_listed_action_is_recognised(
    harness: Harness, features: Document, agent_path: str, action: str
) -> None:
    seccomp = rule(action) | ({"listenerPath": agent_path} if action.endswith("NOTIFY") else {})
    if is_listed(harness, features, "actions", action, seccomp):
        result = harness.attempt(filtered(harness, seccomp))
        assert result.ok, result


@requirement("features-linux.seccomp.operators-recognized")
@pytest.mark.parametrize("operator", OPERATORS)
def test_a_listed_operator_is_recognised(
    harness: Harness, features: Document, operator: str
) -> None:
    seccomp = rule()
    seccomp["syscalls"][0]["args"] = [{"index": 0, "op": operator, "value": 1, "valueTwo": 1}]
    if is_listed(harness, features, "operators", operator, seccomp):
        result = harness.attempt(filtered(harness, seccomp))
        assert result.ok, result


@requirement("features-linux.seccomp.archs-recognized")
@pytest.mark.parametrize("name", FIRST_ARCHITECTURES + LATER_ARCHITECTURES)
def test_a_listed_architecture_is_recognised(
    harness: Harness, features: Document, name: str
) -> None:
    seccomp = rule(architectures=[name])
    if not is_listed(harness, features, "archs", name, seccomp):
        return
    result = harness.attempt(filtered(harness, seccomp))
    if result.failed and name not in OF_THIS_MACHINE:
        # To know it is less than to be able to do anything about it on this machine.
        harness.note(f"{name} is listed, and is refused here")
        return
    assert result.ok, result


@requirement("features-linux.seccomp.known-flags-recognized")
@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_that_is_listed_as_known_is_recognised(
    harness: Harness, features: Document, agent_path: str, flag: str
) -> None:
    seccomp = rule("SCMP_ACT_NOTIFY", flags=[flag], listenerPath=agent_path)
    if not is_listed(harness, features, "knownFlags", flag, seccomp):
        return
    result = harness.attempt(filtered(harness, seccomp))
    if result.failed and flag not in listed(features, "linux.seccomp.supportedFlags"):
        harness.note(f"{flag} is listed as known, and is refused here")
        return
    assert result.ok, result


@requirement("features-linux.seccomp.supported-flags-supported")
@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_that_is_listed_as_supported_is_supported(
    harness: Harness, features: Document, agent_path: str, flag: str
) -> None:
    seccomp = rule("SCMP_ACT_NOTIFY", flags=[flag], listenerPath=agent_path)
    if is_listed(harness, features, "supportedFlags", flag, seccomp):
        result = harness.attempt(filtered(harness, seccomp))
        assert result.ok, result


@requirement("features-linux.seccomp.supported-within-known")
def test_flags_that_are_listed_as_supported_are_listed_as_known(features: Document) -> None:
    supported = listed(features, "linux.seccomp.supportedFlags")
    assert set(supported) <= set(listed(features, "linux.seccomp.knownFlags"))
