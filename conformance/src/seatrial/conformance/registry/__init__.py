"""The registry: every normative statement of the runtime-spec, and whether tests cover it.

The rows stand in ``conformance/requirements/*.toml``; README.md beside them describes every key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, get_args

from seatrial.conformance.data import data_directory
from seatrial.conformance.registry.files import File
from seatrial.conformance.registry.requirement import (
    DOCUMENTS,
    RegistryError,
    Requirement,
    UnknownRequirement,
    suggestion,
)

if TYPE_CHECKING:
    from pathlib import Path

Status = Literal["tested", "untested", "pending", "missing"]

STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True, eq=False)
class Registry(Mapping[str, Requirement]):
    """Every requirement by its id, in the order of the spec."""

    rows: Mapping[str, Requirement]
    pending: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The anchors of each document whose chapters are still to come."""

    @classmethod
    def load(cls, directory: Path) -> Registry:
        """Read and check every TOML file of ``directory``. Raises RegistryError."""
        try:
            files = sorted(path for path in directory.iterdir() if path.suffix == ".toml")
        except OSError as error:
            raise RegistryError(f"requirements {directory}: {error.strerror}") from error
        if not files:
            raise RegistryError(f"requirements {directory}: no toml file in it")
        loaded = [File(path) for path in files]
        rows: dict[str, Requirement] = {}
        home: dict[str, Path] = {}
        for file in sorted(loaded, key=lambda file: DOCUMENTS.index(file.document)):
            for row in file.rows:
                if row.id in home:
                    raise RegistryError(
                        f"{file.path}: requirement {row.id}: id is also in {home[row.id]}"
                    )
                rows[row.id] = row
                home[row.id] = file.path
        return cls(
            rows=MappingProxyType(rows),
            pending=MappingProxyType({file.document: file.pending for file in loaded}),
        )

    def __getitem__(self, identifier: str) -> Requirement:
        """Return the row of exactly this id. Raises KeyError."""
        return self.rows[identifier]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the ids, in the order of the spec."""
        return iter(self.rows)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.rows)

    def find(self, identifier: str) -> Requirement:
        """Return the row of exactly this id. Raises UnknownRequirement."""
        try:
            return self.rows[identifier]
        except KeyError:
            raise self._unknown(identifier, self.rows) from None

    def select(self, *prefixes: str) -> tuple[Requirement, ...]:
        """Return the rows that are, or are below, one of ``prefixes``; all of them without any.

        A prefix ends at a dot: ``config.hooks`` selects ``config.hooks.argv``, and not
        ``config.hooks-x``. Raises UnknownRequirement for a prefix that selects nothing.
        """
        chosen: set[str] = set(() if prefixes else self.rows)
        for prefix in prefixes:
            below = {name for name in self.rows if name == prefix or name.startswith(f"{prefix}.")}
            if not below:
                raise self._unknown(prefix, self._prefixes())
            chosen |= below
        return tuple(row for name, row in self.rows.items() if name in chosen)

    def suggestion(self, identifier: str) -> str | None:
        """Return a hint that names the ids most like ``identifier``, if any are."""
        return suggestion(identifier, self.rows)

    def is_pending(self, row: Requirement) -> bool:
        """Tell whether the chapter of ``row`` is still to come."""
        return row.anchor in self.pending.get(row.document, ())

    def _prefixes(self) -> dict[str, None]:
        """Return everything that ``select`` takes, in order and without repetition."""
        split = [name.split(".") for name in self.rows]
        return {".".join(words[:n]): None for words in split for n in range(1, len(words) + 1)}

    def _unknown(self, word: str, known: Iterable[str]) -> UnknownRequirement:
        hint = suggestion(word, known)
        return UnknownRequirement(f"unknown requirement {word!r}", hint=hint)


@dataclass(frozen=True)
class Coverage:
    """What covers each requirement: its tests, a reason for none, a chapter to come, or nothing."""

    registry: Registry
    tests: Mapping[str, Sequence[str]]

    def status(self, row: Requirement) -> Status:
        """Return the word for ``row``: a test counts before a reason, a reason before a plan."""
        if self.tests.get(row.id):
            return "tested"
        if row.untested is not None:
            return "untested"
        return "pending" if self.registry.is_pending(row) else "missing"

    def count(self, rows: Iterable[Requirement] | None = None) -> dict[str, int]:
        """Count ``rows`` (all, if not given) by status; every status is a key."""
        chosen = self.registry.values() if rows is None else rows
        counted = Counter(self.status(row) for row in chosen)
        return {status: counted[status] for status in STATUSES}


def coverage(registry: Registry, tests: Mapping[str, Sequence[str]]) -> Coverage:
    """Set ``tests`` (requirement id to the node ids of its tests) against ``registry``."""
    return Coverage(registry, tests)


def check(registry: Registry, tests: Mapping[str, Sequence[str]]) -> list[str]:
    """Return what is wrong between ``registry`` and ``tests``, one sentence each; empty is good."""
    covered = coverage(registry, tests)
    problems: list[str] = []
    for name, nodes in tests.items():
        if name not in registry:
            problem = f"{', '.join(nodes) or 'a test'}: unknown requirement {name!r}"
            hint = registry.suggestion(name)
            problems.append(f"{problem}; {hint}" if hint else problem)
    for row in registry.values():
        if covered.status(row) == "missing":
            problems.append(f"{row.id} ({row.level}, {row.place}): neither a test nor a reason")
        if row.untested is not None and tests.get(row.id):
            nodes_of_row = ", ".join(tests[row.id])
            problems.append(f"{row.id}: has a reason to be untested, and a test: {nodes_of_row}")
    for document, anchors in registry.pending.items():
        for anchor in anchors:
            rows = [r for r in registry.values() if r.document == document and r.anchor == anchor]
            if all(covered.status(row) in ("tested", "untested") for row in rows):
                problems.append(
                    f"{document}#{anchor}: every row has a test or a reason; remove it from pending"
                )
    return problems


def requirements_directory() -> Path:
    """Return the folder of the registry: the copy in the wheel, or that of the checkout."""
    return data_directory("requirements")
