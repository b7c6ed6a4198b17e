"""Markdown: the counts, the requirements that a runtime fails, and in what the runtimes differ."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from seatrial.conformance.formats.matrix import MARKS
from seatrial.conformance.formats.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.conformance.formats.matrix import Cell, Line, Matrix
    from seatrial.conformance.verdicts import Verdict

# All that CommonMark or GitHub's tables, mentions and HTML could take for more than text.
_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&@$]|^[-+])")
_GOT_CHARACTERS = 300


def document(matrix: Matrix) -> str:
    """Return the text, which ends with a newline."""
    parts = ["# Sea trial", *_runtimes(matrix), *_matrix(matrix), *_failures(matrix)]
    return "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """Return ``text`` so that Markdown shows it as it is, in one line."""
    return _SPECIAL.sub(r"\\\1", visible(" ".join(text.split())))


def code(text: str) -> str:
    """Return a code span of one line; the fence is longer than any run of backticks inside."""
    text = visible(" ".join(text.split()))
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest else ""
    return f"{fence}{space}{text}{space}{fence}"


def block(text: str, language: str = "") -> str:
    """Return a fenced code block; the fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{visible(text)}\n{fence}"


def table(head: Iterable[str], body: Iterable[Iterable[str]]) -> str:
    """Return a table of cells that are Markdown already, without a bare ``|``."""
    head = list(head)
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _runtimes(matrix: Matrix) -> Iterable[str]:
    for column in matrix.columns:
        header = column.results.header
        kernel = header["environment"].get("kernel", "an unknown kernel")
        yield f"## {plain(column.title)}"
        yield (
            f"{code(str(column.runtime['path']))} (sha256 {code(str(column.runtime['sha256']))}),"
            f" judged by runtime-spec {column.spec} on {plain(str(kernel))},"
            f" cgroup view {column.runtime['view']}, {plain(str(header['started']))}."
            + ("" if column.complete else " **The run was interrupted.**")
        )
        counts = matrix.counts(column)
        used = [status for status in MARKS if any(each[status] for each in counts.values())]
        yield table(
            ["level", *(f"{MARKS[status].symbol} {MARKS[status].word}" for status in used), "of"],
            [
                [level, *(str(each[status]) for status in used), str(each.total())]
                for level, each in counts.items()
            ],
        )


def _matrix(matrix: Matrix) -> Iterable[str]:
    shown = [line for line in matrix.lines if line.failing or line.differs]
    yield "## Where a runtime fails, or they differ"
    if not shown:
        yield "Nowhere."
        return
    yield table(
        ["requirement", "level", *(plain(column.title) for column in matrix.columns)],
        [
            [
                f"[{code(line.requirement.id)}]({line.url})",
                line.requirement.level,
                *(_word(cell) for cell in line.cells),
            ]
            for line in shown
        ],
    )


def _word(cell: Cell) -> str:
    kinds = [kind for kind in cell.kinds if kind != "wrong"]
    return " ".join([cell.mark.symbol, cell.mark.word, *(f"({kind})" for kind in kinds)])


def _failures(matrix: Matrix) -> Iterable[str]:
    for number, column in enumerate(matrix.columns):
        failing = [line for line in matrix.lines if line.cells[number].failed]
        if not failing:
            continue
        yield f"## Failures of {plain(column.title)}"
        for line in failing:
            yield _failure(line, line.cells[number])


def _failure(line: Line, cell: Cell) -> str:
    requirement = line.requirement
    link = f"[{plain(requirement.place)}]({line.url})"
    parts = [
        f"### {plain(requirement.id)}",
        f"{requirement.level}, {link}: {plain(requirement.paraphrase)}",
    ]
    items = [_verdict(verdict) for verdict in cell.verdicts if verdict.status == "fail"]
    return "\n\n".join([*parts, "\n".join(items)])


def _verdict(verdict: Verdict) -> str:
    got = verdict.got.splitlines() or [""]
    lines = [
        f"- expected: {plain(verdict.expected)}",
        f"  - got ({verdict.kind}): {code(got[0][:_GOT_CHARACTERS])}",
    ]
    if verdict.commands:
        lines.append(f"  - did: {code(verdict.commands[-1])}")
    if verdict.reproduce:
        lines.append(f"  - again: {code(verdict.reproduce)}")
    if verdict.because:
        known = (each if each.startswith("http") else plain(each) for each in verdict.because)
        lines.append(f"  - known: {' '.join(known)}")
    return "\n".join(lines)
