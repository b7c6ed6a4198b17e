"""config-linux.md, "Seccomp": ``architectures``."""

from __future__ import annotations

import errno
import platform
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance.filters import (
    FIRST_ARCHITECTURES,
    LATER_ARCHITECTURES,
    RETURNS,
    Call,
    Entry,
    Filter,
    fails,
    filtered,
    observed,
)
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.syscalls import I386, NUMBERS, X32_BIT

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness

NATIVE = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}.get(platform.machine(), "")
#: Those whose programs a machine of this kind can execute; no runtime may do without these.
RELATED = {
    "SCMP_ARCH_X86_64": ("SCMP_ARCH_X86", "SCMP_ARCH_X32"),
    "SCMP_ARCH_AARCH64": ("SCMP_ARCH_ARM",),
}.get(NATIVE, ())
DENIED = fails(errno.EXDEV)


def denying(name: str, *architectures: str) -> Filter:
    """Return a filter for these architectures that denies one call."""
    entry = Entry((name,), "SCMP_ACT_ERRNO", (), errno.EXDEV)
    return Filter((entry,), members={"architectures": list(architectures)})


def line_of(harness: Harness, rule: Filter, *act: str) -> dict[str, object]:
    """Return what an act of the probe prints under a filter."""
    with harness.created(filtered(harness, rule, *act)) as container:
        started = container.start()
        assert started.ok, started
        return container.read_line()


def judge_foreign(harness: Harness, name: str) -> None:
    """See that a name is either applied, beside the native one, or refused."""
    rule = denying("munlockall", NATIVE, name)
    if harness.attempt(filtered(harness, rule)).failed:
        # Nothing here could execute programs of that architecture, or libseccomp lacks it.
        harness.note(f"{name} is refused here")
        return
    assert observed(harness, rule, [Call("munlockall"), Call("getegid")]) == [DENIED, RETURNS]


@requirement("linux.seccomp.architectures.base")
@pytest.mark.parametrize("name", [NATIVE, *RELATED])
def test_an_architecture_of_this_machine_is_valid(harness: Harness, name: str) -> None:
    rule = denying("munlockall", NATIVE, name)
    assert observed(harness, rule, [Call("munlockall"), Call("getegid")]) == [DENIED, RETURNS]


@requirement("linux.seccomp.architectures.base")
def test_the_native_architecture_is_filtered_without_being_listed(harness: Harness) -> None:
    rule = denying("munlockall")
    assert observed(harness, rule, [Call("munlockall"), Call("getegid")]) == [DENIED, RETURNS]


@requirement("linux.seccomp.architectures.base")
@needs("entry32")
def test_calls_by_the_32_bit_entry_are_filtered_by_their_own_numbers(harness: Harness) -> None:
    number = str(I386["munlockall"])
    rule = denying("munlockall", "SCMP_ARCH_X86_64", "SCMP_ARCH_X86")
    assert line_of(harness, rule, "int80", number)["errno"] == "EXDEV"
    # What has the same number for 64 bits is another call.
    rule = denying("getuid", "SCMP_ARCH_X86_64", "SCMP_ARCH_X86")
    assert line_of(harness, rule, "int80", number)["ok"] is True


@requirement("linux.seccomp.architectures.base")
@needs("entry32")
def test_calls_of_x32_are_filtered(harness: Harness) -> None:
    # A filter sees them even where the kernel has no x32.
    number = str(NUMBERS["munlockall"] | X32_BIT)
    rule = denying("munlockall", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32")
    assert line_of(harness, rule, "syscall", number)["errno"] == "EXDEV"


@requirement("linux.seccomp.architectures.base")
@pytest.mark.parametrize(
    "name", [name for name in FIRST_ARCHITECTURES if name not in (NATIVE, *RELATED)]
)
def test_a_foreign_architecture_is_accepted_or_refused(harness: Harness, name: str) -> None:
    judge_foreign(harness, name)


@requirement("linux.seccomp.architectures.riscv64")
def test_riscv64_is_accepted_or_refused(harness: Harness) -> None:
    judge_foreign(harness, "SCMP_ARCH_RISCV64")


@requirement("linux.seccomp.architectures.libseccomp-2-6")
@pytest.mark.parametrize(
    "name", [name for name in LATER_ARCHITECTURES if name != "SCMP_ARCH_RISCV64"]
)
def test_an_architecture_of_libseccomp_2_6_is_accepted_or_refused(
    harness: Harness, name: str
) -> None:
    judge_foreign(harness, name)
