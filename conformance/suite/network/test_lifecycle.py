"""config-linux.md, "Namespace Lifecycle and Container Termination"."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from seatrial.conformance import links, namespaces
from seatrial.conformance.links import Address
from seatrial.conformance.marks import requirement
from seatrial.conformance.namespace_files import prepared
from seatrial.conformance.network_devices import inside, moved, moving

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness

_HOST, _INSIDE, _RENAMED = "outside0", "inside0", "renamed0"


@requirement("linux.net-devices.not-managed-inside")
def test_what_is_changed_inside_stays_as_it_is(harness: Harness) -> None:
    """Before start and while the program runs, by whoever has the network namespace."""
    with links.pair(_HOST), harness.created(moving(harness, {_HOST: {}})) as container:
        links_inside = moved(container, _HOST, _HOST)
        with inside(container):
            links.change(_HOST, state="down", mtu=1300)
            changed = links.look(_HOST)
        assert changed == replace(links_inside, up=False, mtu=1300, addresses=changed.addresses)
        assert container.start().ok
        container.read_line()
        with inside(container):
            assert _HOST in links.names()
            assert links.look(_HOST) == changed
            links.change(_HOST, ifname=_RENAMED)
            links.add_address(_RENAMED, Address("10.64.0.1/24"))
            renamed = links.look(_RENAMED)
        container.state()
        with inside(container):
            assert links.names() == {"lo", _RENAMED}
            assert links.look(_RENAMED) == renamed
        assert _HOST not in links.names()


@requirement("linux.net-devices.not-moved-back")
def test_a_device_stays_in_a_namespace_that_outlives_the_container(harness: Harness) -> None:
    with prepared("network") as paths, links.pair(_HOST):
        config = moving(harness, {_HOST: {"name": _INSIDE}}, paths["network"])
        with harness.running(config) as container:
            moved(container, _HOST, _INSIDE)
            assert container.kill("KILL").ok
            container.wait()
            with namespaces.entered(paths["network"], "net"):
                assert _INSIDE in links.names()
                stopped = links.look(_INSIDE)
            assert container.delete().ok
            with namespaces.entered(paths["network"], "net"):
                assert _INSIDE in links.names()
                assert links.look(_INSIDE) == stopped
            assert not {_HOST, _INSIDE} & links.names()
