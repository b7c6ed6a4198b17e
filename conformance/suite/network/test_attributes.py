"""config-linux.md, "Network Devices": what a device has once it has moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance import links
from seatrial.conformance.links import HOST, LINK, Address
from seatrial.conformance.marks import requirement
from seatrial.conformance.network_devices import moved, moving
from seatrial.conformance.strategies.links import addresses, attributes

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness

_HOST, _INSIDE = "outside0", "inside0"
_NAMES = st.sampled_from([_HOST, _INSIDE])


@requirement("linux.net-devices.attributes-preserved")
@given(attributes=attributes(), name=_NAMES, up=st.booleans())
@settings(max_examples=15)
def test_a_device_keeps_its_attributes(
    harness: Harness, attributes: dict[str, Any], name: str, *, up: bool
) -> None:
    with links.pair(_HOST):
        links.change(_HOST, **attributes, **({"state": "up"} if up else {}))
        with harness.created(moving(harness, {_HOST: {"name": name}})) as container:
            seen = moved(container, _HOST, name)
            found = {
                "mtu": seen.mtu,
                "address": seen.mac,
                "txqlen": seen.queue,
                "ifalias": seen.alias,
            }
            assert found == attributes


@requirement("linux.net-devices.attributes-preserved")
@given(given_addresses=addresses(), name=_NAMES, up=st.booleans())
@settings(max_examples=15)
def test_a_device_keeps_its_permanent_addresses_of_global_scope(
    harness: Harness, given_addresses: list[Address], name: str, *, up: bool
) -> None:
    with links.pair(_HOST):
        if up:
            links.change(_HOST, state="up")
        for address in given_addresses:
            links.add_address(_HOST, address)
        with harness.created(moving(harness, {_HOST: {"name": name}})) as container:
            kept = {address.text for address in given_addresses}
            assert moved(container, _HOST, name).kept() == kept


@requirement("linux.net-devices.other-addresses-left")
def test_other_addresses_are_left_behind(harness: Harness) -> None:
    lasting = Address("10.64.0.1/24")
    others = [
        Address("10.65.0.1/24", scope=HOST),
        Address("10.66.0.1/24", scope=LINK),
        Address("10.67.0.1/24", permanent=False),
        Address("fd00:5ea7::1/64", permanent=False),
    ]
    with links.pair(_HOST):
        for address in [*others, lasting]:
            links.add_address(_HOST, address)
        with harness.created(moving(harness, {_HOST: {}})) as container:
            seen = {address.text for address in moved(container, _HOST, _HOST).addresses}
            assert not seen.intersection(address.text for address in others)


@requirement("linux.net-devices.set-up")
@given(up=st.booleans(), name=_NAMES, given_addresses=addresses())
@settings(max_examples=10)
def test_a_device_is_up(
    harness: Harness, name: str, given_addresses: list[Address], *, up: bool
) -> None:
    with links.pair(_HOST):
        for address in given_addresses:
            links.add_address(_HOST, address)
        links.change(_HOST, state="up" if up else "down")
        with harness.created(moving(harness, {_HOST: {"name": name}})) as container:
            assert moved(container, _HOST, name).up
