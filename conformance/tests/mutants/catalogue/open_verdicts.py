"""Mutants for rows of which the spec leaves the verdict open, and for wordings of older releases.

Where the tests of a row only note what a runtime does, a mutant is one that does something else.
"""

from __future__ import annotations

import json
import posixpath
from dataclasses import replace
from typing import Any

from conformance.tests.mutants.mutation import (
    COMPILING,
    MUTANTS,
    Mutant,
    add,
    around,
    edited,
    objects,
    replacing,
    verb,
)

from seatrial.oci import config, runtime, update
from seatrial.oci.store import Folder

add(
    replace(
        MUTANTS["leaves-out-what-is-wrong"],
        name="leaves-out-what-is-wrong-where-that-is-open",
        says="does without what it finds wrong, where it is not said to be an error",
        rows=(
            "config.mounts.destination-present",
            "config.mounts.mappings.entry-format",
            "config.mounts.mappings.uid-needs-gid",
            "config.mounts.mappings.gid-needs-uid",
            "config.process.args-present",
            "linux.id-mappings.container-id-present",
            "linux.id-mappings.host-id-present",
            "linux.id-mappings.size-present",
            "linux.devices.path-present",
            "linux.devices.major-minor-present",
            "linux.cgroups.fitness.failed-check-errors",
            "linux.cgroups.devices.allow-present",
            "linux.cgroups.blkio.weight-device.major-minor-present",
            "linux.cgroups.blkio.weight-device.one-weight-given",
            "linux.cgroups.blkio.throttle-bps.major-minor-present",
            "linux.cgroups.blkio.throttle-bps.rate-present",
            "linux.cgroups.blkio.throttle-iops.major-minor-present",
            "linux.cgroups.blkio.throttle-iops.rate-present",
            "linux.cgroups.hugetlb.page-size-present",
            "linux.cgroups.hugetlb.limit-present",
            "linux.cgroups.network.priority-name-present",
            "linux.cgroups.network.priority-value-present",
            "linux.cgroups.rdma.one-limit-given",
            "linux.cgroups.unified.conversion-impossible-errors",
            "linux.seccomp.default-action-present",
            "linux.seccomp.listener-metadata-needs-path",
            "linux.seccomp.syscalls.action-present",
            "linux.seccomp.syscalls.args-members-present",
        ),
    )
)


# The tests of a row fail on the runtime itself where a later release says the opposite.

add(
    Mutant(
        "does-as-the-newest-release-says",
        "does not know what earlier releases said of hooks and capabilities",
        (
            "config.hooks.poststart.failure-warns",
            "config.hooks.prestart.during-start",
            "config.process.capabilities.unmappable-errors",
        ),
        lambda: None,
        verbs=("nothing",),
    )
)


def _with_version(document: Any) -> None:
    if isinstance(document, dict):
        document.setdefault("ociVersion", "1.3.0")


edited(
    "supplies-a-version",
    "takes a config without ociVersion for one of the newest",
    "config.version.present",
    edit=_with_version,
)


def _refuse_relative(document: Any) -> None:
    for each in objects(document, "/mounts/*"):
        if not str(each.get("destination", "/")).startswith("/"):
            each["destination"] = 0


edited(
    "refuses-relative-destinations",
    "takes only absolute paths for the destinations of mounts",
    "config.mounts.destination-absolute-required",
    edit=_refuse_relative,
)


def _requiring(name: str, says: str, path: str, **rows: str) -> None:
    """Add a mutant that takes no object at ``path`` without some members, named with their rows."""

    def edit(document: Any) -> None:
        for each in objects(document, path):
            for member in rows:
                each.setdefault(member, "none")

    edited(name, says, *rows.values(), edit=edit)


_requiring(
    "refuses-users-without-ids",
    "takes no user without uid and gid",
    "/process/user",
    uid="config.process.user.uid-present",
    gid="config.process.user.gid-present",
)
_requiring(
    "refuses-half-a-console-size",
    "takes no consoleSize without height and width",
    "/process/consoleSize",
    height="config.process.console-size-height-present",
    width="config.process.console-size-width-present",
)
_requiring(
    "refuses-pids-without-limit",
    "takes no pids without limit",
    "/linux/resources/pids",
    limit="linux.cgroups.pids.limit-present",
)


def _refuse_empty_key(document: Any) -> None:
    for each in objects(document, "/annotations"):
        if "" in each:
            each[""] = 0


edited(
    "refuses-empty-annotation-keys",
    "takes no annotation with an empty key",
    "config.annotations.keys-nonempty",
    edit=_refuse_empty_key,
)

replacing(
    "tidies-cgroups-path",
    "/linux/cgroupsPath",
    lambda path: posixpath.normpath(path) if isinstance(path, str) else path,
    "linux.cgroups.path.invalid-value-errors",
    says="goes up in the tree of cgroups where the path has ..",
)


@verb(
    "reads-latin-1",
    "takes each byte of the config for a character",
    "glossary.json.utf8",
    verbs=COMPILING,
)
def _() -> None:
    around(
        config,
        "decode",
        lambda right, content: right(content.decode("latin-1").encode()),
    )


def _first_counts(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


@verb(
    "takes-the-first-of-a-name",
    "takes the first of members that have the same name",
    "glossary.json.no-duplicate-names",
    verbs=COMPILING,
)
def _() -> None:
    def decode(right: Any, content: bytes) -> Any:
        try:
            document = json.loads(content, object_pairs_hook=_first_counts)
        except ValueError:
            return right(content)
        return right(json.dumps(document).encode())

    around(config, "decode", decode)


@verb(
    "sets-network-devices-up-at-start",
    "sets the devices in the container's network namespace up once more at start",
    "linux.net-devices.not-managed-inside",
    verbs=("start",),
)
def _() -> None:
    # Only here: netlink takes long to import.
    from seatrial.conformance import links, namespaces  # noqa: PLC0415

    def start(right: Any, identifier: str, *, root: str) -> None:
        pid = Folder(root, identifier).record().pid
        with namespaces.inside(pid, "net"):
            for device in links.names() - {"lo"}:
                links.change(device, state="up")
        right(identifier, root=root)

    around(runtime, "start", start)


@verb(
    "does-not-check-before-an-update",
    "takes limits of memory below what is used, and does nothing with them",
    "linux.cgroups.memory.check-before-update-rejects",
    verbs=("update",),
)
def _() -> None:
    around(update, "update", lambda *_arguments, **_options: None)
