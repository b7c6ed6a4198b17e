"""Values of ``process.capabilities``: sets that fit together, and names that cannot be granted."""

from __future__ import annotations

import string

from hypothesis import strategies as st

from seatrial.conformance.facts import CAPABILITIES, held_capabilities

#: One list of names for each property of ``process.capabilities``.
Sets = dict[str, list[str]]

KINDS = ("bounding", "permitted", "effective", "inheritable", "ambient")

#: Capabilities that no runtime needs for its own work; a caller of it may well lack them.
_DISPENSABLE = (
    "CAP_SYS_TIME",
    "CAP_SYS_BOOT",
    "CAP_SYS_PACCT",
    "CAP_SYSLOG",
    "CAP_LEASE",
    "CAP_WAKE_ALARM",
    "CAP_LINUX_IMMUTABLE",
    "CAP_AUDIT_CONTROL",
)


def number(name: str) -> int:
    """Return the kernel's number of a capability (linux/capability.h)."""
    return CAPABILITIES.index(name)


def users() -> st.SearchStrategy[int]:
    """User ids: the superuser, whom execve(2) treats apart, and others."""
    return st.one_of(st.just(0), st.integers(1, 65533))


def other_users() -> st.SearchStrategy[int]:
    """User ids that are not the superuser's."""
    return st.integers(1, 65533)


def subsets(names: list[str]) -> st.SearchStrategy[list[str]]:
    """Some of ``names``, or all, in the order of ``names``."""
    if not names:
        return st.just([])
    some = st.sets(st.sampled_from(names)).map(lambda chosen: [n for n in names if n in chosen])
    return st.one_of(some, st.just(names))


@st.composite
def consistent(draw: st.DrawFn) -> Sets:
    """Sets that capset(2) and prctl(2) accept together from a holder of all their members.

    What is effective is permitted, what is ambient is permitted and inheritable, and all is in the
    bounding set, as capabilities(7) has it.
    """
    bounding = draw(subsets(_held()))
    permitted = draw(subsets(bounding))
    inheritable = draw(subsets(bounding))
    return {
        "bounding": bounding,
        "permitted": permitted,
        "effective": draw(subsets(permitted)),
        "inheritable": inheritable,
        "ambient": draw(subsets([name for name in permitted if name in inheritable])),
    }


@st.composite
def lasting(draw: st.DrawFn, uid: int) -> Sets:
    """Consistent sets that are still the same once execve(2) has computed them anew.

    For the superuser it makes permitted and effective what is bounding or inheritable, for others
    what is ambient (capabilities(7), "Transformation of capabilities during execve()"): other
    values of these two cannot be seen in a program, whatever the runtime does.
    """
    bounding = draw(subsets(_held()))
    inheritable = draw(subsets(bounding))
    ambient = draw(subsets(inheritable))
    kept = bounding if uid == 0 else ambient
    return {
        "bounding": bounding,
        "permitted": kept,
        "effective": kept,
        "inheritable": inheritable,
        "ambient": ambient,
    }


def unknown_names() -> st.SearchStrategy[str]:
    """Names that look like those of capabilities and are none."""
    words = st.text(string.ascii_uppercase, min_size=3, max_size=12)
    return words.map(lambda word: f"CAP_{word}").filter(lambda name: name not in CAPABILITIES)


def dispensable_names() -> st.SearchStrategy[str]:
    """Names of capabilities that the harness holds and a runtime does without."""
    held = held_capabilities()
    return st.sampled_from([name for name in _DISPENSABLE if name in held])


def _held() -> list[str]:
    held = held_capabilities()
    return [name for name in CAPABILITIES if name in held]
