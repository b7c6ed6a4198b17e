"""Filters of ``linux.seccomp`` with calls at their edges, and words that seccomp.h has not."""

from __future__ import annotations

import errno
import string

from hypothesis import strategies as st

from seatrial.conformance.filters import ENDS, OPERATORS, Call, Condition, Entry, Filter
from seatrial.conformance.syscalls import NUMBERS

_HIGHEST = 2**64 - 1


def numbers() -> st.SearchStrategy[int]:
    """Unsigned numbers of 64 bits, often about the middle, where comparisons are split."""
    edges = [0, 1, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**63, 2**63 + 2**32, _HIGHEST]
    return st.one_of(st.sampled_from(edges), st.integers(0, 255), st.integers(0, _HIGHEST))


def near(value: int) -> st.SearchStrategy[int]:
    """The number, its neighbours, and those that differ from it in one half only."""
    low, high = value & 0xFFFFFFFF, value & ~0xFFFFFFFF
    about = {value, value - 1, value + 1, low, high, low | 1 << 32, high | 1, value ^ 1 << 32}
    return st.sampled_from(sorted(each for each in about if 0 <= each <= _HIGHEST))


@st.composite
def conditions(draw: st.DrawFn, index: int, ops: tuple[str, ...] = OPERATORS) -> Condition:
    """One condition on an argument that some values meet and others don't."""
    op = draw(st.sampled_from(ops))
    value = draw(numbers())
    if op == "SCMP_CMP_MASKED_EQ":
        return Condition(index, op, value, draw(numbers()) & value)
    if op == "SCMP_CMP_LT":
        value = max(value, 1)
    if op == "SCMP_CMP_GT":
        value = min(value, _HIGHEST - 1)
    return Condition(index, op, value)


@st.composite
def calls_about(draw: st.DrawFn, name: str, about: list[Condition]) -> Call:
    """A call whose arguments are at the edges of conditions, or what they are."""
    arguments = [draw(numbers()) for _ in range(6)]
    for condition in about:
        edge = condition.second if condition.op == "SCMP_CMP_MASKED_EQ" else condition.value
        chosen = draw(near(edge))
        if condition.op == "SCMP_CMP_MASKED_EQ" and draw(st.booleans()):
            chosen = edge | draw(numbers()) & ~condition.value & _HIGHEST
        arguments[condition.index] = chosen
    return Call(name, tuple(arguments))


@st.composite
def actions(draw: st.DrawFn) -> tuple[str, int | None]:
    """An action that shows, with its errno; always the same, as errnos have tests of their own."""
    likely = ["SCMP_ACT_ERRNO"] * 4 + ["SCMP_ACT_ALLOW", "SCMP_ACT_TRAP", "SCMP_ACT_TRACE"]
    name = draw(st.sampled_from([*likely, "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS"]))
    return name, errno.ENOMSG if name == "SCMP_ACT_ERRNO" else None


@st.composite
def _entries(draw: st.DrawFn, name: str) -> tuple[Entry, ...]:
    """Entries for one call: each with its conditions on different arguments, and one action.

    Or two of different actions whose conditions exclude one another.
    """
    action, number = draw(actions())
    if draw(st.integers(0, 3)) == 0:
        other, other_number = draw(actions())
        index, value = draw(st.integers(0, 5)), draw(numbers())
        at_least = Condition(index, "SCMP_CMP_GE", max(value, 1))
        below = Condition(index, "SCMP_CMP_LT", max(value, 1))
        return (
            Entry((name,), action, (at_least,), number),
            Entry((name,), other, (below,), other_number),
        )
    return tuple(
        Entry(
            (name,),
            action,
            tuple(
                draw(conditions(i)) for i in sorted(draw(st.sets(st.integers(0, 5), max_size=3)))
            ),
            number,
        )
        for _ in range(draw(st.integers(1, 3)))
    )


@st.composite
def filters_with_calls(draw: st.DrawFn) -> tuple[Filter, list[Call]]:
    """A filter, and calls at its edges in some order; no more than one of them ends the process."""
    default, number = draw(actions())
    names = draw(st.lists(st.sampled_from(sorted(NUMBERS)), min_size=1, max_size=3, unique=True))
    entries = [entry for name in names for entry in draw(_entries(name))]
    found = Filter(tuple(entries), default, number)
    about = {n: [c for e in entries if n in e.names for c in e.conditions] for n in names}
    calls = [
        draw(calls_about(name, draw(st.permutations(about[name]))))
        for name in names
        for _ in "1234"
    ]
    calls.append(draw(calls_about(draw(st.sampled_from(sorted(NUMBERS))), [])))
    calls = draw(st.permutations(calls))
    return found, sorted(calls, key=lambda call: found.outcome(call) == ENDS)


def errnos() -> st.SearchStrategy[int]:
    """Errnos that libseccomp takes; not those by which the kernel begins calls anew."""
    return st.one_of(st.integers(1, 133), st.sampled_from([200, 511, 600, 4094]))


def unknown_names(prefix: str, known: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Names that are like those of the list, and are not in it."""
    listed = st.sampled_from(known)
    words = st.text(string.ascii_uppercase, min_size=2, max_size=8).map(lambda word: prefix + word)
    close = listed.flatmap(
        lambda name: st.sampled_from([name.lower(), name + "X", name[:-1], "X" + name, name + " "])
    )
    return st.one_of(words, close, listed.map(lambda name: name.removeprefix(prefix))).filter(
        lambda name: name not in known
    )
