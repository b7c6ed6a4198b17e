"""What a config has that the minimal one has not, as words that do not depend on drawn values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.conformance.config import Config

#: The types of the members that compared configs have, lists by ``[]`` and maps by ``{}``.
TYPES = {
    "annotations": "object",
    "annotations{}": "string",
    "domainname": "string",
    "hostname": "string",
    "linux.devices": "array",
    "linux.devices[]": "object",
    "linux.devices[].fileMode": "integer",
    "linux.devices[].gid": "integer",
    "linux.devices[].major": "integer",
    "linux.devices[].minor": "integer",
    "linux.devices[].path": "string",
    "linux.devices[].type": "string",
    "linux.devices[].uid": "integer",
    "linux.gidMappings": "array",
    "linux.gidMappings[]": "object",
    "linux.gidMappings[].containerID": "integer",
    "linux.gidMappings[].hostID": "integer",
    "linux.gidMappings[].size": "integer",
    "linux.maskedPaths": "array",
    "linux.maskedPaths[]": "string",
    "linux.namespaces[]": "object",
    "linux.namespaces[].type": "string",
    "linux.personality": "object",
    "linux.personality.domain": "string",
    "linux.readonlyPaths": "array",
    "linux.readonlyPaths[]": "string",
    "linux.rootfsPropagation": "string",
    "linux.seccomp": "object",
    "linux.seccomp.architectures": "array",
    "linux.seccomp.architectures[]": "string",
    "linux.seccomp.defaultAction": "string",
    "linux.seccomp.flags": "array",
    "linux.seccomp.flags[]": "string",
    "linux.seccomp.syscalls": "array",
    "linux.seccomp.syscalls[]": "object",
    "linux.seccomp.syscalls[].action": "string",
    "linux.seccomp.syscalls[].errnoRet": "integer",
    "linux.seccomp.syscalls[].names": "array",
    "linux.seccomp.syscalls[].names[]": "string",
    "linux.sysctl": "object",
    "linux.sysctl{}": "string",
    "linux.timeOffsets": "object",
    "linux.timeOffsets.boottime": "object",
    "linux.timeOffsets.boottime.nanosecs": "integer",
    "linux.timeOffsets.boottime.secs": "integer",
    "linux.timeOffsets.monotonic": "object",
    "linux.timeOffsets.monotonic.nanosecs": "integer",
    "linux.timeOffsets.monotonic.secs": "integer",
    "linux.uidMappings": "array",
    "linux.uidMappings[]": "object",
    "linux.uidMappings[].containerID": "integer",
    "linux.uidMappings[].hostID": "integer",
    "linux.uidMappings[].size": "integer",
    "mounts": "array",
    "mounts[]": "object",
    "mounts[].destination": "string",
    "mounts[].options": "array",
    "mounts[].options[]": "string",
    "mounts[].source": "string",
    "mounts[].type": "string",
    "ociVersion": "string",
    "process": "object",
    "process.capabilities": "object",
    "process.capabilities.ambient": "array",
    "process.capabilities.ambient[]": "string",
    "process.capabilities.bounding": "array",
    "process.capabilities.bounding[]": "string",
    "process.capabilities.effective": "array",
    "process.capabilities.effective[]": "string",
    "process.capabilities.inheritable": "array",
    "process.capabilities.inheritable[]": "string",
    "process.capabilities.permitted": "array",
    "process.capabilities.permitted[]": "string",
    "process.consoleSize": "object",
    "process.consoleSize.height": "integer",
    "process.consoleSize.width": "integer",
    "process.cwd": "string",
    "process.env": "array",
    "process.env[]": "string",
    "process.ioPriority": "object",
    "process.ioPriority.class": "string",
    "process.ioPriority.priority": "integer",
    "process.noNewPrivileges": "boolean",
    "process.oomScoreAdj": "integer",
    "process.rlimits": "array",
    "process.rlimits[]": "object",
    "process.rlimits[].hard": "integer",
    "process.rlimits[].soft": "integer",
    "process.rlimits[].type": "string",
    "process.scheduler": "object",
    "process.scheduler.flags": "array",
    "process.scheduler.flags[]": "string",
    "process.scheduler.nice": "integer",
    "process.scheduler.policy": "string",
    "process.scheduler.priority": "integer",
    "process.terminal": "boolean",
    "process.user": "object",
    "process.user.additionalGids": "array",
    "process.user.additionalGids[]": "integer",
    "process.user.gid": "integer",
    "process.user.uid": "integer",
    "process.user.umask": "integer",
    "root": "object",
    "root.path": "string",
    "root.readonly": "boolean",
}
#: Objects whose members are names of things.
_MAPS = ("annotations", "linux.sysctl")
_JSON: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    dict: "object",
    list: "array",
}
_LONG = 64
_BIG = 2**31
_HUGE = 2**32

_WORD = re.compile(r"[A-Za-z_][\w.-]{0,40}")
#: Members whose texts are words of the spec or of the kernel, and not the user's.
_WORDS = re.compile(
    r"\.type$|options\[\]$|capabilities\.\w+\[\]$|policy$|flags\[\]$|class$|[aA]ction$"
    r"|architectures\[\]$|domain$|Propagation$"
)


def of(config: Config, base: Config) -> frozenset[str]:
    """Return the features of ``config``, without those of ``base``, and what it lacks of that."""
    had, has = set(_leaves("", base)), set(_leaves("", config))
    lacking = {f"{path}:missing" for path in _members("", base) - _members("", config)}
    return frozenset(has - had | lacking)


def members(config: Config) -> frozenset[str]:
    """Return the members that a config has, at every depth."""
    return frozenset(_members("", config))


def _inner(path: str, name: str) -> str:
    if path in _MAPS:
        return f"{path}{{}}"
    return f"{path}.{name}" if path else name


def _members(path: str, value: object) -> set[str]:
    found = {path} if path else set()
    if isinstance(value, dict):
        for name, each in value.items():
            found |= _members(_inner(path, name), each)
    elif isinstance(value, list):
        for each in value:
            found |= _members(f"{path}[]", each)
    return found


def _leaves(path: str, value: object) -> Iterator[str]:
    """Yield the features of a value and of all below it."""
    if path and value is None:
        yield f"{path}:null"
    elif _type(value) != TYPES.get(path, _type(value)):
        yield f"{path}:wrong-type"
    elif isinstance(value, dict):
        yield from _object(path, value)
    elif isinstance(value, list):
        yield from _array(path, value)
    elif isinstance(value, bool):
        yield f"{path}={str(value).lower()}"
    elif isinstance(value, str):
        yield path + _text(path, value)
    elif isinstance(value, (int, float)):
        yield path + _number(value)


def _object(path: str, value: dict[str, Any]) -> Iterator[str]:
    if path and not value:
        yield f"{path}:empty"
    for name, each in value.items():
        inner = _inner(path, name)
        if path and not any(known.startswith(inner) for known in TYPES):
            yield f"{path}:unknown-member"
        yield from _leaves(inner, each)


def _array(path: str, value: list[Any]) -> Iterator[str]:
    if not value:
        yield f"{path}:empty"
    for each in value:
        yield from _leaves(f"{path}[]", each)
    told = [each.get("type") if isinstance(each, dict) else each for each in value]
    texts = [str(each) for each in told if each is not None]
    if path != "mounts" and len(set(texts)) < len(texts):
        yield f"{path}:repeated"


def _type(value: object) -> str:
    return _JSON.get(type(value), "null")


def _number(value: float) -> str:
    for limit, word in ((0, "negative"), (_BIG, "number"), (_HUGE, "big")):
        if value < limit:
            return f":{word}"
    return ":huge"


def _text(path: str, value: str) -> str:
    if _WORDS.search(path) and _WORD.fullmatch(value):
        return f"={value}"
    if path.endswith("env[]"):
        name, equals, _ = value.partition("=")
        return f"={name}" if name in {"HOME", "PATH"} else ":variable" if equals else ":no-equals"
    long = len(value.encode("utf-8", "surrogatepass")) > _LONG
    kind = "absolute" if value.startswith("/") else "text" if value else "empty"
    return ":long" if long else f":{kind}"
