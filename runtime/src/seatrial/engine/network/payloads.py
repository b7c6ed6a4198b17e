"""What clients send about networks, as types; see ``engine.payloads`` for what holds of all."""

from __future__ import annotations

from msgspec import Struct, field

from seatrial.engine.payloads import Labels  # noqa: TC001 - msgspec reads it


class EndpointIPAM(Struct, rename="pascal", omit_defaults=True):
    """The addresses that somebody wants for a container."""

    ipv4_address: str = field(name="IPv4Address", default="")
    ipv6_address: str = field(name="IPv6Address", default="")
    link_local_ips: list[str] | None = field(name="LinkLocalIPs", default=None)


class EndpointSettings(Struct, rename="pascal"):
    """What a container is to be in a network."""

    ipam_config: EndpointIPAM | None = field(name="IPAMConfig", default=None)
    links: list[str] | None = None
    aliases: list[str] | None = None
    mac_address: str = ""
    driver_opts: Labels | None = None
    gw_priority: int = 0


class IPAMConfig(Struct, rename="pascal"):
    subnet: str = ""
    ip_range: str = field(name="IPRange", default="")
    gateway: str = ""
    auxiliary_addresses: Labels | None = None


class IPAM(Struct, rename="pascal"):
    driver: str = ""
    options: Labels | None = None
    config: list[IPAMConfig] | None = None


class NetworkRequest(Struct, rename="pascal"):
    """The payload of POST /networks/create."""

    name: str = ""
    driver: str = ""
    scope: str = ""
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: Labels | None = None
    ipam: IPAM | None = field(name="IPAM", default=None)
    enable_ipv4: bool = field(name="EnableIPv4", default=True)
    enable_ipv6: bool = field(name="EnableIPv6", default=False)
    options: Labels | None = None
    labels: Labels | None = None


class ConnectRequest(Struct, rename="pascal"):
    """The payload of POST /networks/{id}/connect."""

    container: str = ""
    endpoint_config: EndpointSettings | None = None


class DisconnectRequest(Struct, rename="pascal"):
    """The payload of POST /networks/{id}/disconnect."""

    container: str = ""
    force: bool = False
