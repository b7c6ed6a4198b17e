"""From which NUMA nodes memory is taken (config-linux.md, "Memory policy"; set_mempolicy(2))."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.oci import host
from seatrial.oci.affinity import mask, parse_list
from seatrial.oci.errors import ConfigError
from seatrial.oci.operations import Kind, Op, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Config, MemoryPolicy

MODES = {
    "MPOL_DEFAULT": 0,
    "MPOL_PREFERRED": 1,
    "MPOL_BIND": 2,
    "MPOL_INTERLEAVE": 3,
    "MPOL_LOCAL": 4,
    "MPOL_PREFERRED_MANY": 5,
    "MPOL_WEIGHTED_INTERLEAVE": 6,
}
FLAGS = {
    "MPOL_F_NUMA_BALANCING": 1 << 13,
    "MPOL_F_RELATIVE_NODES": 1 << 14,
    "MPOL_F_STATIC_NODES": 1 << 15,
}
WITHOUT_NODES = {"MPOL_DEFAULT", "MPOL_LOCAL"}
#: Without nodes it means the same as MPOL_LOCAL.
MAYBE_NODES = {"MPOL_PREFERRED"}
BALANCED = {"MPOL_BIND", "MPOL_PREFERRED_MANY"}
BASE = "/linux/memoryPolicy"


def compile(config: Config) -> Iterator[Op]:  # noqa: A001 - the compiler's verb
    """Yield the policy; raises ``ConfigError`` for what set_mempolicy(2) would not take."""
    policy = config.linux.memory_policy
    if policy is None:
        return
    if policy.mode not in MODES:
        raise ConfigError(f"{BASE}/mode", f"unknown mode {policy.mode!r}")
    flags = _flags(policy)
    nodes = _nodes(policy, flags)
    yield Op(
        Kind.MEMORY_POLICY,
        Stage.START,
        f"take memory by {policy.mode}" + (f" from nodes {policy.nodes}" if nodes else ""),
        BASE,
        blob=mask(nodes) if nodes else b"",
        numbers=(MODES[policy.mode] | flags,),
    )


def _flags(policy: MemoryPolicy) -> int:
    flags = 0
    for number, name in enumerate(policy.flags):
        pointer = f"{BASE}/flags/{number}"
        if name not in FLAGS:
            raise ConfigError(pointer, f"unknown flag {name!r}")
        if name == "MPOL_F_NUMA_BALANCING" and policy.mode not in BALANCED:
            raise ConfigError(pointer, f"{name} goes with {' or '.join(sorted(BALANCED))} only")
        if name != "MPOL_F_NUMA_BALANCING" and not policy.nodes.strip():
            raise ConfigError(pointer, f"{name} says how nodes are meant, and there are none")
        flags |= FLAGS[name]
    if flags & FLAGS["MPOL_F_RELATIVE_NODES"] and flags & FLAGS["MPOL_F_STATIC_NODES"]:
        raise ConfigError(f"{BASE}/flags", "nodes are either relative or static")
    return flags


def _nodes(policy: MemoryPolicy, flags: int) -> list[int]:
    pointer = f"{BASE}/nodes"
    if not policy.nodes.strip():
        if policy.mode not in WITHOUT_NODES | MAYBE_NODES:
            raise ConfigError(pointer, f"{policy.mode} needs at least one node")
        return []
    if policy.mode in WITHOUT_NODES:
        raise ConfigError(pointer, f"{policy.mode} takes no nodes")
    nodes = parse_list(policy.nodes, pointer)
    online = _online()
    # Relative numbers count the nodes that are allowed, so any of them is one of those.
    relative = flags & FLAGS["MPOL_F_RELATIVE_NODES"]
    if online is not None and not relative and not online.intersection(nodes):
        shown = ", ".join(map(str, sorted(online)))
        host.refuse(pointer, f"none of {policy.nodes} is here: this host has {shown}")
    return nodes


def _online() -> set[int] | None:
    try:
        return set(parse_list(host.text("/sys/devices/system/node/has_memory"), ""))
    except OSError:
        return None
