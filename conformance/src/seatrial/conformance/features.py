"""The features document: which members a release defines, and what a document says.

features.md, features-linux.md.
"""

from __future__ import annotations

import re
from typing import Any

from seatrial.conformance import spec
from seatrial.conformance.errors import Malformed

Document = dict[str, Any]

_LISTS = "list of strings"
_FLAG = "boolean"
_TEXT = "string"
_OBJECT = "object"

#: Every member by its path: what it is, and since when it is defined.
MEMBERS: dict[str, tuple[str, str]] = {
    "ociVersionMin": (_TEXT, "1.1.0"),
    "ociVersionMax": (_TEXT, "1.1.0"),
    "hooks": (_LISTS, "1.1.0"),
    "mountOptions": (_LISTS, "1.1.0"),
    "annotations": (_OBJECT, "1.1.0"),
    "potentiallyUnsafeConfigAnnotations": (_LISTS, "1.2.0"),
    "linux": (_OBJECT, "1.1.0"),
    "linux.namespaces": (_LISTS, "1.1.0"),
    "linux.capabilities": (_LISTS, "1.1.0"),
    "linux.cgroup": (_OBJECT, "1.1.0"),
    "linux.cgroup.v1": (_FLAG, "1.1.0"),
    "linux.cgroup.v2": (_FLAG, "1.1.0"),
    "linux.cgroup.systemd": (_FLAG, "1.1.0"),
    "linux.cgroup.systemdUser": (_FLAG, "1.1.0"),
    "linux.cgroup.rdma": (_FLAG, "1.1.0"),
    "linux.seccomp": (_OBJECT, "1.1.0"),
    "linux.seccomp.enabled": (_FLAG, "1.1.0"),
    "linux.seccomp.actions": (_LISTS, "1.1.0"),
    "linux.seccomp.operators": (_LISTS, "1.1.0"),
    "linux.seccomp.archs": (_LISTS, "1.1.0"),
    "linux.seccomp.knownFlags": (_LISTS, "1.1.0"),
    "linux.seccomp.supportedFlags": (_LISTS, "1.1.0"),
    "linux.apparmor": (_OBJECT, "1.1.0"),
    "linux.apparmor.enabled": (_FLAG, "1.1.0"),
    "linux.selinux": (_OBJECT, "1.1.0"),
    "linux.selinux.enabled": (_FLAG, "1.1.0"),
    "linux.intelRdt": (_OBJECT, "1.1.0"),
    "linux.intelRdt.enabled": (_FLAG, "1.1.0"),
    "linux.intelRdt.schemata": (_FLAG, "1.3.0"),
    "linux.intelRdt.monitoring": (_FLAG, "1.3.0"),
    "linux.memoryPolicy": (_OBJECT, "1.3.0"),
    "linux.memoryPolicy.modes": (_LISTS, "1.3.0"),
    "linux.memoryPolicy.flags": (_LISTS, "1.3.0"),
    "linux.mountExtensions": (_OBJECT, "1.2.0"),
    "linux.mountExtensions.idmap": (_OBJECT, "1.2.0"),
    "linux.mountExtensions.idmap.enabled": (_FLAG, "1.2.0"),
    "linux.netDevices": (_OBJECT, "1.3.0"),
    "linux.netDevices.enabled": (_FLAG, "1.3.0"),
}

#: Those whose own members are not the spec's business.
_FREE = ("annotations",)
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+([0-9A-Za-z.-]+))?", re.ASCII)


def declared(document: Document, path: str) -> Any:  # noqa: ANN401
    """Return the member at a dotted path; ``None`` if it, or what it is in, is missing or null."""
    found: Any = document
    for key in path.split("."):
        if found is None:
            return None
        if not isinstance(found, dict):
            raise Malformed(f"what should be an object on the way to {path} is {found!r}")
        found = found.get(key)
    return found


def listed(document: Document, path: str) -> list[str]:
    """Return a list of names, empty if it is missing or null; raises ``Malformed``."""
    found = declared(document, path)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise Malformed(f"{path} is no list of names: {found!r}")
    return found


def breaches(document: Document) -> list[str]:
    """Return where a document is not of the kind that it has to be; null is as good as missing."""
    found = []
    for path, (kind, _) in MEMBERS.items():
        value = declared(document, path)
        if value is not None and not _is(value, kind):
            found.append(f"{path} is no {kind}: {value!r}")
    return found


def _is(value: object, kind: str) -> bool:
    if kind == _LISTS:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, {_FLAG: bool, _TEXT: str, _OBJECT: dict}[kind])


def undefined(document: Document, release: str) -> list[str]:
    """Return the paths of what stands in a document and is not defined by ``release``."""
    known = {path for path, (_, since) in MEMBERS.items() if since in spec.up_to(release)}
    return [path for path in _paths(document) if path not in known]


def _paths(value: Document, base: str = "") -> list[str]:
    found = []
    for key, inner in value.items():
        path = f"{base}{key}"
        found.append(path)
        if isinstance(inner, dict) and path not in _FREE:
            found += _paths(inner, f"{path}.")
    return found


def precedence(version: str) -> tuple[object, ...]:
    """Return what versions are ordered by (semver.org, "Precedence"); raises ``Malformed``."""
    match = _VERSION.fullmatch(version)
    if match is None:
        raise Malformed(f"{version!r} is no version")
    identifiers = match[4].split(".") if match[4] else []
    order = [(0, int(i), "") if i.isdecimal() else (1, 0, i) for i in identifiers]
    return (*map(int, match.group(1, 2, 3)), not identifiers, order)


def release_of(version: str) -> str | None:
    """Return the release whose members a document of this version may have; ``None``: none has any.

    A version that says it is under development lies between two releases, and may have what the
    later of them defines.
    """
    match = _VERSION.fullmatch(version)
    if match is None:
        raise Malformed(f"{version!r} is no version")
    number = tuple(map(int, match.group(1, 2, 3)))
    releases = [tuple(map(int, release.split("."))) for release in spec.RELEASES]
    reached = sum(release <= number for release in releases)
    if "dev" in ((match[4] or "") + (match[5] or "")):
        reached += 1
    reached = min(reached, len(releases))
    return spec.RELEASES[reached - 1] if reached else None
