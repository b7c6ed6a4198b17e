"""What a registry answers to who has not said who they are: WWW-Authenticate (RFC 9110, 11.6.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_SCHEME = re.compile(r"\s*,?\s*([A-Za-z][A-Za-z0-9-]*)(?:\s+|$)")
_PARAMETER = re.compile(r'\s*,?\s*([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*')
_LONGEST = 8192


class Challenge(NamedTuple):
    """One way to say who one is: its scheme in lower case, and its parameters."""

    scheme: str
    parameters: dict[str, str]


def read(headers: Iterable[str]) -> list[Challenge]:
    """Return the challenges of an answer; what cannot be read is left out."""
    found: list[Challenge] = []
    for header in headers:
        text, position = header[:_LONGEST], 0
        while scheme := _SCHEME.match(text, position):
            position = scheme.end()
            parameters: dict[str, str] = {}
            while parameter := _PARAMETER.match(text, position):
                position = parameter.end()
                value = parameter[3] or re.sub(r"\\(.)", r"\1", parameter[2] or "")
                parameters[parameter[1].lower()] = value
            found.append(Challenge(scheme[1].lower(), parameters))
    return found
