"""Requirements against runtimes: what several results files say, as the table they all share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

from seatrial.conformance import cgroups, expectations
from seatrial.conformance.profiles import Profile
from seatrial.conformance.registry.requirement import DOCUMENTS, LEVELS
from seatrial.conformance.verdicts import rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from seatrial.conformance.expectations import Outcome
    from seatrial.conformance.registry import Registry
    from seatrial.conformance.registry.requirement import Level, Requirement
    from seatrial.conformance.results import Results
    from seatrial.conformance.verdicts import Verdict

Status = Literal[
    "pass", "fail", "known", "note", "skip", "error", "untested", "pending", "not-in-force"
]


@dataclass(frozen=True)
class Mark:
    """How a status is shown: a symbol and a word, so that neither has to do alone."""

    symbol: str
    word: str
    meaning: str


#: In the order in which they are counted.
MARKS: dict[Status, Mark] = {
    "pass": Mark("✓", "pass", "every test of it passed"),
    "fail": Mark("✗", "fail", "a test of it failed"),
    "known": Mark("⚑", "known fail", "it failed, and the failure is listed with a reason"),
    "error": Mark("‼", "error", "the harness itself failed"),
    "note": Mark("✎", "note", "the spec leaves the outcome open; what was seen is noted"),
    "skip": Mark("↷", "skip", "this host has not what the test needs"),
    "untested": Mark("○", "untested", "no test ran: for the reason that its detail gives"),
    "pending": Mark("…", "pending", "the tests of its chapter are still to come"),
    "not-in-force": Mark("–", "not in force", "the release that was judged by does not say it"),  # noqa: RUF001 - a dash
}


@dataclass(frozen=True)
class Column:
    """One runtime as one results file judged it; ``title`` tells it from all others."""

    title: str
    runtime: dict[str, Any]
    results: Results
    outcome: Outcome

    @property
    def spec(self) -> str:
        """The release of the spec that it was judged by."""
        return str(self.results.header["spec"])

    @property
    def complete(self) -> bool:
        """Whether the run came to its end."""
        return bool(self.results.footer["complete"])


@dataclass(frozen=True)
class Cell:
    """What one runtime made of one requirement; ``reason`` says why nothing was tested."""

    status: Status
    verdicts: tuple[Verdict, ...] = ()
    reason: str = ""

    @property
    def mark(self) -> Mark:
        """The symbol and the word."""
        return MARKS[self.status]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its failures, each once."""
        found = [verdict.kind for verdict in self.verdicts if verdict.status == "fail"]
        return tuple(dict.fromkeys(kind for kind in found if kind))

    @property
    def failed(self) -> bool:
        """Whether the runtime failed, known or not."""
        return self.status in {"fail", "known"}


@dataclass(frozen=True)
class Line:
    """One requirement with a cell per column."""

    requirement: Requirement
    url: str
    cells: tuple[Cell, ...]

    @property
    def differs(self) -> bool:
        """Whether two runtimes that were judged by it differ; a known failure is a failure."""
        judged = {"fail" if cell.failed else cell.status for cell in self.cells if cell.verdicts}
        return len(judged) > 1

    @property
    def failing(self) -> bool:
        """Whether any runtime fails, or the harness did."""
        return any(cell.failed or cell.status == "error" for cell in self.cells)

    @property
    def lonely(self) -> int | None:
        """The column in which alone it fails while another passes; None if there is none such."""
        failed = [number for number, cell in enumerate(self.cells) if cell.failed]
        passed = any(cell.status in {"pass", "note"} for cell in self.cells)
        return failed[0] if len(failed) == 1 and passed else None


@dataclass(frozen=True)
class Section:
    """The lines of one section of a document."""

    anchor: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Document:
    """The sections of one document, in its order."""

    name: str
    sections: tuple[Section, ...]

    @property
    def lines(self) -> list[Line]:
        """All lines."""
        return [line for section in self.sections for line in section.lines]


