"""The outcome of all trials as a page of Markdown."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from conformance.tests.mutants.trial import rows_with_tests

if TYPE_CHECKING:
    from collections.abc import Iterable

COLUMNS = ("killed", "noted", "not applicable", "survived", "broken")
PAGE = """\
# Mutants

{mutants} mutants of the reference runtime, each with one thing wrong, {caught} of which every row
that they break has noticed; what each does is in [mutants.json](mutants.json). Made by
`make mutants ARGS="--output results/mutants/mutants.json --table results/mutants/README.md"`.

| document | rows | mutants × rows | {heads} |
|---|---:|---:|{lines}
{table}

*Killed*: a test of the row failed. *Noted*: the spec leaves the verdict open, and the tests made
another note than on the runtime as it is. *Survived*, *broken*: a defect of the suite; the command
fails. The runtime as it is passes the same tests, which is a part of the command
({failing}).

## Not applicable on this host

{not_applicable}

## Rows that have tests and no mutant

Every MUST, MUST NOT and REQUIRED row that has tests has a mutant, or there is a reason:

{reasons}
"""


def page(outcome: dict[str, Any]) -> str:
    """Return the page for an outcome (results/schema/mutants.json)."""
    cells = [
        (str(rows_with_tests()[row]["document"]), row, found)
        for trial in outcome["trials"]
        for row, found in trial["rows"].items()
    ]
    documents = dict.fromkeys(str(row["document"]) for row in rows_with_tests().values())
    lines = [_line(name, [cell for cell in cells if cell[0] == name]) for name in documents]
    failing = outcome["fails_unchanged"]
    return PAGE.format(
        mutants=outcome["mutants"],
        caught="all" if outcome["caught"] == outcome["mutants"] else outcome["caught"],
        heads=" | ".join(COLUMNS),
        lines="---:|" * len(COLUMNS),
        table="\n".join([*filter(None, lines), _line("all", cells)]),
        failing=", ".join(failing) + " failed" if failing else "none failed",
        not_applicable=_by_reason(outcome["not_applicable"]),
        reasons=_by_reason(outcome["reasons"]),
    )


def _line(name: str, cells: list[tuple[str, str, str]]) -> str:
    if not cells:
        return ""
    counts = Counter(found for _, _, found in cells)
    numbers = [len({row for _, row, _ in cells}), len(cells), *(counts[each] for each in COLUMNS)]
    return f"| {name} | " + " | ".join(str(number or "-") for number in numbers) + " |"


def _by_reason(reasons: dict[str, str]) -> str:
    """Return a list of the reasons, each with its rows."""
    lines = [
        f"- {text}: {_listed(row for row, own in reasons.items() if own == text)}"
        for text in dict.fromkeys(reasons.values())
    ]
    return "\n".join(lines) or "None."


def _listed(rows: Iterable[str]) -> str:
    return ", ".join(f"`{row}`" for row in rows)
