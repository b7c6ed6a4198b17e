"""The search: configs that runtimes treat otherwise, one for each kind of difference, made small.

Hypothesis draws and shrinks.  One round looks for a config with a difference of a kind that is not
known yet and shrinks it as long as it shows that kind; the next takes the same way from the start,
over what was seen already, and passes by what is known.  So a run costs the configs of one search
and those of each shrinking, and the same seed gives the same findings.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Protocol

from hypothesis import HealthCheck, Phase, Verbosity, find, settings
from hypothesis.errors import NoSuchExample

from seatrial.conformance.comparison import differences, features
from seatrial.conformance.comparison.differences import OUTCOME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hypothesis.strategies import SearchStrategy

    from seatrial.conformance.comparison.clauses import Clause, Clauses
    from seatrial.conformance.comparison.differences import Difference, Partition
    from seatrial.conformance.comparison.observation import Tree
    from seatrial.conformance.config import Config

#: What shrinking may cost where each try runs into a timeout.
_HANGING_TRIES = 3
#: How many configs are shown for one member, between the same runtimes, by one clause.
_MOST = 3


@dataclass(frozen=True)
class Kind:
    """What differs, and who agrees with whom."""

    what: tuple[object, ...]
    partition: Partition

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every two runtimes that do not agree."""
        groups = itertools.combinations(self.partition, 2)
        return [pair for one, other in groups for pair in itertools.product(one, other)]


class Runs(Protocol):
    """What runs a config on all runtimes."""

    def observe(self, config: Config) -> Mapping[str, Tree]:
        """Return what was seen, by runtime."""


@dataclass(frozen=True)
class Effort:
    """How long is searched: configs drawn, and tries in vain, in a row, to make one smaller."""

    examples: int
    tries: int
    seed: int = 0


@dataclass(frozen=True)
class Finding:
    """One kind of difference, and the smallest config found that shows it.

    ``differences`` are those of the kind that this config shows, at least one; ``whole`` is false
    where the tries were used up before it was sure that there is nothing smaller.
    """

    differences: tuple[Difference, ...]
    config: Config
    clause: Clause | None
    whole: bool


