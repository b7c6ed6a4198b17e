"""What a container is in a network: what was asked for, and what it has while it runs."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct, field

from seatrial.engine.errors import BadRequest
from seatrial.engine.network.addresses import address
from seatrial.engine.network.payloads import EndpointIPAM, EndpointSettings

if TYPE_CHECKING:
    from seatrial.engine.records import Record

NO_ADDRESSES = EndpointIPAM()

_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
#: Of an address that everybody may send to: not one for a device (IEEE 802, the lowest bit).
_GROUP = 1


class Endpoint(Struct):
    """A container in a network; a stopped container's has only what was asked for."""

    network: str
    asked: EndpointSettings = field(default_factory=EndpointSettings)
    id: str = ""
    #: The device's name in the container; the host's end is called by the endpoint's id.
    device: str = ""
    mac: str = ""
    address: str = ""
    prefix: int = 0
    gateway: str = ""
    address6: str = ""
    prefix6: int = 0
    gateway6: str = ""

    @property
    def host_device(self) -> str:
        """The host's end of the pair of devices (15 characters are what the kernel takes)."""
        return f"veth{self.id[:11]}" if self.id else ""

    def clear(self) -> None:
        """Forget all that it had while it ran."""
        self.id = self.device = self.mac = self.address = self.gateway = ""
        self.address6 = self.gateway6 = ""
        self.prefix = self.prefix6 = 0


class Published(NamedTuple):
    """A port of a container that the host has too."""

    port: int
    protocol: str
    host_address: str
    host_port: int

    @property
    def name(self) -> str:
        """The container's port as the interface names it."""
        return f"{self.port}/{self.protocol}"


def check(asked: EndpointSettings, *, user_defined: bool, own_subnet: bool) -> None:
    """Refuse what an endpoint cannot have."""
    wanted = asked.ipam_config
    if asked.aliases and not user_defined:
        raise BadRequest(
            "network-scoped alias is supported only for containers in user defined networks"
        )
    if wanted is not None:
        given = [each for each in (wanted.ipv4_address, wanted.ipv6_address) if each]
        for each in given:
            address(each)
        if given and not user_defined:
            raise BadRequest("user specified IP address is supported on user defined networks only")
        if given and not own_subnet:
            raise BadRequest(
                "user specified IP address is supported only when connecting to networks with "
                "user configured subnets"
            )
    if asked.mac_address:
        if not _MAC.fullmatch(asked.mac_address):
            raise BadRequest(f"invalid MAC address: {asked.mac_address}")
        if int(asked.mac_address[:2], 16) & _GROUP:
            raise BadRequest(f"invalid MAC address: {asked.mac_address} is a multicast address")


def mac_of(ipv4: str) -> str:
    """Return the MAC address that goes with an IPv4 address, as Docker makes it."""
    return "02:42:" + ":".join(f"{int(each):02x}" for each in ipv4.split("."))


def name_devices(among: list[Endpoint]) -> None:
    """Call the devices in a container eth0 and so on; those that have names keep them."""
    taken = {endpoint.device for endpoint in among}
    unused = (name for number in itertools.count() if (name := f"eth{number}") not in taken)
    for endpoint in among:
        endpoint.device = endpoint.device or next(unused)


def gateways(record: Record) -> tuple[str, str]:
    """Return where all else goes, by IPv4 and by IPv6; empty for nowhere.

    It is the gateway of the network of the highest priority, and among equals of the first by name.
    """
    ordered = sorted(
        record.endpoints.items(), key=lambda each: (-each[1].asked.gw_priority, each[0])
    )
    gateway = next((each.gateway for _, each in ordered if each.gateway), "")
    return gateway, next((each.gateway6 for _, each in ordered if each.gateway6), "")


def published_addresses(record: Record) -> tuple[str, str]:
    """Return the addresses that published ports lead to: of the network that has the gateway."""
    gateway, gateway6 = gateways(record)
    held = record.endpoints.values()
    address = next((each.address for each in held if gateway == each.gateway), "")
    address6 = next((each.address6 for each in held if gateway6 == each.gateway6), "")
    return (address if gateway else ""), (address6 if gateway6 else "")
