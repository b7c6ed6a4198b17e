"""Values of ``hooks``: kinds, lists, ways to fail, timeouts, paths; and annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from seatrial.conformance.hooks import KINDS, NOT_EXECUTABLE, WAYS_TO_FAIL, Hook, failing
from seatrial.conformance.strategies.process import texts

if TYPE_CHECKING:
    from collections.abc import Sequence

_INT32_MAX = 2**31 - 1


def kinds(among: Sequence[str] = KINDS) -> st.SearchStrategy[str]:
    """One kind of hook."""
    return st.sampled_from(among)


def sequences() -> st.SearchStrategy[dict[str, list[str]]]:
    """A list of tags for each kind of hook; tags repeat, as the entries of a list may."""
    return st.fixed_dictionaries(
        {kind: st.lists(st.sampled_from("abc"), max_size=4) for kind in KINDS}
    )


def ways_to_fail() -> st.SearchStrategy[str]:
    """One of the ``WAYS_TO_FAIL``."""
    return st.sampled_from(sorted(WAYS_TO_FAIL))


def failing_hooks() -> st.SearchStrategy[Hook]:
    """A hook that fails at once, named ``failing``; not all of them read the state before."""
    exits = failing_exit_statuses().map(lambda status: Hook("failing", "exit", str(status)))
    paths = st.sampled_from(NOT_EXECUTABLE).map(lambda path: Hook("failing", path=path))
    return st.one_of(exits, st.just(failing("signal")), paths)


def failing_exit_statuses() -> st.SearchStrategy[int]:
    """Exit statuses of a program that failed."""
    return st.integers(1, 255)


def timeouts() -> st.SearchStrategy[int]:
    """Timeouts, in seconds, that no hook of the suite's comes near to."""
    return st.integers(30, _INT32_MAX)


def wrong_timeouts() -> st.SearchStrategy[int]:
    """Timeouts that are not greater than zero."""
    return st.integers(-_INT32_MAX, 0)


def relative_paths() -> st.SearchStrategy[str]:
    """Relative paths, with a slash, of the program ``probe`` in the working directory."""
    steps = st.lists(st.sampled_from([".", "proc/..", "dev/.."]), min_size=1, max_size=3)
    return steps.map(lambda names: "/".join([*names, "probe"]))


def annotation_maps() -> st.SearchStrategy[dict[str, str]]:
    """Annotations; their keys are not empty (config.md, "Annotations") and have no ``=``."""
    keys = texts(without="=", max_size=20).map(lambda text: f"org.example.{text}")
    return st.dictionaries(keys, texts(max_size=20), max_size=4)
