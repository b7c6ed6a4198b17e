"""Strategies for what cgroup files take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Collection


@st.composite
def listed(draw: st.DrawFn, numbers: Collection[int]) -> str:
    """Draw a list that stands for these numbers: commas, dashes for ranges, in any order."""
    rest = sorted(numbers)
    parts: list[str] = []
    while rest:
        start, end = rest[0], rest[0]
        rest = rest[1:]
        while rest and rest[0] == end + 1 and draw(st.booleans()):
            end = rest.pop(0)
        alone = start == end and draw(st.booleans())
        parts.append(str(start) if alone else f"{start}-{end}")
    return ",".join(draw(st.permutations(parts)))


def numbers_of(text: str) -> list[int]:
    """Return the numbers that such a list stands for, in their order (cpuset(7))."""
    found: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first:
            found.update(range(int(first), int(last or first) + 1))
    return sorted(found)


def cgroup_names() -> st.SearchStrategy[str]:
    """Names that a cgroup can have and no file of a cgroup has: these begin in lower case."""
    letters = st.sampled_from("ABCXYZabcxyz0123456789._-")
    return st.text(letters, min_size=0, max_size=12).map(lambda rest: f"N{rest}")
