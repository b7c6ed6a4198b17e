"""Network devices: their names, attributes and addresses."""

from __future__ import annotations

import ipaddress
import string
from typing import Any

from hypothesis import strategies as st

from seatrial.conformance.links import Address

#: IFNAMSIZ without the NUL.
_LONGEST_NAME = 15
#: First address, and the prefixes that one of them may have.
_FAMILIES = (
    (ipaddress.ip_address("10.64.0.0"), (8, 32)),
    (ipaddress.ip_address("fd00:5ea7::"), (32, 128)),
)


def device_names() -> st.SearchStrategy[str]:
    """Names that the kernel takes and that stand for one device; none is that of the loopback."""
    letters = string.ascii_letters + string.digits + "-_.@"
    rest = st.text(letters, max_size=_LONGEST_NAME - 1)
    return st.tuples(st.sampled_from(string.ascii_letters), rest).map("".join).filter(_is_free)


def _is_free(name: str) -> bool:
    return not name.startswith(("lo", "other"))


@st.composite
def attributes(draw: st.DrawFn) -> dict[str, Any]:
    """Attributes of a device by ``links.change``'s names for them, each with a rare value."""
    octets = [0x02, *draw(st.lists(st.integers(0, 255), min_size=5, max_size=5))]
    return {
        # IPv6 wants 1280.
        "mtu": draw(st.integers(1280, 9000)),
        "address": ":".join(f"{octet:02x}" for octet in octets),
        "txqlen": draw(st.integers(1, 5000)),
        "ifalias": draw(st.text(string.ascii_letters + " ", min_size=1, max_size=40)),
    }


@st.composite
def addresses(draw: st.DrawFn) -> list[Address]:
    """Permanent addresses of global scope, of both families."""
    found = draw(st.lists(_address(), max_size=5, unique=True))
    return [Address(text) for text in found]


@st.composite
def _address(draw: st.DrawFn) -> str:
    first, (least, most) = draw(st.sampled_from(_FAMILIES))
    return f"{first + draw(st.integers(1, 1 << 16))}/{draw(st.integers(least, most))}"
