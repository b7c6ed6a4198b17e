"""Which clause decides a difference: a table of members against requirements."""

from __future__ import annotations

import functools
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.conformance.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from seatrial.conformance.comparison.differences import Difference
    from seatrial.conformance.registry import Registry

TABLE = Path(__file__).parent / "clauses.toml"
_KEYS = {"differs", "feature", "set", "unset", "requirement", "open"}


@dataclass(frozen=True)
class Clause:
    """What a row of the table says of a difference.

    ``requirements`` are the ids of the statements that decide; without any, ``open`` says why the
    spec does not; ``unset`` are members without which a config is a case of its own.
    """

    number: int
    requirements: tuple[str, ...]
    open: str | None
    unset: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Row:
    number: int
    differs: tuple[str, ...]
    feature: tuple[str, ...]
    set: tuple[str, ...]
    unset: tuple[str, ...]
    requirement: tuple[str, ...]
    open: str | None

    def clause(
        self,
        difference: Difference,
        has: Iterable[str],
        members: frozenset[str],
        registry: Registry,
    ) -> Clause | None:
        """Return what it says of a difference that a config with these features shows."""
        if not any(_match(difference.place, pattern) for pattern in self.differs):
            return None
        if not members.issuperset(self.set) or not members.isdisjoint(self.unset):
            return None
        if not self.feature:
            return Clause(self.number, self.requirement, self.open, self.unset)
        matches = (_match(each, pattern) for each in has for pattern in self.feature)
        stars = [found[1] if found.groups() else "" for found in matches if found]
        names = [name.replace("*", star) for star in stars for name in self.requirement]
        known = tuple(dict.fromkeys(name for name in names if name in registry))
        if not stars or (names and not known):
            return None
        return Clause(self.number, known, self.open, self.unset)


@dataclass(frozen=True)
class Clauses:
    """The table; its first row that fits decides."""

    rows: tuple[_Row, ...]
    registry: Registry

    @classmethod
    def load(cls, registry: Registry, path: Path = TABLE) -> Clauses:
        """Read the table; raises ``HarnessError`` where a row is wrong or names no requirement."""
        tables = tomllib.loads(path.read_text(encoding="utf-8"))["clause"]
        rows = tuple(_row(table, number) for number, table in enumerate(tables, 1))
        for row in rows:
            for name in row.requirement:
                if "*" not in name and name not in registry:
                    raise HarnessError(f"{path.name}: row {row.number}: no requirement {name!r}")
        return cls(rows, registry)

    @property
    def names(self) -> frozenset[str]:
        """The members that some row wants not to be there."""
        return frozenset(name for row in self.rows for name in row.unset)

    def decide(
        self, difference: Difference, has: frozenset[str], members: frozenset[str]
    ) -> Clause | None:
        """Return what the first row that fits says, ``None`` where there is none.

        ``has`` are the features of the config that shows the difference, and ``members`` all that
        it has.
        """
        return next(self.fitting(difference, has, members), None)

    def fitting(
        self, difference: Difference, has: frozenset[str], members: frozenset[str]
    ) -> Iterator[Clause]:
        """Yield what each row that fits says, in their order; see ``decide``."""
        ordered = sorted(has)
        for row in self.rows:
            if clause := row.clause(difference, ordered, members, self.registry):
                yield clause


def _row(table: Mapping[str, Any], number: int) -> _Row:
    where = f"{TABLE.name}: row {number}"
    for key in table:
        if key not in _KEYS:
            raise HarnessError(f"{where}: unknown key {key!r}")
    if ("requirement" in table) == ("open" in table):
        raise HarnessError(f"{where}: has to have one of requirement and open")
    if "differs" not in table:
        raise HarnessError(f"{where}: differs is missing")
    return _Row(
        number=number,
        differs=_words(table["differs"]),
        feature=_words(table.get("feature", [])),
        set=_words(table.get("set", [])),
        unset=_words(table.get("unset", [])),
        requirement=_words(table.get("requirement", [])),
        open=table.get("open"),
    )


def _words(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _match(text: str, pattern: str) -> re.Match[str] | None:
    return _compiled(pattern).fullmatch(text)


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern in which only ``*`` has a meaning."""
    return re.compile("(.*)".join(map(re.escape, pattern.split("*"))), re.DOTALL)
