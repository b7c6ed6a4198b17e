"""Where a registry is, and how the way to it is protected.

TLS with certificates that this host trusts, or that are in ``/etc/docker/certs.d/REGISTRY``. What
is insecure (loopback, and what ``--insecure-registry`` names) may have any certificate or none.
"""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, NamedTuple

from yarl import URL

from seatrial.engine.errors import BadRequest
from seatrial.engine.references import REGISTRY
from seatrial.engine.registry.trust import HUB

if TYPE_CHECKING:
    from seatrial.engine.registry.trust import Trust

_CERTIFICATES = "/etc/docker/certs.d"


class Endpoint(NamedTuple):
    """A registry's address, and how its certificate is looked at."""

    url: URL
    context: ssl.SSLContext | bool


def of(registry: str, trust: Trust) -> list[Endpoint]:
    """Return the addresses to try, the best first."""
    name = HUB if registry == REGISTRY else registry
    try:
        secure = URL(f"https://{name}")
        insecure = trust.is_insecure(secure)
    except ValueError:
        raise BadRequest(f"invalid registry {registry!r}") from None
    if not insecure:
        return [Endpoint(secure, _context(name))]
    return [Endpoint(secure, False), Endpoint(URL(f"http://{name}"), False)]


def _context(name: str) -> ssl.SSLContext:
    made = ssl.create_default_context()
    folder = f"{_CERTIFICATES}/{name}"
    if os.path.isdir(folder):
        for each in sorted(os.listdir(folder)):
            if each.endswith(".crt"):
                made.load_verify_locations(f"{folder}/{each}")
    return made
