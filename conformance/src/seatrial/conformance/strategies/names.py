"""Values of ``hostname`` and ``domainname``."""

from __future__ import annotations

import string

from hypothesis import strategies as st

from seatrial.conformance.strategies.process import texts

#: The longest name that the kernel takes (uname(2), __NEW_UTS_LEN).
MOST_BYTES = 64

_LETTERS = string.ascii_lowercase + string.digits


def dotted_names() -> st.SearchStrategy[str]:
    """Names as hostname(7) has them: labels of letters, digits and hyphens, with dots between."""
    ends = st.text(_LETTERS, min_size=1, max_size=1)
    middles = st.text(_LETTERS + "-", max_size=20)
    labels = st.tuples(ends, middles, ends).map("".join)
    names = st.lists(labels, min_size=1, max_size=4).map(".".join)
    return names.filter(lambda name: len(name) <= MOST_BYTES)


def odd_names() -> st.SearchStrategy[str]:
    """Other names that the kernel takes: any text that fits."""
    return texts(min_size=1, max_size=MOST_BYTES).filter(
        lambda name: len(name.encode()) <= MOST_BYTES
    )


def longest_names() -> st.SearchStrategy[str]:
    """Names that fit exactly."""
    return st.text(_LETTERS, min_size=MOST_BYTES, max_size=MOST_BYTES)


def too_long_names() -> st.SearchStrategy[str]:
    """Names that the kernel does not take."""
    return st.text(_LETTERS, min_size=MOST_BYTES + 1, max_size=2 * MOST_BYTES)
