"""Network devices: made, changed, looked at, and gone with their other end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance import links, namespaces
from seatrial.conformance.links import HOST, Address
from seatrial.conformance.namespace_files import prepared

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this")


@pytest.fixture(autouse=True)
def network() -> Iterator[str]:
    """A network namespace of the test's own, in which it is."""
    with prepared("network") as paths, namespaces.entered(paths["network"], "net"):
        yield paths["network"]


def test_a_device_is_there_as_long_as_the_context() -> None:
    with links.pair("d0"):
        assert "d0" in links.names()
    assert links.names() == {"lo"}


def test_what_is_set_is_seen() -> None:
    with links.pair("d0"):
        mac = "02:00:00:00:00:01"
        links.change("d0", mtu=1300, address=mac, txqlen=7, ifalias="a b", state="up")
        seen = links.look("d0")
    assert (seen.mtu, seen.mac, seen.queue, seen.alias, seen.up) == (1300, mac, 7, "a b", True)


def test_addresses_are_seen_with_their_scope_and_whether_they_last() -> None:
    given = {
        Address("10.0.0.1/24"),
        Address("fd00::1/64"),
        Address("10.0.1.1/24", scope=HOST),
        Address("10.0.2.1/24", permanent=False),
    }
    with links.pair("d0"):
        for address in given:
            links.add_address("d0", address)
        seen = links.look("d0")
    assert seen.addresses == given
    assert seen.kept() == {"10.0.0.1/24", "fd00::1/64"}


def test_a_device_that_is_not_there_is_an_error() -> None:
    for act in (links.look, links.remove, links.change):
        with pytest.raises(FileNotFoundError):
            act("d0")


def test_a_name_that_is_taken_is_an_error() -> None:
    with links.pair("d0"), pytest.raises(FileExistsError), links.pair("d0"):
        pass


def test_a_device_that_moved_away_is_gone_with_the_context(network: str) -> None:
    with prepared("network") as others:
        with links.pair("d0"):
            descriptor = os.open(others["network"], os.O_RDONLY)
            links.change("d0", net_ns_fd=descriptor)
            os.close(descriptor)
            with namespaces.entered(others["network"], "net"):
                assert "d0" in links.names()
        with namespaces.entered(others["network"], "net"):
            assert links.names() == {"lo"}
    assert network
