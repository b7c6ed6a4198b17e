"""Mutants for config-linux.md: where cgroups are, whose they are, and what is written there."""

from __future__ import annotations

import os
import re
from typing import Any

from conformance.tests.mutants.mutation import (
    COMPILING,
    altered,
    around,
    edited,
    ignoring,
    objects,
    of,
    plan,
    replacing,
    verb,
    without,
)

from seatrial.oci import cgroup_ownership, cgroups
from seatrial.oci.hierarchies import hierarchies
from seatrial.oci.operations import Kind

# Where


def _place(name: str, says: str, row: str, wrong: Any) -> None:
    @verb(name, says, row, verbs=COMPILING)
    def _() -> None:
        around(cgroups, "path_of", lambda right, *arguments: wrong(right(*arguments)))


_place(
    "puts-cgroups-below-one-of-its-own",
    "takes an absolute cgroupsPath from a cgroup of its own",
    "linux.cgroups.path.absolute-under-mount",
    lambda path: f"/seatrial-mutant{path}",
)
_place(
    "puts-each-container-elsewhere",
    "leads to another cgroup each time",
    "linux.cgroups.path.consistent",
    lambda path: f"{path}/{os.getpid()}",
)

# Whose

OWNED = of(Kind.OWNER)
plan(
    "gives-cgroups-to-nobody",
    "leaves cgroups to root",
    "linux.cgroups.ownership.iff-rw-cgroup-mount",
    change=without(OWNED),
)
plan(
    "gives-cgroups-to-the-next-user",
    "gives cgroups to the next user",
    "linux.cgroups.ownership.owner-is-process-uid",
    change=altered(OWNED, numbers=lambda op: (op.numbers[0] + 1,)),
)
plan(
    "gives-the-cgroup-without-its-files",
    "changes the owner of the cgroup alone",
    "linux.cgroups.ownership.existing-delegate-files-changed",
    change=without(lambda op: OWNED(op) and bool(op.flags)),
)
plan(
    "needs-every-delegate-file",
    "fails where the cgroup lacks a file that goes with it",
    "linux.cgroups.ownership.missing-delegate-files-tolerated",
    change=altered(OWNED, flags=0),
)


@verb(
    "gives-more-files-than-are-listed",
    "changes the owner of a file that is not listed",
    "linux.cgroups.ownership.delegate-files-only",
    "linux.cgroups.ownership.no-other-files",
    verbs=COMPILING,
)
def _() -> None:
    around(cgroup_ownership, "files", lambda right: [*right(), "cgroup.max.depth", "cpu.max"])


@verb(
    "always-gives-cgroups-away",
    "changes the owner whatever is mounted",
    "linux.cgroups.ownership.not-without-mount",
    "linux.cgroups.ownership.only-with-new-cgroupns",
    "linux.cgroups.ownership.iff-rw-cgroup-mount",
    verbs=COMPILING,
)
def _() -> None:
    around(cgroup_ownership, "is_delegated", lambda right, config: True)


# Devices


def _backwards(document: Any) -> None:
    for resources in objects(document, "/linux/resources"):
        if isinstance(resources.get("devices"), list):
            resources["devices"].reverse()


edited(
    "applies-device-entries-backwards",
    "applies the list of devices from its end",
    "linux.cgroups.devices.listed-order",
    edit=_backwards,
)
DEVICES = "/linux/resources/devices/*"
for member, row in (("type", "type-default-all"), ("major", "numbers-default-all")):
    value = {"type": "b", "major": 1}[member]

    def _filled(document: Any, member: str = member, value: Any = value) -> None:
        for each in objects(document, DEVICES):
            each.setdefault(member, value)

    edited(
        f"device-entries-are-for-one-{member}",
        f"takes {value} for {member} where an entry has none",
        f"linux.cgroups.devices.{row}",
        edit=_filled,
    )
