"""What the program does in a compared container: acts that show what its config asks for."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from seatrial.conformance.config import PROBE
from seatrial.conformance.syscalls import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.conformance.config import Config

#: Where mounts of the compared configs are made, and the name of what is written there.
PLACES = "/sea"
_WRITTEN = "sea-written"


def with_program(config: Config) -> Config:
    """Return a copy whose program tries what the config is about, and then reports."""
    prepared = copy.deepcopy(config)
    words = [word for act in acts(config) for word in (*act, "+")]
    prepared["process"]["args"] = [PROBE, *words, "report"]
    return prepared


def acts(config: Config) -> list[tuple[str, ...]]:
    """Return what is tried, in order and each once; a broken config is asked for what is whole."""
    return list(dict.fromkeys(_acts(config)))


def _acts(config: Config) -> Iterator[tuple[str, ...]]:
    linux = _table(config.get("linux"))
    yield "write", f"/{_WRITTEN}", "x"
    for place in _texts([each.get("destination") for each in _tables(config.get("mounts"))]):
        if place.lstrip("/").startswith(PLACES.lstrip("/")):
            yield "stat", f"/{place.lstrip('/')}"
            yield "write", f"/{place.lstrip('/')}/{_WRITTEN}", "x"
    for path in _texts(linux.get("maskedPaths")):
        yield "read", path
        yield "list", path
    for path in _texts(linux.get("readonlyPaths")):
        yield "open", path, "w"
        yield "write", f"{path}/{_WRITTEN}", "x"
    for path in _texts([each.get("path") for each in _tables(linux.get("devices"))]):
        yield "stat", path
    for key in _table(linux.get("sysctl")):
        yield "read", "/proc/sys/" + key.replace(".", "/")
    for entry in _tables(_table(linux.get("seccomp")).get("syscalls")):
        calls = [NUMBERS[name] for name in _texts(entry.get("names")) if name in NUMBERS]
        yield from (("syscall", str(number)) for number in calls)


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _tables(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    if not isinstance(value, list):
        return []
    return [each for each in value if isinstance(each, str) and each and "\0" not in each]
