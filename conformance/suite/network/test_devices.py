"""config-linux.md, "Network Devices": which devices move, and by which names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance import links, namespaces
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import requirement
from seatrial.conformance.namespace_files import prepared
from seatrial.conformance.network_devices import inside, moved, moving
from seatrial.conformance.strategies.links import device_names

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

_HOST = "outside0"


def refused(harness: Harness, config: Config, why: str) -> None:
    """Judge the attempt to move what cannot be moved: it stays where it is."""
    result = harness.attempt(config)
    if result.ok:
        raise Ignored(f"netDevices is accepted {why}")
    assert _HOST in links.names()


@requirement("linux.net-devices.available")
@given(host=device_names(), name=device_names())
@settings(max_examples=15)
def test_a_device_moves_into_the_container(harness: Harness, host: str, name: str) -> None:
    config = moving(harness, {host: {"name": name}})
    with links.pair(host), harness.created(config) as container:
        moved(container, host, name)
        assert host not in links.names()


@requirement("linux.net-devices.available")
@given(names=st.lists(device_names(), min_size=2, max_size=4, unique=True))
@settings(max_examples=5)
def test_several_devices_move_into_the_container(harness: Harness, names: list[str]) -> None:
    _move(harness, {name: {} for name in names}, names)


def _move(harness: Harness, devices: dict[str, dict[str, str]], left: list[str]) -> None:
    if left:
        with links.pair(left[0]):
            _move(harness, devices, left[1:])
        return
    with harness.created(moving(harness, devices)) as container:
        for name in devices:
            moved(container, name, name)
        assert not links.names().intersection(devices)


@requirement("linux.net-devices.available")
def test_a_device_moves_into_a_network_namespace_that_is_there(harness: Harness) -> None:
    with prepared("network") as paths, links.pair(_HOST):
        config = moving(harness, {_HOST: {"name": "inside0"}}, paths["network"])
        with harness.created(config) as container:
            moved(container, _HOST, "inside0")


@requirement("linux.net-devices.default-name")
@pytest.mark.parametrize("device", [{}, {"name": ""}], ids=["unset", "empty"])
@given(host=device_names())
@settings(max_examples=10)
def test_a_device_without_a_new_name_keeps_its_own(
    harness: Harness, host: str, device: dict[str, str]
) -> None:
    with links.pair(host), harness.created(moving(harness, {host: device})) as container:
        moved(container, host, host)


@requirement("linux.net-devices.template-name")
@given(prefix=device_names().map(lambda name: name[:8]))
@settings(max_examples=10)
def test_the_kernel_fills_in_the_number_of_a_template(harness: Harness, prefix: str) -> None:
    config = moving(harness, {_HOST: {"name": f"{prefix}%d"}})
    with links.pair(_HOST), harness.created(config) as container:
        moved(container, _HOST, f"{prefix}0")


@requirement("linux.net-devices.template-name")
def test_the_number_of_a_template_is_one_that_is_free(harness: Harness) -> None:
    with prepared("network") as paths, links.pair(_HOST):
        with namespaces.entered(paths["network"], "net"):
            links.add("eth0")
        config = moving(harness, {_HOST: {"name": "eth%d"}}, paths["network"])
        with harness.created(config) as container:
            moved(container, _HOST, "eth1")
            with inside(container):
                assert "eth0" in links.names()


# What cannot be moved


@requirement("linux.net-devices.move-checked")
def test_a_device_that_does_not_exist_generates_an_error(harness: Harness) -> None:
    with links.pair(_HOST):
        refused(harness, moving(harness, {"nowhere0": {}}), "with a device that does not exist")


@requirement("linux.net-devices.move-checked")
def test_the_loopback_device_generates_an_error(harness: Harness) -> None:
    """Every network namespace has one of its own, which cannot leave."""
    with links.pair(_HOST):
        config = moving(harness, {"lo": {"name": "lo1"}})
        refused(harness, config, "with the loopback device")
        assert "lo" in links.names()


@requirement("linux.net-devices.move-checked")
def test_a_container_without_a_network_namespace_generates_an_error(harness: Harness) -> None:
    with links.pair(_HOST):
        config = moving(harness, {_HOST: {}})
        config["linux"]["namespaces"].pop()
        refused(harness, config, "without a network namespace to move to")


@requirement("linux.net-devices.name-taken-errors")
def test_the_name_of_the_containers_loopback_generates_an_error(harness: Harness) -> None:
    with links.pair(_HOST):
        refused(harness, moving(harness, {_HOST: {"name": "lo"}}), "with a name that is taken")


@requirement("linux.net-devices.name-taken-errors")
@given(name=device_names(), kept=st.booleans())
@settings(max_examples=5)
def test_the_name_of_a_device_that_is_there_generates_an_error(
    harness: Harness, name: str, *, kept: bool
) -> None:
    """By a new name, or by the one that the device has."""
    name = _HOST if kept else name
    device = {} if kept else {"name": name}
    with prepared("network") as paths, links.pair(_HOST):
        with namespaces.entered(paths["network"], "net"):
            links.add(name)
            before = links.look(name)
        config = moving(harness, {_HOST: device}, paths["network"])
        refused(harness, config, "with a name that is taken")
        with namespaces.entered(paths["network"], "net"):
            assert links.look(name) == before
