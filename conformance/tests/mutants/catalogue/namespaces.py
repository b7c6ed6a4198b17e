"""Mutants for config-linux.md: namespaces, id mappings, clocks."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any

from conformance.tests.mutants.mutation import (
    altered,
    edited,
    ignoring,
    objects,
    of,
    plan,
    replacing,
)

from seatrial.oci.namespaces import FLAGS
from seatrial.oci.operations import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

Entry = dict[str, Any]


def _listed(name: str, says: str, *rows: str, change: Callable[[list[Entry]], list[Entry]]) -> None:
    """Add a mutant by what it makes of the list of namespaces."""

    def edit(document: Any) -> None:
        for linux in objects(document, "/linux"):
            found = objects(linux, "/namespaces/*")
            if found:
                linux["namespaces"] = change(found)

    edited(name, says, *rows, edit=edit)


def _without_new(kind: str) -> Callable[[list[Entry]], list[Entry]]:
    return lambda found: [each for each in found if each.get("type") != kind or each.get("path")]


for kind in FLAGS:
    _listed(
        f"makes-no-{kind}-namespace",
        f"makes no namespaces of the type {kind}",
        f"linux.namespaces.{kind}-supported",
        "linux.namespaces.new-without-path",
        change=_without_new(kind),
    )


def _without_path(each: Entry) -> Entry:
    return {name: value for name, value in each.items() if name != "path"}


_listed(
    "makes-a-namespace-where-one-is-named",
    "makes a new namespace in the place of that at path",
    "linux.namespaces.path-joined",
    change=lambda found: [_without_path(each) for each in found],
)


def _from_here(each: Entry) -> Entry:
    path = each.get("path")
    return {**each, "path": os.path.abspath(path)} if isinstance(path, str) and path else each


_listed(
    "takes-relative-paths-of-namespaces",
    "takes a path of a namespace from the working directory",
    "linux.namespaces.path-absolute",
    change=lambda found: [_from_here(each) for each in found],
)
NS_GET_NSTYPE = 0xB703


def _type_of(path: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return 0
    try:
        return int(ctypes.CDLL(None).ioctl(descriptor, NS_GET_NSTYPE))
    finally:
        os.close(descriptor)


def _really(each: Entry) -> list[Entry]:
    path = each.get("path")
    if not isinstance(path, str) or _type_of(path) == FLAGS.get(str(each.get("type"))):
        return [each]
    return []


_listed(
    "leaves-out-namespaces-of-another-type",
    "does not enter what is at a path if it is no namespace of the type",
    "linux.namespaces.path-wrong-type-errors",
    change=lambda found: [kept for each in found for kept in _really(each)],
)
_listed(
    "makes-namespaces-that-are-not-listed",
    "makes a new namespace of every type but two that is not listed",
    "linux.namespaces.omitted-inherited",
    change=lambda found: (
        found
        + [
            {"type": kind}
            for kind in ("ipc", "network", "pid")
            if kind not in {each.get("type") for each in found}
        ]
    ),
)
_listed(
    "takes-the-last-namespace-of-a-type",
    "lets the last entry of a type count",
    "linux.namespaces.duplicate-type-errors",
    change=lambda found: list({str(each.get("type")): each for each in found}.values()),
)
_listed(
    "leaves-out-unknown-namespaces",
    "ignores types of namespaces that it does not know",
    "linux.namespaces.type-unknown-errors",
    "linux.namespaces.type-present",
    change=lambda found: [each for each in found if each.get("type") in FLAGS],
)

# Ids


replacing(
    "maps-to-the-next-host-id",
    "/linux/uidMappings/*/hostID",
    lambda value: value + 1,
    "linux.id-mappings.applied",
)


def _given_away(document: Any) -> None:
    for mapping in objects(document, "/linux/uidMappings/*")[:1]:
        for root in objects(document, "/root"):
            os.chown(root["path"], mapping["hostID"], mapping["hostID"])


edited(
    "gives-the-root-filesystem-to-the-user",
    "changes the owner of the root filesystem to the user namespace's root",
    "linux.id-mappings.no-ownership-change",
    edit=_given_away,
)

# Clocks

ignoring("ignores-time-offsets", "/linux/timeOffsets",
         "linux.time-offsets.applied", "linux.time-offsets.no-namespace-errors",
         "linux.time-offsets.unknown-clock-errors")  # fmt: skip
plan(
    "shifts-one-clock",
    "shifts the monotonic clock only",
    "linux.time-offsets.applied",
    change=altered(
        of(Kind.TIME_NAMESPACE),
        text=lambda op: "".join(
            line for line in op.text.splitlines(keepends=True) if line.startswith("mono")
        ),
    ),
)
