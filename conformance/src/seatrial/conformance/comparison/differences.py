"""Differences between what several runtimes made of one config."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from seatrial.conformance.comparison.observation import Tree

#: Where a container's end is in the tree of what was seen.
OUTCOME = "outcome"
#: Who agrees with whom, in the order in which the runtimes were given.
Partition = tuple[tuple[str, ...], ...]

#: Members that a runtime's tree has not where an earlier phase ended the container.
_PHASES = frozenset({"created", "stopped", "report", "acts", "program"})
#: Members whose members are names of things, and not of the format.
_MAPS = frozenset(
    {"acts", "annotations", "devices", "environ", "fds", "mounts", "rlimits", "terminals"}
)
#: Names that were drawn, and so say nothing about the kind of a difference.
_DRAWN = re.compile(
    r"(?<=rlimits\[)\w+(?=\])|(?<=environ\[)SEA\w*(?=[ \]])|(?<=annotations\[)[^\]]*(?=\])"
    r"|(?<=mounts\[)/sea[^\]]*(?=\])"
    r"|(?<=acts\[)(stat|write) /(sea|dev)\b[^\]]*(?=\])|(?<=devices\[/dev/)sea\w*(?=\])"
)
_STATE = re.compile(r"^(created|stopped)\.")


class _Absent:
    def __repr__(self) -> str:
        return "absent"


#: What stands for a member that a runtime's tree has not.
ABSENT = _Absent()


@dataclass(frozen=True)
class Difference:
    """One member that is not the same for all: the values, by who has them.

    ``path`` names the member, ``element`` the text that is in some of the sets only: then
    ``partition`` is who has it, while ``values`` are the whole sets.
    """

    path: str
    values: tuple[tuple[tuple[str, ...], Any], ...]
    partition: Partition
    element: str | None = None

    @property
    def place(self) -> str:
        """The member, and the element if there is one: ``mounts[/proc].options{nosuid}``."""
        return self.path if self.element is None else f"{self.path}{{{self.element}}}"

    @property
    def member(self) -> str:
        """The member without names that were drawn, and without the time of the state."""
        return _STATE.sub("state.", _DRAWN.sub("*", self.path))

    @property
    def ends(self) -> tuple[str, ...]:
        """How the containers ended, if that is the difference."""
        return tuple(text(value) for _, value in self.values) if self.path == OUTCOME else ()


def text(value: object) -> str:
    """Return a value of a tree as people read it."""
    if value is ABSENT:
        return "absent"
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def between(seen: Mapping[str, Tree]) -> list[Difference]:
    """Return all differences between the trees of several runtimes, in a stable order.

    What is below a member that a runtime's tree has not is compared among those that have it.
    """
    found = _objects("", seen)
    return sorted(found, key=lambda each: (each.path != OUTCOME, each.place, each.partition))


def _walk(path: str, name: str, seen: Mapping[str, Tree]) -> Iterator[Difference]:
    values = list(seen.values())
    if all(isinstance(value, dict) for value in values):
        yield from _objects(path, seen, names=name in _MAPS)
    elif all(isinstance(value, list) for value in values):
        for element in sorted({each for value in values for each in value}):
            having = _grouped({runtime: element in value for runtime, value in seen.items()})
            if len(having) > 1:
                partition = tuple(runtimes for runtimes, _ in having)
                yield Difference(path, _grouped(seen), partition, element)
    elif len(groups := _grouped(seen)) > 1:
        yield Difference(path, groups, tuple(runtimes for runtimes, _ in groups))


def _objects(path: str, seen: Mapping[str, Tree], *, names: bool = False) -> Iterator[Difference]:
    for name in sorted({name for tree in seen.values() for name in tree}):
        if names:
            inner = f"{path}[{name}]"
        elif not path or path == "report":
            inner = name
        else:
            inner = f"{path}.{name}"
        having = {runtime: tree[name] for runtime, tree in seen.items() if name in tree}
        if len(having) < len(seen) and not (not path and name in _PHASES):
            members = {runtime: having.get(runtime, ABSENT) for runtime in seen}
            there = _grouped({runtime: runtime in having for runtime in seen})
            partition = tuple(runtimes for runtimes, _ in there)
            yield Difference(inner, _grouped(members), partition)
        if len(having) > 1:
            yield from _walk(inner, name, having)


def _grouped(seen: Mapping[str, Any]) -> tuple[tuple[tuple[str, ...], Any], ...]:
    groups: dict[str, tuple[list[str], Any]] = {}
    for runtime, value in seen.items():
        groups.setdefault(text(value), ([], value))[0].append(runtime)
    return tuple((tuple(runtimes), value) for runtimes, value in groups.values())