@dataclass
class Search:
    """Looks for differences; ``findings``, ``drawn`` and ``ran`` say how far it is come.

    ``interrupted`` is set by whoever handles Ctrl-C: where the exception itself comes up in a
    destructor it is lost.
    """

    runs: Runs
    strategy: SearchStrategy[Config]
    base: Config
    clauses: Clauses
    effort: Effort
    progress: Callable[[Search], None] = lambda _: None
    findings: list[Finding] = field(default_factory=list)
    unsteady: list[str] = field(default_factory=list)
    ran: int = 0
    interrupted: bool = False
    _drawn: set[str] = field(default_factory=set)
    _seen: dict[str, dict[Kind, list[Difference]]] = field(default_factory=dict)
    _causes: dict[object, list[frozenset[str]]] = field(default_factory=dict)
    _counts: Counter[object] = field(default_factory=Counter)
    _target: Kind | None = None
    _tries: int = 0
    _most_tries: int = 0
    _exhausted: bool = False

    @property
    def drawn(self) -> int:
        """How many different configs were drawn in search of a new kind."""
        return len(self._drawn)

    @property
    def shrinking(self) -> bool:
        """Whether a config is being made small."""
        return self._target is not None

    def run(self) -> None:
        """Search until the configs are used up."""
        while (config := self._next()) is not None:
            self._take(config)

    def _next(self) -> Config | None:
        self._target, self._exhausted = None, False
        self._tries = self._most_tries = self.effort.tries
        drawing = settings(
            max_examples=self.effort.examples,
            phases=[Phase.generate, Phase.shrink],
            database=None,
            deadline=None,
            verbosity=Verbosity.quiet,
            suppress_health_check=list(HealthCheck),
        )
        random = Random(self.effort.seed)  # noqa: S311 - to draw examples
        try:
            return find(self.strategy, self._is_wanted, settings=drawing, random=random)
        except NoSuchExample:
            return None

    def _is_wanted(self, config: Config) -> bool:
        key = _key(config)
        if self._target is None:
            self._drawn.add(key)
        elif key not in self._seen:
            if self._tries == 0:
                self._exhausted = True
                return False
            self._tries -= 1
        kinds = self._kinds_of(config, key)
        if self._target is None:
            self._target = next(
                (kind for kind, found in kinds.items() if self._is_new(kind, found[0], config)),
                None,
            )
            if self._target is None:
                return False
            if any("hangs" in end for each in kinds[self._target] for end in each.ends):
                self._tries = self._most_tries = _HANGING_TRIES
            self.progress(self)
        if self._target not in kinds or self._is_explained(self._target, config):
            return False
        self._tries = max(self._tries, self._most_tries)
        return True

    def _take(self, config: Config) -> None:
        kind = self._target
        assert kind is not None  # noqa: S101 - find found by it
        found = self._kinds_of(config, _key(config))[kind]
        clause = self._clause(found[0], config)
        again = self._kinds(config, self._observe(config))
        self._remember(kind, config, clause)
        if kind not in again:
            self.unsteady.append(found[0].place)
        else:
            decided = (kind, None if clause is None else clause.requirements)
            self._counts[decided] += 1
            if self._counts[decided] <= _MOST:
                whole = not self._exhausted
                self.findings.append(Finding(tuple(found), config, clause, whole))
        self._target = None
        self.progress(self)

    # What is known

    def _remember(self, kind: Kind, config: Config, clause: Clause | None) -> None:
        cause = features.of(config, self.base)
        if clause is not None:
            cause |= {f"{name}:unset" for name in clause.unset}
        for pair in kind.pairs:
            self._causes.setdefault((kind.what, pair), []).append(cause)

    def _is_explained(self, kind: Kind, config: Config) -> bool:
        """Whether every two that differ did so already, for a cause that this config has too."""
        causes = [self._causes.get((kind.what, pair), []) for pair in kind.pairs]
        if not all(causes):
            return False
        has = features.of(config, self.base)
        has |= {f"{name}:unset" for name in self.clauses.names - features.members(config)}
        return all(any(cause <= has for cause in known) for known in causes)

    def _is_new(self, kind: Kind, difference: Difference, config: Config) -> bool:
        """Whether to make this config small: not explained, nor one of many, and steady."""
        if self._is_explained(kind, config):
            return False
        # Whichever of the rows it is that decides on the small config.
        has, members = features.of(config, self.base), features.members(config)
        fitting = self.clauses.fitting(difference, has, members)
        decided = [None, *(clause.requirements for clause in fitting)]
        if any(self._counts[kind, each] >= _MOST for each in decided):
            return False
        if kind in self._kinds(config, self._observe(config)):
            return True
        self.unsteady.append(difference.place)
        self._remember(kind, config, None)
        return False

    def _kinds(self, config: Config, found: list[Difference]) -> dict[Kind, list[Difference]]:
        """Return the differences by their kinds.

        Of one kind is what one row of the table decides, or leaves open, between the same runtimes.
        """
        kinds: dict[Kind, list[Difference]] = {}
        has, members = features.of(config, self.base), features.members(config)
        for each in found:
            what: tuple[object, ...] = (each.member,)
            if each.path == OUTCOME:
                what = (OUTCOME, *sorted(each.ends))
            elif clause := self.clauses.decide(each, has, members):
                what = (clause.number,)
            kinds.setdefault(Kind(what, each.partition), []).append(each)
        return kinds

    def _clause(self, difference: Difference, config: Config) -> Clause | None:
        has, members = features.of(config, self.base), features.members(config)
        return self.clauses.decide(difference, has, members)

    def _kinds_of(self, config: Config, key: str) -> dict[Kind, list[Difference]]:
        if key not in self._seen:
            self._seen[key] = self._kinds(config, self._observe(config))
        return self._seen[key]

    def _observe(self, config: Config) -> list[Difference]:
        if self.interrupted:
            raise KeyboardInterrupt
        self.ran += 1
        self.progress(self)
        return differences.between(self.runs.observe(copy.deepcopy(config)))


def _key(config: Config) -> str:
    return json.dumps(config, sort_keys=True)
