"""What the daemon was told of registries: which need no TLS, and who may hear whose credentials."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from yarl import URL

#: Docker's own registry has a name for people and one for programs.
HUB = "registry-1.docker.io"


class Trust(NamedTuple):
    """What was given on the command line, and what is so for everybody."""

    #: Hosts, or hosts with ports, that need no TLS.
    insecure: frozenset[str] = frozenset()
    #: Registries with the hosts, besides themselves, that may hear their credentials.
    token_hosts: frozenset[tuple[str, str]] = frozenset({(HUB, "auth.docker.io")})

    def is_insecure(self, url: URL) -> bool:
        """Whether a host may be talked to without TLS."""
        host = url.host or ""
        return _is_loopback(host) or bool({host, f"{host}:{url.port}"} & self.insecure)

    def hears(self, registry: URL, realm: URL) -> bool:
        """Whether a registry's credentials may be sent to where it wants them to be sent."""
        if realm.scheme != "https" and not self.is_insecure(realm):
            return False
        asked, asking = realm.host or "", registry.host or ""
        return asked == asking or (asking, asked) in self.token_hosts


def _is_loopback(host: str) -> bool:
    """Whether a host is this one, by what it is called and not by what a name server says."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
