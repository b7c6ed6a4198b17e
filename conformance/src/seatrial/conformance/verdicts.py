"""Verdicts: what came of one test, as a value that results, terminal and exit status share."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.conformance.registry import Registry

Status = Literal["pass", "fail", "error", "skip", "note"]

_RESULT = re.compile(
    r"assert (?:not )?(?:True|False)\n"
    r" \+  where (?:True|False) = <[^\n]* → ([^\n]*)>\.(?:ok|failed)"
)

#: The levels whose failures decide compliance (spec.md, "Notational Conventions").
BINDING = frozenset({"MUST", "MUST-NOT", "REQUIRED"})
#: The levels that decide the exit status without --strict: a plain statement counts as well,
#: advice (SHOULD) and leave (MAY) do not.
DECIDING = BINDING | {"IMPLIED"}


@dataclass(frozen=True)
class Verdict:
    """What was seen in one test (or by the auditor around it), before any expectation.

    ``kind`` tells failures apart: wrong, ignored (accepted without effect), malformed, crashed,
    hung, leaked.  ``because`` says why a failure is known.  ``commands`` are shell
    lines, ``config`` the last container's ``config.json``, ``trace`` all that was done, for a
    script that does it again.
    """

    test: str
    runtime: str
    requirements: tuple[str, ...]
    status: Status
    duration_s: float = 0.0
    kind: str | None = None
    message: str = ""
    evidence: str = ""
    notes: tuple[str, ...] = ()
    example: str = ""
    config: Any = None
    commands: tuple[str, ...] = ()
    trace: dict[str, Any] | None = None
    reproduce: str = ""
    audit: bool = False
    known: bool = False
    because: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the members that have something to say, for a results line."""
        table = asdict(self)
        del table["known"], table["because"]  # of expectations, not of what was seen
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in table.items()
            if value not in (None, "", (), False) or key == "requirements"
        }

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> Verdict:
        """Read what ``as_dict`` wrote."""
        lists = {"requirements", "notes", "commands"}
        members: dict[str, Any] = {
            key: tuple(value) if key in lists else value
            for key, value in table.items()
            if key != "type"
        }
        return cls(**members)

    @property
    def sentence(self) -> str:
        """The test's name as the sentence that it is."""
        name = self.test.rpartition("::")[2].partition("[")[0]
        return name.removeprefix("test_").replace("_", " ")

    @property
    def expected(self) -> str:
        """What a runtime that does as the spec says would have done."""
        return "nothing is left behind" if self.audit else self.sentence

    @property
    def got(self) -> str:
        """What came instead: pytest's account of ``assert result.failed``, cut to the result."""
        found = _RESULT.match(self.message)
        return found[1] if found else self.message


_ORDER: dict[Status, int] = {"error": 0, "fail": 1, "note": 2, "pass": 3, "skip": 4}


@dataclass
class Row:
    """All verdicts on one requirement by one runtime."""

    requirement: str
    verdicts: list[Verdict]

    @property
    def status(self) -> Status:
        """The worst of the verdicts; skipped only if every test was skipped."""
        return min((verdict.status for verdict in self.verdicts), key=_ORDER.__getitem__)

    @property
    def known(self) -> bool:
        """Whether each failure is listed in the expectations."""
        return all(v.known for v in self.verdicts if v.status in {"fail", "error"})


def rows(verdicts: Iterable[Verdict], registry: Registry) -> dict[str, Row]:
    """Return the verdicts by requirement, in the order of the registry."""
    found: dict[str, Row] = {}
    for verdict in verdicts:
        for identifier in verdict.requirements:
            found.setdefault(identifier, Row(identifier, [])).verdicts.append(verdict)
    return {identifier: found[identifier] for identifier in registry if identifier in found}


@dataclass
class Score:
    """Counts of requirements, with their denominators; never a percentage."""

    counts: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """Say the counts in one line."""
        known = f" ({self.counts['known']} known)" if self.counts["known"] else ""
        parts = [f"{self.counts['pass']} pass", f"{self.counts['fail']} fail{known}"]
        names = ("error", "note", "skip", "untested")
        words = ("error", "noted", "not applicable", "untested")
        parts += [
            f"{self.counts[name]} {word}"
            for name, word in zip(names, words, strict=True)
            if self.counts[name]
        ]
        return ", ".join(parts)


def scores(verdicts: Iterable[Verdict], registry: Registry, spec: str) -> dict[str, Score]:
    """Return a score per level; rows in force that have no verdict are counted as untested."""
    judged = rows(verdicts, registry)
    found: dict[str, Score] = {}
    for identifier, requirement in registry.items():
        if not requirement.in_force(spec):
            continue
        score = found.setdefault(requirement.level, Score())
        row = judged.get(identifier)
        score.counts[row.status if row else "untested"] += 1
        score.counts["known"] += bool(row and row.status == "fail" and row.known)
    return found
