"""Containers with ``linux.netDevices``, seen from outside (config-linux.md, "Network Devices")."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from seatrial.conformance import links, namespaces
from seatrial.conformance.config import with_namespaces
from seatrial.conformance.errors import HarnessError, Ignored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.conformance.config import Config
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.links import Link


def moving(harness: Harness, devices: dict[str, dict[str, str]], path: str | None = None) -> Config:
    """Return a config with ``netDevices`` and a network namespace, a new one or that at a path."""
    config = with_namespaces(harness.config("pause"), ["pid", "mount", "ipc", "uts"])
    network = {"type": "network"} | ({} if path is None else {"path": path})
    config["linux"]["namespaces"].append(network)
    config["linux"]["netDevices"] = devices
    return config


@contextlib.contextmanager
def inside(container: Container) -> Iterator[None]:
    """Look at network devices from the network namespace of a container."""
    if container.pid is None:
        raise HarnessError("the container is not created")
    with namespaces.inside(container.pid, "net"):
        yield


def moved(container: Container, host_name: str, name: str) -> Link:
    """Return what a device has in the container; raises ``Ignored`` where it was not moved."""
    with inside(container):
        found = links.names()
        if name in found:
            return links.look(name)
    if host_name in links.names():
        raise Ignored(f"netDevices is accepted, and {host_name} is where it was")
    raise AssertionError(f"no device {name} in the container, which has {sorted(found)}")
