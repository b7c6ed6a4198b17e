"""Entries of ``linux.devices``."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from seatrial.conformance.strategies.process import texts

Device = dict[str, Any]

#: Numbers of devices that every kernel has, and that anybody may open (devices.txt).
MEMORY_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "urandom": (1, 9)}


def modes() -> st.SearchStrategy[int]:
    """All that ``fileMode`` may be by the schema."""
    return st.integers(0, 0o777)


def names() -> st.SearchStrategy[str]:
    """Names of nodes that no default device has."""
    return texts(without="/", min_size=1, max_size=20).map(lambda name: f"seatrial-{name}")


@st.composite
def nodes(draw: st.DrawFn, *, types: str = "cbp") -> Device:
    """One device of any numbers, at ``path`` in /dev or beside it."""
    kind = draw(st.sampled_from(types))
    folder = draw(st.sampled_from(["/dev", "/dev/folder", "/folder", "/folder/below", ""]))
    device: Device = {"type": kind, "path": f"{folder}/{draw(names())}"}
    if kind != "p":
        device["major"] = draw(st.integers(1, (1 << 12) - 1))
        device["minor"] = draw(st.integers(0, (1 << 20) - 1))
    return device
