"""Values of ``annotations``."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from seatrial.conformance.strategies.process import texts

#: One valid value for each key of the spec's table (image-spec, config.md).
IMAGE = {
    "org.opencontainers.image.os": "linux",
    "org.opencontainers.image.os.version": "6.1",
    "org.opencontainers.image.os.features": "feature",
    "org.opencontainers.image.architecture": "arm64",
    "org.opencontainers.image.variant": "v8",
    "org.opencontainers.image.author": "A. U. Thor <author@example.org>",
    "org.opencontainers.image.created": "2026-01-31T22:22:56.015925234Z",
    "org.opencontainers.image.stopSignal": "SIGINT",
}

#: No runtime gives a meaning to what is below; two of them are reserved, and so is what follows.
_PREFIXES = ("com.example.", "org.opencontainers.seatrial.", "org.opencontainers.image.seatrial.")


def unknown_keys() -> st.SearchStrategy[str]:
    """Keys that no runtime knows."""
    return st.tuples(st.sampled_from(_PREFIXES), texts(without="=", max_size=20)).map("".join)


def unknown_maps() -> st.SearchStrategy[dict[str, str]]:
    """Annotations, some or many, that no runtime knows."""
    return st.dictionaries(unknown_keys(), texts(), min_size=1, max_size=8)


def wrong_maps() -> st.SearchStrategy[Any]:
    """What is not a map."""
    return st.one_of(
        st.lists(texts(max_size=5), max_size=3),
        texts(max_size=10),
        st.integers(-(2**31), 2**31),
        st.booleans(),
    )


def wrong_values() -> st.SearchStrategy[Any]:
    """JSON that is not a string, without null."""
    return st.one_of(
        st.integers(-(2**31), 2**31),
        st.booleans(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.lists(texts(max_size=5), max_size=3),
        st.dictionaries(texts(max_size=5), texts(max_size=5), max_size=2),
    )
