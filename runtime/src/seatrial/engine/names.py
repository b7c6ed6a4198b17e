"""Names and ids of containers and volumes."""

from __future__ import annotations

import os
import re
import secrets

from seatrial.engine.errors import BadRequest

PATTERN = "[a-zA-Z0-9][a-zA-Z0-9_.-]"
_NAME = re.compile(rf"/?{PATTERN}+", re.ASCII)
_VOLUME = re.compile(rf"{PATTERN}*", re.ASCII)
_ID_DIGITS = 64
#: A folder's name is no longer (limits.h, NAME_MAX).
_LONGEST = 255
#: What somebody who gives no name gets: a wind and a thing of the sea.
_FIRST = (
    *("airy", "balmy", "brisk", "calm", "choppy", "clear", "coastal", "deep", "drifting", "fair"),
    *("fresh", "gentle", "gusty", "hazy", "lively", "moored", "northern", "rolling", "salty"),
    *("southern", "steady", "still", "swift", "tidal", "western", "windy"),
)
_SECOND = (
    *("anchor", "bosun", "buoy", "clipper", "compass", "cutter", "dory", "frigate", "galley"),
    *("harbour", "jib", "keel", "ketch", "lantern", "mast", "oar", "pilot", "reef", "rudder"),
    *("sail", "schooner", "sextant", "sloop", "spinnaker", "tiller", "yawl"),
)


def new_id() -> str:
    """Make an id of 64 hexadecimal digits.

    Docker takes care that the first twelve are not all decimal: hosts named so confuse programs.
    """
    while (made := secrets.token_hex(_ID_DIGITS // 2))[:12].isdecimal():
        pass
    return made


def ids_in(folder: str) -> set[str]:
    """Return the ids that something in a folder is called by; none if there is no folder."""
    try:
        return {name for name in os.listdir(folder) if len(name) == _ID_DIGITS}
    except FileNotFoundError:
        return set()


def new_name(taken: set[str]) -> str:
    """Make a name that nobody has."""
    while True:
        made = f"{secrets.choice(_FIRST)}_{secrets.choice(_SECOND)}"
        if made in taken:
            made += str(secrets.randbelow(1000))
        if made not in taken:
            return made


def container_name(given: str) -> str:
    """Return a container's name as it is kept, without the slash that it may begin with."""
    if not _NAME.fullmatch(given):
        raise BadRequest(f"Invalid container name ({given}), only {PATTERN} are allowed")
    return given.removeprefix("/")


def volume_name(given: str) -> str:
    """Return a volume's name if it can be one; it becomes the name of a folder."""
    if not _VOLUME.fullmatch(given):
        raise BadRequest(
            f'create {given}: "{given}" includes invalid characters for a local volume name, only '
            f'"{PATTERN}" are allowed. If you intended to pass a host directory, use absolute path'
        )
    if len(given) == 1:
        raise BadRequest(
            "volume name is too short, names should be at least two alphanumeric characters"
        )
    if len(given) > _LONGEST:
        raise BadRequest(f"volume name is too long: {len(given)} of at most {_LONGEST} characters")
    return given
