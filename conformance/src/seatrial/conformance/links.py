"""Network devices in this thread's network namespace: made, changed and looked at (rtnetlink)."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Scopes of addresses (linux/rtnetlink.h).
GLOBAL, LINK, HOST = 0, 253, 254

_IFF_UP = 0x1
_IFA_F_PERMANENT = 0x80
_numbers = itertools.count(1)


class Address(NamedTuple):
    """One address of a device: ``text`` is as in ``10.0.0.1/24``."""

    text: str
    scope: int = GLOBAL
    permanent: bool = True


@dataclass(frozen=True)
class Link:
    """What one network device has: ``mac`` is its hardware address, ``queue`` its txqueuelen."""

    name: str
    up: bool
    mtu: int
    mac: str
    queue: int
    alias: str | None
    addresses: frozenset[Address]

    def kept(self) -> frozenset[str]:
        """Return the addresses for lasting, external communication: permanent, global scope."""
        return frozenset(
            each.text for each in self.addresses if each.permanent and each.scope == GLOBAL
        )


@contextlib.contextmanager
def pair(name: str) -> Iterator[None]:
    """Have a device ``name``, of a veth pair whose other end stays here.

    At the end the other end is removed, and the device with it, wherever it was moved to.
    """
    other = add(name)
    try:
        yield
    finally:
        # Its namespace may have ended, and both ends with it.
        with contextlib.suppress(FileNotFoundError):
            remove(other)


def add(name: str) -> str:
    """Make a device ``name``, of a veth pair, and return the name of the other end."""
    other = f"other{next(_numbers)}"
    with _netlink() as netlink:
        netlink.link("add", ifname=name, kind="veth", peer={"ifname": other})
    return other


def names() -> set[str]:
    """Return the names of all devices."""
    with _netlink() as netlink:
        return {each.get_attr("IFLA_IFNAME") for each in netlink.get_links()}


def look(name: str) -> Link:
    """Return what a device has; raises ``FileNotFoundError``."""
    with _netlink() as netlink:
        index = _index(netlink, name)
        (found,) = netlink.get_links(index)
        addresses = frozenset(
            Address(
                f"{each.get_attr('IFA_ADDRESS')}/{each['prefixlen']}",
                each["scope"],
                bool(each.get_attr("IFA_FLAGS") & _IFA_F_PERMANENT),
            )
            for each in netlink.get_addr(index=index)
        )
    return Link(
        name=name,
        up=bool(found["flags"] & _IFF_UP),
        mtu=found.get_attr("IFLA_MTU"),
        mac=found.get_attr("IFLA_ADDRESS"),
        queue=found.get_attr("IFLA_TXQLEN"),
        alias=found.get_attr("IFLA_IFALIAS"),
        addresses=addresses,
    )


def change(name: str, **attributes: str | int) -> None:
    """Set attributes by pyroute2's names for them: mtu, address, txqlen, ifalias, state, ifname."""
    with _netlink() as netlink:
        netlink.link("set", index=_index(netlink, name), **attributes)


def add_address(name: str, address: Address) -> None:
    """Give a device an address; one that is not permanent lives for an hour."""
    text, _, length = address.text.partition("/")
    lifetime = {} if address.permanent else {"IFA_CACHEINFO": _HOUR}
    with _netlink() as netlink:
        netlink.addr(
            "add",
            index=_index(netlink, name),
            address=text,
            prefixlen=int(length),
            scope=address.scope,
            **lifetime,
        )


def remove(name: str) -> None:
    """Remove a device; raises ``FileNotFoundError``."""
    try:
        with _netlink() as netlink:
            netlink.link("del", index=_index(netlink, name))
    except OSError as error:
        if error.errno == errno.ENODEV:
            raise FileNotFoundError(f"no network device {name}") from error
        raise


_HOUR = {"ifa_preferred": 3600, "ifa_valid": 3600}


def _index(netlink: Any, name: str) -> int:  # noqa: ANN401 - pyroute2 has no types
    found: list[int] = netlink.link_lookup(ifname=name)
    if not found:
        raise FileNotFoundError(f"no network device {name}")
    return found[0]


@contextlib.contextmanager
def _netlink() -> Iterator[Any]:
    # Not at the top: it takes as long to import as all the rest, and few tests need it.
    import pyroute2  # type: ignore[import-untyped]  # noqa: PLC0415
    from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped] # noqa: PLC0415

    with pyroute2.IPRoute() as netlink:
        try:
            yield netlink
        except NetlinkError as error:
            raise OSError(error.code, os.strerror(error.code)) from error
