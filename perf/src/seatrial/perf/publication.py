"""A run made ready for others: without what only its machine knows, small, with its report."""

from __future__ import annotations

import contextlib
import gzip
import json
import lzma
import os
import re
from typing import TYPE_CHECKING, Any

from seatrial.perf import page, samples, targets
from seatrial.perf.contenders import AGAIN, FLOOR
from seatrial.perf.errors import RunError, UsageError
from seatrial.perf.metrics import PHASES, Metric
from seatrial.perf.quantities import between, quantity
from seatrial.perf.results_folder import ENVIRONMENT, SKIPPED, read
from seatrial.perf.statistics import block_median, median_interval
from seatrial.perf.tables import Row, Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from seatrial.perf.report import Report
    from seatrial.perf.results import Results
    from seatrial.perf.summary import Summary

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
#: What a run needs to go on, and nobody else.
_OWN = frozenset({"host", "boot_id", "kernel_build"})
_PATH = re.compile(r"(?<![\w.])/(?:[\w.+@#-]+/)*([\w.+@#-]+)")


def stripped(value: Any) -> Any:  # noqa: ANN401 - what JSON holds
    """Return it with every path of the machine cut down to its last part."""
    if isinstance(value, dict):
        return {name: stripped(each) for name, each in value.items() if name not in _OWN}
    if isinstance(value, list):
        return [stripped(each) for each in value]
    if isinstance(value, str):
        return _PATH.sub(r"\1", re.sub(r"\bbuild/bench/bin/", "", value))
    return value


def write(results: Results, folder: Path) -> None:
    """Write a run's files into a folder that is not there yet.

    Raises ``UsageError`` where it is, ``RunError`` where it cannot be written.
    """
    with _writing(folder):
        folder.mkdir(parents=True)
        for name, document in (
            (ENVIRONMENT, stripped(results.environment)),
            (SKIPPED, stripped(read(results.path, SKIPPED))),
        ):
            _write(folder / name, json.dumps(document, indent=1, ensure_ascii=False).encode())
        for name in results.contenders:
            suite = json.loads((results.path / f"{name}.json").read_text("utf-8"))
            suite["metadata"].pop("hostname", None)
            content = json.dumps(suite, separators=(",", ":")).encode()
            _write(folder / f"{name}.json.gz", gzip.compress(content, mtime=0))
        lines = [
            json.dumps(_sample(line), separators=(",", ":")) + "\n"
            for line in samples.read(results.path)
        ]
        _write(
            folder / samples.COMPRESSED,
            lzma.compress("".join(lines).encode(), preset=9 | lzma.PRESET_EXTREME),
        )


def write_report(report: Report, folder: Path) -> None:
    """Write the report of the folder into it; raises ``RunError``."""
    with _writing(folder):
        _write(folder / "report.html", page.document(report).encode())
        _write(folder / "report.md", report.markdown().encode())
        for name, drawing in report.drawings().items():
            _write(folder / "plots" / name, drawing.encode())


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise UsageError(
            f"{folder} is there already", hint="another folder, or remove it"
        ) from None
    except OSError as error:
        raise RunError(f"cannot write {error.filename or folder}: {error.strerror}") from None


def _sample(line: samples.Line) -> samples.Line:
    """Return a line with the texts of its failure, if it is one, without paths."""
    return stripped(line) if "error" in line else line


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def section(report: Report, folder: str) -> str:
    """Return what README says of a run whose files are in ``folder``."""
    summary = report.summary
    environment = summary.results.environment
    first = (
        f"On {environment.get('cpu_model')}, {environment.get('cpu_count')} processors"
        f" ({environment.get('system')}, kernel {environment.get('kernel')}, cgroups"
        f" {environment.get('cgroup_mode')}), {str(environment.get('started'))[:10]}."
        f" {_apart(summary)}{_settings(environment)} The whole run, every sample of it, with plots:"
        f" [{folder}]({folder})."
    )
    parts = [first]
    parts += [f"**{word}**: {why}" for word, why in summary.verdicts if word.startswith("not ")]
    tables = (
        *(_first(summary), _engines(summary), report.targets, _phases(summary), _ladder(summary)),
    )
    for table in tables:
        if table.rows:
            caption = f"{table.title[:1].upper()}{table.title[1:]}: {table.caption}."
            parts += [caption, table.markdown()]
    return "\n\n".join(parts)


