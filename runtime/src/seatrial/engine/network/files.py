"""What a container has as its /etc/hosts, /etc/hostname and /etc/resolv.conf."""

from __future__ import annotations

import ipaddress
import os
import platform
from contextlib import suppress
from typing import TYPE_CHECKING

from seatrial.engine.network.networks import BRIDGE
from seatrial.engine.network.resolver import ADDRESS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.engine.records import Record

NAMES = ("resolv.conf", "hostname", "hosts")
_LOOPBACK = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""
#: What Docker gives a container of a host that knows no server but its own.
_PUBLIC = ["8.8.8.8", "8.8.4.4"]
#: In --add-host, the address of the host in the default bridge.
_HOST_GATEWAY = "host-gateway"


class HostResolver:
    """The host's resolv.conf, read once."""

    def __init__(self, path: str = "/etc/resolv.conf") -> None:
        self.text = ""
        with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
            self.text = file.read()

    def words(self, keyword: str) -> list[str]:
        """Return what follows a keyword, on all of its lines."""
        lines = (line.split() for line in self.text.splitlines())
        return [word for line in lines if line[:1] == [keyword] for word in line[1:]]

    def servers(self) -> list[str]:
        """Return the name servers that somebody else can reach too."""
        return [each for each in self.words("nameserver") if not _is_loopback(each)]


def _is_loopback(text: str) -> bool:
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return True


def has_names(record: Record) -> bool:
    """Whether a container is in a network in which containers have names."""
    return any(name != BRIDGE for name, each in record.endpoints.items() if each.id)


def write(record: Record, folder: str, linked: Iterable[str], host_gateway: str) -> None:
    """Write them; ``linked`` are lines of /etc/hosts that links ask for."""
    host = HostResolver()
    _write(f"{folder}/hostname", f"{record.config.hostname}\n")
    _write(f"{folder}/resolv.conf", _resolv(record, host))
    write_hosts(record, folder, linked, host_gateway)


def write_hosts(record: Record, folder: str, linked: Iterable[str], host_gateway: str) -> None:
    """Write /etc/hosts, in place: a container that runs has this very file mounted."""
    lines = [*linked]
    for each in record.host.extra_hosts or ():
        named, _, address = each.partition(":")
        lines.append(f"{host_gateway if address == _HOST_GATEWAY else address}\t{named}")
    if record.host.network_mode == "host":
        lines.append(f"127.0.1.1\t{platform.node()}")
    names = record.config.hostname
    if record.config.domainname:
        names = f"{names}.{record.config.domainname} {names}"
    for endpoint in record.endpoints.values():
        lines += [f"{each}\t{names}" for each in (endpoint.address, endpoint.address6) if each]
    _write(f"{folder}/hosts", _LOOPBACK + "".join(f"{line}\n" for line in lines))


def _resolv(record: Record, host: HostResolver) -> str:
    asked = record.host
    if asked.network_mode == "host" and not (asked.dns or asked.dns_search or asked.dns_options):
        return host.text
    servers = asked.dns or ([] if asked.network_mode == "none" else host.servers() or _PUBLIC)
    search = asked.dns_search if asked.dns_search is not None else host.words("search")
    options = asked.dns_options if asked.dns_options is not None else host.words("options")
    if has_names(record):
        servers = [ADDRESS]
        if not any(each.startswith("ndots:") for each in options):
            options = [*options, "ndots:0"]
    lines = [f"nameserver {each}" for each in servers]
    if search and search != ["."]:
        lines.insert(0, f"search {' '.join(search)}")
    if options:
        lines.append(f"options {' '.join(options)}")
    return "".join(f"{line}\n" for line in lines)


def upstreams(record: Record) -> list[str]:
    """Return whom a container's own server asks for what it does not know."""
    return record.host.dns or HostResolver().words("nameserver")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(text)
