"""Mutants for config-linux.md, "Network Devices"."""

from __future__ import annotations

import socket
from typing import Any

from conformance.tests.mutants.mutation import (
    COMPILING,
    altered,
    around,
    edited,
    objects,
    of,
    plan,
    verb,
    without,
)

from seatrial.oci import runtime
from seatrial.oci.operations import Kind

MOVES = of(Kind.NET_DEVICE)

plan(
    "moves-no-network-devices",
    "moves none of netDevices",
    "linux.net-devices.available",
    "linux.net-devices.default-name",
    change=without(MOVES),
)
plan(
    "renames-no-network-devices",
    "keeps the names of network devices",
    "linux.net-devices.available",
    change=altered(MOVES, text=lambda op: op.path),
)
plan(
    "fills-in-templates-by-itself",
    "makes 7 of the number of a template",
    "linux.net-devices.template-name",
    change=altered(MOVES, text=lambda op: op.text.replace("%d", "7")),
)


def _movable(document: Any) -> None:
    here = {name for _, name in socket.if_nameindex()} - {"lo"}
    for linux in objects(document, "/linux"):
        found = linux.get("netDevices")
        if isinstance(found, dict):
            linux["netDevices"] = {name: each for name, each in found.items() if name in here}


edited(
    "moves-what-it-can",
    "leaves out network devices that do not exist, or cannot move",
    "linux.net-devices.move-checked",
    edit=_movable,
)


def _free(document: Any) -> None:
    for linux in objects(document, "/linux"):
        for device in objects(linux, "/netDevices")[:1]:
            for each in device.values():
                if isinstance(each, dict) and each.get("name") == "lo":
                    each["name"] = "dev%d"


edited(
    "finds-another-name",
    "takes another name for a network device if it is that of the loopback device",
    "linux.net-devices.name-taken-errors",
    edit=_free,
)


def _change(name: str, says: str, row: str, **members: Any) -> None:
    """Add a mutant that changes devices once they have moved."""

    @verb(name, says, row, verbs=COMPILING)
    def _() -> None:
        # Only here: netlink takes long to import.
        from seatrial.conformance import links, namespaces  # noqa: PLC0415

        def create(right: Any, identifier: str, **options: Any) -> Any:
            made = right(identifier, **options)
            with namespaces.inside(made.pid, "net"):
                for device in links.names() - {"lo"}:
                    links.change(device, **members)
            return made

        around(runtime, "create", create)


_change(
    "sets-the-mtu-of-network-devices",
    "gives network devices the usual MTU",
    "linux.net-devices.attributes-preserved",
    mtu=1500,
)
_change(
    "leaves-network-devices-down",
    "does not set network devices up",
    "linux.net-devices.set-up",
    state="down",
)


@verb(
    "takes-network-devices-back",
    "moves network devices back to the runtime's namespace",
    "linux.net-devices.not-moved-back",
    verbs=("delete",),
)
def _() -> None:
    from pyroute2 import NetNS  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

    from seatrial.oci.store import Folder  # noqa: PLC0415

    def delete(right: Any, identifier: str, *, root: str, **options: Any) -> None:
        folder = Folder(root, identifier)
        joined = [op.path for op in folder.plan().ops if op.kind == Kind.OPEN_NAMESPACE]
        right(identifier, root=root, **options)
        for path in joined:
            with NetNS(path) as there, open("/proc/self/ns/net", "rb") as here:
                for link in there.get_links():
                    if link.get("ifname") != "lo":
                        there.link("set", index=link["index"], net_ns_fd=here.fileno())

    around(runtime, "delete", delete)