@dataclass(frozen=True)
class Matrix:
    """All requirements that are in force in one of the columns, against all columns."""

    columns: tuple[Column, ...]
    documents: tuple[Document, ...]

    @classmethod
    def of(cls, files: Sequence[Results], registry: Registry) -> Self:
        """Lay several results files side by side; raises ``UnknownRequirement``."""
        columns = columns_of(files, registry)
        judged = [rows(column.outcome.verdicts, registry) for column in columns]
        sections: dict[str, dict[str, list[Line]]] = {name: {} for name in DOCUMENTS}
        for name, requirement in registry.items():
            cells = []
            for column, found in zip(columns, judged, strict=True):
                row = found.get(name)
                verdicts = tuple(row.verdicts) if row else ()
                cells.append(_cell(requirement, column, verdicts, registry))
            if all(cell.status == "not-in-force" for cell in cells):
                continue
            url = requirement.url_at(
                *(c.spec for c, cell in zip(columns, cells, strict=True) if _holds(cell))
            )
            line = Line(requirement, url, tuple(cells))
            sections[requirement.document].setdefault(requirement.anchor, []).append(line)
        documents = tuple(
            Document(name, tuple(Section(anchor, tuple(lines)) for anchor, lines in found.items()))
            for name, found in sections.items()
            if found
        )
        return cls(columns, documents)

    @cached_property
    def lines(self) -> list[Line]:
        """All lines, in the order of the spec."""
        return [line for document in self.documents for line in document.lines]

    def counts(self, column: Column) -> dict[Level, Counter[Status]]:
        """Count one column's cells per level, of what is in force for it; ``total`` in each."""
        number = self.columns.index(column)
        found: dict[Level, Counter[Status]] = {level: Counter() for level in LEVELS}
        for line in self.lines:
            cell = line.cells[number]
            if _holds(cell):
                found[line.requirement.level][cell.status] += 1
        return {level: counter for level, counter in found.items() if counter}


def _holds(cell: Cell) -> bool:
    return cell.status != "not-in-force"


def columns_of(files: Iterable[Results], registry: Registry) -> tuple[Column, ...]:
    """Return a column for each runtime of each file; raises ``UnknownRequirement``."""
    found: list[Column] = []
    for results in files:
        for verdict in results.verdicts:
            for name in verdict.requirements:
                registry.find(name)
        environment = results.header["environment"]
        kernel = str(environment.get("kernel", ""))
        mode = str(environment.get("cgroups", {}).get("mode", ""))
        where = f" in {environment['guest']}" if "guest" in environment else ""
        for runtime in results.header["runtimes"]:
            own = [verdict for verdict in results.verdicts if verdict.runtime == runtime["name"]]
            known = expectations.for_runtime(runtime["name"], registry)
            seen = cgroups.seen(str(runtime.get("view", "host")), mode)
            outcome = expectations.compare(own, known, runtime["version"], kernel, seen)
            if Profile(results.header.get("profile", "default")).is_partial:
                outcome = replace(outcome, unexpected_passes=[])
            title = f"{runtime['name']} {runtime['version']}{where}"
            found.append(Column(title, runtime, results, outcome))
    return tuple(_told_apart(found))


def _told_apart(columns: list[Column]) -> Iterable[Column]:
    """Number the columns of one title: a runtime in two views, on two hosts without a name."""
    seen = Counter(column.title for column in columns)
    numbers: Counter[str] = Counter()
    for column in columns:
        title = column.title
        numbers[title] += 1
        if seen[title] > 1:
            title = f"{title} ({numbers[title]})"
        yield Column(title, column.runtime, column.results, column.outcome)


def _cell(
    requirement: Requirement, column: Column, verdicts: tuple[Verdict, ...], registry: Registry
) -> Cell:
    if verdicts:
        return Cell(_worst(verdicts), verdicts)
    if not requirement.in_force(column.spec):
        return Cell("not-in-force", reason=f"not in force in runtime-spec {column.spec}")
    if requirement.untested is not None:
        return Cell("untested", reason=requirement.untested)
    if registry.is_pending(requirement):
        return Cell("pending", reason="the tests of this chapter are still to come")
    return Cell("untested", reason="this run had no test of it")


def _worst(verdicts: tuple[Verdict, ...]) -> Status:
    statuses = {verdict.status for verdict in verdicts}
    if "error" in statuses:
        return "error"
    if "fail" in statuses:
        known = all(verdict.known for verdict in verdicts if verdict.status == "fail")
        return "known" if known else "fail"
    for status in ("note", "pass"):
        if status in statuses:
            return status
    return "skip"
