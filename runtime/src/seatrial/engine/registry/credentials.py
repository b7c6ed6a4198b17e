"""Who somebody is to a registry: what ``docker login`` keeps and sends along with each request."""

from __future__ import annotations

import base64
import binascii

import msgspec

from seatrial.engine import payloads
from seatrial.engine.errors import BadRequest


class Credentials(msgspec.Struct, frozen=True):
    """A name with its password, or tokens in their place; never to be seen in a log."""

    username: str = ""
    password: str = ""
    #: Name and password as one, as clients keep them.
    auth: str = ""
    identitytoken: str = ""
    registrytoken: str = ""
    serveraddress: str = ""

    def __repr__(self) -> str:
        return "Credentials(…)"

    @property
    def basic(self) -> str:
        """The value of a header that says who it is (RFC 7617); empty for nobody."""
        if self.auth:
            return f"Basic {self.auth}"
        if not self.username:
            return ""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


NOBODY = Credentials()


def of_header(text: str) -> Credentials:
    """Read the header X-Registry-Auth; raises BadRequest, which repeats nothing of it."""
    if not text:
        return NOBODY
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        found = payloads.convert(Credentials, msgspec.json.decode(data))
    except (binascii.Error, ValueError, RecursionError, BadRequest):
        raise BadRequest(
            "invalid X-Registry-Auth header: want base64url of a JSON object"
        ) from None
    if "\n" in found.auth or "\r" in found.auth:
        raise BadRequest("invalid X-Registry-Auth header: its auth is no base64")
    return found
