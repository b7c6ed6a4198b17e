"""Mutants for config-linux.md: what a process gets of the kernel, and paths."""

from __future__ import annotations

import re
from typing import Any

from conformance.tests.mutants.mutation import (
    altered,
    edited,
    ignoring,
    objects,
    of,
    plan,
    replacing,
    without,
)

from seatrial.oci import memory_policy, personality
from seatrial.oci.operations import Kind

# Resource control by hardware

ignoring("ignores-intel-rdt", "/linux/intelRdt", "linux.rdt.no-resctrl-errors")

# Memory policy

POLICY = "/linux/memoryPolicy"
MODES = {
    "BIND": "INTERLEAVE",
    "INTERLEAVE": "BIND",
    "WEIGHTED_INTERLEAVE": "INTERLEAVE",
    "PREFERRED": "BIND",
    "PREFERRED_MANY": "PREFERRED",
    "LOCAL": "DEFAULT",
}
for mode, other in MODES.items():
    number = memory_policy.MODES[f"MPOL_{mode}"]
    plan(
        f"mode-{mode}-is-{other}".lower().replace("_", "-"),
        f"takes MPOL_{other} for MPOL_{mode}",
        f"linux.memory-policy.mode.{mode.lower().replace('_', '-')}",
        change=altered(
            of(Kind.MEMORY_POLICY),
            numbers=lambda op, number=number, other=memory_policy.MODES[f"MPOL_{other}"]: (
                (op.numbers[0] & ~255 | other,) if op.numbers[0] & 255 == number else op.numbers
            ),
            blob=lambda op, number=number, mode=mode: (
                b"" if mode == "LOCAL" and op.numbers[0] & 255 == number else op.blob
            ),
        ),
    )
for flag, bit in memory_policy.FLAGS.items():
    short = flag.removeprefix("MPOL_F_").lower().replace("_", "-")
    plan(
        f"forgets-{short}",
        f"ignores {flag}",
        f"linux.memory-policy.flag.{short}",
        change=altered(of(Kind.MEMORY_POLICY), numbers=lambda op, bit=bit: (op.numbers[0] & ~bit,)),
    )
replacing(
    "takes-memory-from-the-next-nodes",
    f"{POLICY}/nodes",
    lambda value: re.sub(r"\d+", lambda found: str(int(found[0]) + 1), value),
    "linux.memory-policy.nodes",
)


def _known_policy(document: Any) -> None:
    for linux in objects(document, "/linux"):
        policy = linux.get("memoryPolicy")
        if isinstance(policy, dict) and policy.get("mode") not in memory_policy.MODES:
            del linux["memoryPolicy"]


def _known_flags(document: Any) -> None:
    for policy in objects(document, POLICY):
        if isinstance(policy.get("flags"), list):
            policy["flags"] = [each for each in policy["flags"] if each in memory_policy.FLAGS]


def _nodes_where_they_fit(document: Any) -> None:
    for policy in objects(document, POLICY):
        if policy.get("mode") in memory_policy.WITHOUT_NODES:
            policy.pop("nodes", None)


edited("ignores-unknown-policies", "ignores a memoryPolicy of a mode that it does not know",
       "linux.memory-policy.mode-present", edit=_known_policy)  # fmt: skip
edited("ignores-unknown-policy-flags", "ignores flags of a memoryPolicy that it does not know",
       "linux.memory-policy.unknown-flag-errors", edit=_known_flags)  # fmt: skip
edited("ignores-nodes-where-none-are-taken", "ignores nodes for modes that take none",
       "linux.memory-policy.nodes-mode-mismatch-errors", edit=_nodes_where_they_fit)  # fmt: skip

# Kernel parameters

ignoring("ignores-sysctl", "/linux/sysctl",
         "linux.sysctl.applied", "linux.sysctl.unknown-errors",
         "linux.sysctl.not-namespaced")  # fmt: skip

# Paths


def _absolute(*paths: str) -> Any:
    def edit(document: Any) -> None:
        for linux in objects(document, "/linux"):
            for name in paths:
                if isinstance(linux.get(name), list):
                    linux[name] = [
                        f"/{each.lstrip('/')}" if isinstance(each, str) else each
                        for each in linux[name]
                    ]

    return edit


edited("takes-relative-paths-from-the-root", "takes masked and read-only paths from the root",
       "linux.masked-paths.absolute", "linux.readonly-paths.absolute",
       edit=_absolute("maskedPaths", "readonlyPaths"))  # fmt: skip
plan(
    "masks-nothing",
    "ignores maskedPaths",
    "linux.masked-paths.unreadable",
    change=without(of(Kind.MASK)),
)
plan(
    "makes-masked-paths-read-only",
    "makes masked paths read-only",
    "linux.masked-paths.unreadable",
    change=altered(of(Kind.MASK), kind=Kind.READONLY),
)
plan(
    "makes-no-path-read-only",
    "ignores readonlyPaths",
    "linux.readonly-paths.read-only",
    change=without(of(Kind.READONLY)),
)

# Personality


def _known_domain(document: Any) -> None:
    for linux in objects(document, "/linux"):
        found = linux.get("personality")
        if isinstance(found, dict) and found.get("domain") not in personality.DOMAINS:
            del linux["personality"]


edited("ignores-unknown-domains", "ignores a personality of a domain that it does not know",
       "linux.personality.domain-present", edit=_known_domain)  # fmt: skip
plan(
    "has-no-personality",
    "ignores the domain",
    "linux.personality.linux32",
    "linux.personality.linux",
    change=without(of(Kind.PERSONALITY)),
)
ignoring("ignores-personality-flags", "/linux/personality/flags", "linux.personality.flags-refused")