def _apart(summary: Summary) -> str:
    ratios = [ratio.value for ratio in summary.pairs.values()]
    if not ratios:
        return "There is no A/A pair in it."
    most = max(ratios, key=lambda value: max(value, 1 / value))
    return f"The two of the A/A pair are {(max(most, 1 / most) - 1):.1%} apart at most."


def _first(summary: Summary) -> Table:
    """Return the table of the plain container, each command's whole run."""
    metric = Metric("lifecycle", "plain", "run-wall")
    table = summary.suite("lifecycle") if "lifecycle" in summary.headlines else None
    rows = [row for row in table.rows if row.heads[0] == metric.short] if table else []
    return Table(
        "run of one container",
        table.caption if table else "",
        ("contender",),
        table.columns if table else (),
        tuple(
            Row(row.heads[1:], row.cells, row.note)
            for row in rows
            if not row.heads[1].endswith(AGAIN)
        ),
    )


def _settings(environment: dict[str, Any]) -> str:
    """Return how the reference runtime was told to keep plans, if it was."""
    about = environment.get("contenders", {}).get(targets.REFERENCE, {})
    variables = " ".join(about.get("environment", ()))
    return f" {targets.REFERENCE} ran with {variables}." if variables else ""


def _engines(summary: Summary) -> Table:
    """Return the table of the engines."""
    table = summary.suite("engine") if "engine" in summary.headlines else None
    rows = [row for row in table.rows if row.heads[1] != FLOOR] if table else []
    return Table(
        "run of one container by an engine, without a network",
        "the same; CPU is that of all that works for it",
        ("contender",),
        table.columns if table else (),
        tuple(
            Row(row.heads[1:], row.cells, row.note)
            for row in rows
            if not row.heads[1].endswith(AGAIN)
        ),
    )


def _phases(summary: Summary) -> Table:
    """Return where the time of create, start and delete goes: the profile behind the targets."""
    names = PHASES["whole"]
    rows = []
    for name, contender in summary.results.contenders.items():
        found = [Metric("lifecycle", "plain", phase) for phase in names]
        if all(metric in contender.series for metric in found) and not name.endswith(AGAIN):
            cells = tuple(summary.median(contender, metric) for metric in found)
            rows.append(Row((name,), cells))
    return Table(
        "where the time of create, start and delete goes",
        "medians of the plain container",
        ("contender",),
        tuple(names.values()),
        tuple(rows),
    )


def _ladder(summary: Summary) -> Table:
    """Return what each step of the kernel's work costs: the profile behind the floor."""
    floor = summary.results.contenders.get(FLOOR)
    series = floor.series if floor else {}
    found = [
        (metric, each.blocks) for metric, each in series.items()
        if metric.suite == "floor" and metric.name == "run-wall"
    ]  # fmt: skip
    rows: list[Row] = []
    before = 0.0
    for metric, blocks in sorted(found, key=lambda each: each[0].case):
        whole = block_median(blocks)
        more = f"{(whole - before) * 1e6:+.0f} µs" if rows else ""
        cells = (quantity(whole, "second"), between(median_interval(blocks), "second"), more)
        rows.append(Row((metric.case.partition("-")[2],), cells))
        before = whole
    return Table(
        "where the floor's time goes",
        "the floor with one step more from line to line, medians",
        ("up to",),
        ("whole", "95 %", "more than before"),
        tuple(rows),
    )


def put(readme: Path, text: str) -> None:
    """Put the section between its marks in README; raises ``UsageError`` where they are not."""
    try:
        content = readme.read_text("utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {readme}: {error.strerror}") from None
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(f"{readme} has no place for it", hint=f"lines {BEGIN} and {END}")
    fresh = readme.with_name(f".{readme.name}.{os.getpid()}")
    try:
        fresh.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", "utf-8")
        fresh.replace(readme)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise RunError(f"cannot write {readme}: {error.strerror}") from None
