"""What the user is told of a comparison: text in a stable order, or one JSON document."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seatrial.conformance.comparison.differences import ABSENT, OUTCOME, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from seatrial.conformance.comparison.differences import Difference
    from seatrial.conformance.comparison.search import Finding, Search
    from seatrial.conformance.registry import Registry

#: The version of the JSON document.
FORMAT = 1
_WIDTH = 100
_VALUE_CHARACTERS = 160
_ELEMENTS = 8
_SHOWN = 5
NOT_KNOWN = "no clause is known that decides this"


@dataclass(frozen=True)
class Comparison:
    """A search that has ended, with all that is needed to tell of it."""

    search: Search
    runtimes: Mapping[str, Mapping[str, Any]]
    config_version: str
    registry: Registry
    release: str
    complete: bool = True

    def findings(self) -> list[Finding]:
        """Return the findings in the order of the spec, those that it leaves open at the end."""
        order = {name: number for number, name in enumerate(self.registry)}

        def key(finding: Finding) -> tuple[object, ...]:
            first = finding.differences[0]
            clause = finding.clause
            names = clause.requirements if clause else ()
            row = clause.number if clause else 0
            places = [order[name] for name in names] or [len(order), row]
            return (not names, places, first.place, first.partition, text(finding.config))

        return sorted(self.search.findings, key=key)


def lines(comparison: Comparison) -> Iterator[str]:
    """Yield the text, line by line."""
    for runtime in comparison.runtimes.values():
        yield f"{runtime['name']} {runtime['version']} ({runtime['path']}), view {runtime['view']}"
    yield f"configs say {comparison.config_version}"
    heading: list[str] = []
    for number, finding in enumerate(comparison.findings(), 1):
        decided = list(_clause(comparison, finding))
        if decided != heading:
            yield ""
            yield from decided
            heading = decided
        yield from _finding(comparison, number, finding)
    yield ""
    yield from _wrapped("", _summary(comparison))
    for place in dict.fromkeys(comparison.search.unsteady):
        yield from _wrapped("", f"not looked into, as it did not come again: {place}")


def _summary(comparison: Comparison) -> str:
    search = comparison.search
    found = len(search.findings)
    counted = f"{found} difference{'' if found == 1 else 's'}" if found else "no difference"
    ended = "" if comparison.complete else ", interrupted"
    return f"{counted} in {search.drawn} configs ({search.ran} runs on each runtime{ended})"


def _clause(comparison: Comparison, finding: Finding) -> Iterator[str]:
    if finding.clause is None or finding.clause.open:
        why = finding.clause.open if finding.clause else NOT_KNOWN
        yield from _wrapped("", f"the spec leaves this open: {why}" if finding.clause else str(why))
        return
    for name in finding.clause.requirements:
        requirement = comparison.registry[name]
        yield f"{name}   {requirement.level}"
        yield from _wrapped("  ", requirement.paraphrase)
        yield f"  {requirement.url_at(comparison.release)}"


def _finding(comparison: Comparison, number: int, finding: Finding) -> Iterator[str]:
    members: dict[str, list[Difference]] = {}
    for difference in finding.differences:
        members.setdefault(difference.path, []).append(difference)
    for count, found in enumerate(members.values()):
        if count == _SHOWN:
            rest = len(members) - _SHOWN
            yield f"      and {rest} more member{'' if rest == 1 else 's'}"
            break
        yield f"  {f'{number}.' if count == 0 else '':<4}{_title(found[0])}"
        values = found[0].values
        width = max(len(", ".join(names)) for names, _ in values)
        for names, value in values:
            yield from _wrapped(f"        {', '.join(names):<{width}}  ", _value(value))
    edits = list(_edits("", comparison.search.base, finding.config))
    for count, edit in enumerate(edits or ["the minimal config"]):
        label = "config" if count == 0 else ""
        yield from _wrapped(f"      {label:<6}  ", edit)
    if not finding.whole:
        yield "              (it may not be the smallest: the tries were used up)"


def _edits(path: str, base: Any, config: Any) -> Iterator[str]:  # noqa: ANN401 - what JSON holds
    """Yield what makes the minimal config this one: ``process.cwd = "sea"``, ``no mounts``."""
    if base == config and type(base) is type(config):
        return
    if isinstance(base, dict) and isinstance(config, dict):
        for name in [*base, *(name for name in config if name not in base)]:
            inner = f"{path}.{name}" if path else name
            if name not in config:
                yield f"no {inner}"
            elif name not in base:
                yield f"{inner} = {text(config[name])}"
            else:
                yield from _edits(inner, base[name], config[name])
    elif isinstance(base, list) and isinstance(config, list) and len(base) <= len(config):
        for number, (old, new) in enumerate(zip(base, config, strict=False)):
            yield from _edits(f"{path}[{number}]", old, new)
        for added in config[len(base) :]:
            yield f"{path}[] = {text(added)}"
    else:
        yield f"{path} = {text(config)}"


def _title(difference: Difference) -> str:
    return "how far the container comes" if difference.path == OUTCOME else difference.path


def _value(value: object) -> str:
    if isinstance(value, list) and len(value) > _ELEMENTS:
        return f"{text(value[:_ELEMENTS])[:-1]}, … ({len(value)} in all)]"
    shown = text(value)
    return shown if len(shown) <= _VALUE_CHARACTERS else shown[:_VALUE_CHARACTERS] + "…"


def _wrapped(prefix: str, line: str) -> Iterator[str]:
    pieces = textwrap.wrap(
        line, _WIDTH - len(prefix), break_long_words=False, break_on_hyphens=False
    )
    for number, piece in enumerate(pieces or [""]):
        yield (prefix if number == 0 else " " * len(prefix)) + piece


def document(comparison: Comparison) -> dict[str, Any]:
    """Return what ``--format json`` prints; its schema is results/schema/comparison.json."""
    search = comparison.search
    return {
        "seatrial_comparison": FORMAT,
        "spec": comparison.release,
        "config_version": comparison.config_version,
        "complete": comparison.complete,
        "runtimes": [dict(each) for each in comparison.runtimes.values()],
        "examples": search.effort.examples,
        "seed": search.effort.seed,
        "drawn": search.drawn,
        "runs": search.ran,
        "differences": [as_dict(comparison, finding) for finding in comparison.findings()],
        "unsteady": list(dict.fromkeys(search.unsteady)),
    }


def as_dict(comparison: Comparison, finding: Finding) -> dict[str, Any]:
    """Return one finding in the shape that JSON has."""
    clause = finding.clause
    names: Sequence[str] = clause.requirements if clause else ()
    rows = [comparison.registry[name] for name in names]
    return {
        "members": [
            {
                "member": difference.path,
                "element": difference.element,
                "values": [
                    {
                        "runtimes": list(runtimes),
                        **({} if value is ABSENT else {"value": value}),
                    }
                    for runtimes, value in difference.values
                ],
            }
            for difference in finding.differences
        ],
        "requirements": [
            {
                "id": row.id,
                "level": row.level,
                "paraphrase": row.paraphrase,
                "url": row.url_at(comparison.release),
            }
            for row in rows
        ],
        "open": clause.open if clause else None,
        "smallest": finding.whole,
        "config": finding.config,
    }
