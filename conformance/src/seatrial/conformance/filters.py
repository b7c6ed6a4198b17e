"""Filters of ``linux.seccomp``: a model of what they do to a call, and what a program sees of it.

The model is seccomp.h's: an entry matches a call if the name does and all its conditions hold; an
argument is an unsigned number of 64 bits.
"""

from __future__ import annotations

import errno
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from seatrial.conformance.errors import Malformed
from seatrial.conformance.report import parse_line
from seatrial.conformance.syscalls import NAMES, NUMBERS

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

ACTIONS = (
    *("SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP"),
    *("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE", "SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY"),
)
WITH_ERRNO = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
WITHOUT_ERRNO = tuple(name for name in ACTIONS if name not in WITH_ERRNO)
OPERATORS = (
    *("SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT"),
    "SCMP_CMP_MASKED_EQ",
)
FLAGS = (
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
)
#: Those of the first release.
FIRST_ARCHITECTURES = tuple(
    f"SCMP_ARCH_{name}"
    for name in (
        *("X86", "X86_64", "X32", "ARM", "AARCH64", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL"),
        *("MIPSEL64", "MIPSEL64N32", "PPC", "PPC64", "PPC64LE", "S390", "S390X", "PARISC"),
        "PARISC64",
    )
)
LATER_ARCHITECTURES = tuple(
    f"SCMP_ARCH_{name}" for name in ("RISCV64", "LOONGARCH64", "M68K", "SH", "SHEB")
)

_DIES = frozenset({"SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD"})
_LETS_THROUGH = frozenset({"SCMP_ACT_ALLOW", "SCMP_ACT_LOG"})


@dataclass(frozen=True)
class Call:
    """A system call that the probe is to make."""

    name: str
    arguments: tuple[int, ...] = ()

    @property
    def words(self) -> list[str]:
        """What stands behind the name of the probe's act."""
        return [str(NUMBERS[self.name]), *map(str, self.arguments)]

    def argument(self, index: int) -> int:
        """Return one argument; those that are not given are 0."""
        return self.arguments[index] if index < len(self.arguments) else 0


@dataclass(frozen=True)
class Condition:
    """An entry of ``args``."""

    index: int
    op: str
    value: int
    second: int = 0

    def member(self) -> dict[str, Any]:
        """Return it as the config has it."""
        entry = {"index": self.index, "op": self.op, "value": self.value}
        return entry | ({"valueTwo": self.second} if self.op == "SCMP_CMP_MASKED_EQ" else {})

    def holds(self, call: Call) -> bool:
        """Whether it holds for the arguments of a call."""
        argument = call.argument(self.index)
        return {
            "SCMP_CMP_NE": argument != self.value,
            "SCMP_CMP_LT": argument < self.value,
            "SCMP_CMP_LE": argument <= self.value,
            "SCMP_CMP_EQ": argument == self.value,
            "SCMP_CMP_GE": argument >= self.value,
            "SCMP_CMP_GT": argument > self.value,
            "SCMP_CMP_MASKED_EQ": argument & self.value == self.second,
        }[self.op]


@dataclass(frozen=True)
class Entry:
    """An entry of ``syscalls``."""

    names: tuple[str, ...]
    action: str
    conditions: tuple[Condition, ...] = ()
    number: int | None = None

    def member(self) -> dict[str, Any]:
        """Return it as the config has it."""
        entry: dict[str, Any] = {"names": list(self.names), "action": self.action}
        if self.conditions:
            entry["args"] = [condition.member() for condition in self.conditions]
        if self.number is not None:
            entry["errnoRet"] = self.number
        return entry

    def matches(self, call: Call) -> bool:
        """Whether it is about a call."""
        return call.name in self.names and all(each.holds(call) for each in self.conditions)


@dataclass(frozen=True)
class Outcome:
    """What comes of a call: it returns, fails with an errno, is trapped, or ends the process."""

    what: str
    number: int = 0


RETURNS = Outcome("returns")
TRAPPED = Outcome("is trapped")
ENDS = Outcome("ends the process")


def fails(number: int) -> Outcome:
    """Return the outcome of a call that fails with this errno."""
    return Outcome("fails", number)


def outcome_of(action: str, number: int | None) -> Outcome:
    """Return what an action does, with its errno, where no tracer is."""
    if action in _DIES:
        return ENDS
    if action in _LETS_THROUGH:
        return RETURNS
    if action == "SCMP_ACT_TRAP":
        return TRAPPED
    if action == "SCMP_ACT_TRACE":
        return fails(errno.ENOSYS)
    return fails(errno.EPERM if number is None else number)


@dataclass(frozen=True)
class Filter:
    """A value of ``linux.seccomp``, without what is not about calls."""

    entries: tuple[Entry, ...] = ()
    default: str = "SCMP_ACT_ALLOW"
    number: int | None = None
    members: dict[str, Any] = field(default_factory=dict)

    def member(self) -> dict[str, Any]:
        """Return it as the config has it.

        Where the default keeps calls from being made, an entry of its own allows all but those
        that tests make.
        """
        listed = [entry.member() for entry in self.entries]
        if self.default not in _LETS_THROUGH:
            others = sorted(NAMES.difference(NUMBERS))
            listed.append({"names": others, "action": "SCMP_ACT_ALLOW"})
        seccomp = {"defaultAction": self.default, "syscalls": listed, **self.members}
        if self.number is not None:
            seccomp["defaultErrnoRet"] = self.number
        return seccomp

    def outcome(self, call: Call) -> Outcome:
        """Return what comes of a call; for filters whose entries do not contradict one another."""
        found = {
            outcome_of(entry.action, entry.number) for entry in self.entries if entry.matches(call)
        }
        return found.pop() if found else outcome_of(self.default, self.number)

    def outcomes(self, calls: list[Call]) -> list[Outcome]:
        """Return what comes of calls that one process makes, up to its end."""
        seen: list[Outcome] = []
        for call in calls:
            seen.append(self.outcome(call))
            if seen[-1] == ENDS:
                break
        return seen


def filtered(harness: Harness, seccomp: Any, *act: str, late: bool = True) -> Config:  # noqa: ANN401
    """Return a config with this filter.

    With ``late`` nothing gains privileges on execve(2), so that runtimes can load the filter as
    the last thing that they do, and it bears on little of theirs.
    """
    config = harness.config(*act)
    config["process"]["noNewPrivileges"] = late
    config["linux"]["seccomp"] = seccomp.member() if isinstance(seccomp, Filter) else seccomp
    return config


def observed(
    harness: Harness, seccomp: Filter | dict[str, Any], calls: list[Call], *, late: bool = True
) -> list[Outcome]:
    """Have a program make calls under a filter, and return what came of them, up to its end."""
    words: list[str] = []
    for call in calls:
        words += ["+", "trapped", *call.words]
    with harness.created(filtered(harness, seccomp, *words[1:], late=late)) as container:
        started = container.start()
        assert started.ok, started  # noqa: S101 - a verdict
        seen = [_read(line) for line in container.output().splitlines()]
        if container.exit_status == -signal.SIGSYS:
            return [*seen, ENDS]
        if container.exit_status != 0:
            raise Malformed(f"the program ended with status {container.exit_status} after {seen}")
        return seen


def _read(line: bytes) -> Outcome:
    said = parse_line(line)
    if said.get("signal") == signal.SIGSYS:
        return TRAPPED
    if said.get("ok"):
        return RETURNS
    symbol = str(said.get("errno"))
    return fails(int(symbol) if symbol.isdecimal() else getattr(errno, symbol))
