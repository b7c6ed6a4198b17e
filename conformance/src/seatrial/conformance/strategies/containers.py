"""Values that operations are given: ids of containers."""

from __future__ import annotations

import string

from hypothesis import strategies as st

_LETTERS = string.ascii_letters + string.digits


def identifiers() -> st.SearchStrategy[str]:
    """Ids that no runtime has a reason to refuse: letters and digits, with hyphens in between."""
    words = st.text(_LETTERS, min_size=1, max_size=8)
    return st.lists(words, min_size=1, max_size=4).map("-".join)


def relative_bundles() -> st.SearchStrategy[str]:
    """Ways to a folder next to where one is; ``{0}`` stands for its name."""
    detours = st.lists(st.sampled_from([".", "{0}/..", "{0}/rootfs/../.."]), max_size=3)
    endings = st.sampled_from(["{0}", "{0}/", "{0}/.", "{0}/rootfs/.."])
    return st.tuples(detours, endings).map(lambda pair: "/".join([*pair[0], pair[1]]))
