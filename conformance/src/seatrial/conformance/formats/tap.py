"""TAP 14 of results: a line per test; a known failure is TODO, a skip carries its evidence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from seatrial.conformance.formats.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from seatrial.conformance.formats.matrix import Column
    from seatrial.conformance.verdicts import Verdict


def document(columns: Sequence[Column]) -> str:
    """Return the text, which ends with a newline."""
    lines = ["TAP version 14"]
    cases = [(column, verdict) for column in columns for verdict in column.outcome.verdicts]
    lines.append(f"1..{len(cases)}" if cases else "1..0 # SKIP no test ran")
    for number, (column, verdict) in enumerate(cases, 1):
        lines += _case(number, column, verdict)
    if not all(column.complete for column in columns):
        lines.append("Bail out! a run was interrupted")
    return "\n".join(lines) + "\n"


def _case(number: int, column: Column, verdict: Verdict) -> Iterable[str]:
    word = "not ok" if verdict.status in {"fail", "error"} else "ok"
    name = verdict.test + (" (audit)" if verdict.audit else "")
    yield f"{word} {number} - {_line(f'{column.title}: {name}')}{_directive(verdict)}"
    if verdict.status not in {"fail", "error", "note"}:
        return
    members = {
        "requirements": list(verdict.requirements),
        "status": verdict.kind or verdict.status,
        "expected": verdict.expected,
        "got": verdict.got,
        "notes": list(verdict.notes),
        "did": list(verdict.commands),
        "again": verdict.reproduce,
    }
    yield "  ---"
    for key, value in members.items():
        if value:
            yield f"  {key}: {json.dumps(value)}"  # JSON is YAML
    yield "  ..."


def _directive(verdict: Verdict) -> str:
    if verdict.status == "skip":
        return f" # SKIP {_line(verdict.evidence)}"
    if verdict.known:
        return f" # TODO known: {_line(' '.join(verdict.because))}"
    return ""


def _line(text: str) -> str:
    return visible(" ".join(text.split())).replace("\\", "\\\\").replace("#", "\\#")
