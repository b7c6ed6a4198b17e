"""Values of ``linux.memoryPolicy``."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

#: linux/mempolicy.h.
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
#: Modes that want no nodes, and those that want some (set_mempolicy(2)).
WITHOUT_NODES = ("MPOL_DEFAULT", "MPOL_LOCAL")
WITH_NODES = ("MPOL_BIND", "MPOL_INTERLEAVE")

_NODES_WITH_MEMORY = Path("/sys/devices/system/node/has_memory")


def nodes_with_memory() -> list[int]:
    """Return the numbers of this host's memory nodes."""
    nodes: list[int] = []
    for part in _NODES_WITH_MEMORY.read_text().strip().split(","):
        first, _, last = part.partition("-")
        nodes += range(int(first), int(last or first) + 1)
    return nodes


def node_sets(*, most: int | None = None) -> st.SearchStrategy[set[int]]:
    """Some of this host's memory nodes, at least one."""
    nodes = st.deferred(lambda: st.sampled_from(nodes_with_memory()))
    return st.sets(nodes, min_size=1, max_size=most)


@st.composite
def node_lists(draw: st.DrawFn, nodes: set[int]) -> str:
    """Ways to write a set of nodes: each once or more, alone or in ranges, in any order."""
    parts = []
    for node in nodes:
        last = node
        while last + 1 in nodes and draw(st.booleans()):
            last += 1
        # A range of one node is a range too.
        parts.append(f"{node}-{last}" if last > node or draw(st.booleans()) else str(node))
    return ",".join(draw(st.permutations(parts)))


def unknown(prefix: str, known: dict[str, int]) -> st.SearchStrategy[str]:
    """Names that look like constants of set_mempolicy(2) and are none."""
    words = st.text(st.characters(codec="ascii", categories=["Lu"]), max_size=12)
    return words.map(lambda word: prefix + word).filter(lambda name: name not in known)