ignoring("ignores-access-to-devices", f"{DEVICES}/access", "linux.cgroups.devices.access-letters")
replacing(
    "leaves-out-unknown-accesses",
    f"{DEVICES}/access",
    lambda value: "".join(each for each in str(value) if each in "rwm"),
    "linux.cgroups.devices.invalid-value-errors",
)

# Limits

RESOURCES = "/linux/resources"
for member, row in {
    "memory/limit": "memory.limit",
    "memory/reservation": "memory.reservation",
    "memory/swap": "memory.swap",
    "memory/swappiness": "memory.swappiness",
    "memory/disableOOMKiller": "memory.disable-oom-killer",
    "cpu/shares": "cpu.shares",
    "cpu/quota": "cpu.quota",
    "cpu/burst": "cpu.burst",
    "cpu/period": "cpu.period",
    "cpu/cpus": "cpu.cpus",
    "cpu/idle": "cpu.idle",
    "pids/limit": "pids.limit",
    "blockIO/throttleReadBpsDevice": "blkio.throttle-bps.applied",
    "blockIO/throttleWriteIOPSDevice": "blkio.throttle-iops.applied",
    "rdma": "rdma.limits",
    "unified": "unified.value-written",
}.items():
    name = f"ignores-{member.replace('/', '-')}".lower()
    ignoring(name, f"{RESOURCES}/{member}", f"linux.cgroups.{row}")
for name, at in (("memory", "memory.minus-one-unlimited"), ("pids", "pids.limit-minus-one")):
    replacing(
        f"unlimited-{name}-is-much",
        f"{RESOURCES}/{name}/limit",
        lambda value: 2**20 if value == -1 else value,
        f"linux.cgroups.{at}",
        says=f"limits {name} where -1 is said",
    )
replacing(
    "takes-the-next-nodes",
    f"{RESOURCES}/cpu/mems",
    lambda value: re.sub(r"\d+", lambda found: str(int(found[0]) + 1), value),
    "linux.cgroups.cpu.mems",
)
replacing(
    "no-processes-are-any-number",
    f"{RESOURCES}/pids/limit",
    lambda value: -1 if value == 0 else value,
    "linux.cgroups.pids.limit-zero",
    says="takes a limit of 0 processes for none",
)
plan(
    "limits-no-reservations",
    "limits huge pages that are used, and not those that are reserved",
    "linux.cgroups.hugetlb.reservation-limit",
    change=without(lambda op: ".rsvd." in op.path),
)
plan(
    "limits-no-huge-pages",
    "ignores hugepageLimits",
    "linux.cgroups.hugetlb.prefix-base-1024",
    change=without(of(Kind.WRITE, at="/linux/resources/hugepageLimits")),
)

# Files of version 2


def _unified(name: str, says: str, row: str, keep: Any) -> None:
    def edit(document: Any) -> None:
        for resources in objects(document, RESOURCES):
            found = resources.get("unified")
            if isinstance(found, dict):
                resources["unified"] = {key: each for key, each in found.items() if keep(key)}

    edited(name, says, f"linux.cgroups.unified.{row}", edit=edit)


#: Files for which there are members of the config.
KNOWN = ("pids.max", "hugetlb.", "memory.max", "memory.low", "cpu.weight", "cpu.max")
_unified(
    "writes-only-files-that-it-knows",
    "ignores keys of unified that it does not know",
    "unknown-key-written",
    lambda key: key.startswith(KNOWN) and key != "cpu.weight.nice",
)


def _is_there(key: str) -> bool:
    unified = [each.controllers for each in hierarchies() if each.version != 1]
    return key.partition(".")[0] in {"cgroup"}.union(*unified)


_unified(
    "leaves-out-absent-controllers",
    "ignores keys of unified of a controller that is not there",
    "absent-controller-errors",
    _is_there,
)
plan(
    "enables-no-controllers",
    "leaves cgroup.subtree_control as it is",
    "linux.cgroups.unified.controllers-enabled",
    change=without(of(Kind.ENABLE_CONTROLLERS)),
)
