"""``seatrial bench report``: tables and plots of a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.perf import page
from seatrial.perf.cli.selection import Selection
from seatrial.perf.errors import UsageError
from seatrial.perf.report import Report
from seatrial.perf.summary import REFERENCES, Summary

if TYPE_CHECKING:
    import argparse

_SUFFIXES = {".html": "html", ".htm": "html", ".md": "markdown", ".txt": "text"}


def add_parser(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "report",
        help="show a run: tables, and plots as one page and SVG files",
        description="Show a run. Without -o as text; with it as text, Markdown or one page with"
        " plots, by the file's name; with a folder all of them, and every plot as an SVG file.",
    )
    parser.add_argument(
        "results",
        metavar="DIR",
        type=Path,
        nargs="?",
        help="the results (default: the newest folder in results/perf)",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="write there: FILE.html, FILE.md or FILE.txt; a folder (with a / at its end, if it is"
        " not there yet) gets report.html, report.md and plots/*.svg",
    )
    parser.add_argument(
        "--format", choices=("text", "markdown", "html"), help="in spite of its name"
    )
    parser.add_argument(
        "--against",
        action="append",
        metavar="CONTENDER",
        help=f"give ratios to this one; repeatable (default: {', '.join(REFERENCES)}, if there)",
    )
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Show it."""
    results = Selection(arguments.results).folder(None)
    references = tuple(results.contender(name).name for name in arguments.against or ())
    report = Report(
        Summary(
            results, references or tuple(name for name in REFERENCES if name in results.contenders)
        )
    )
    output: str | None = arguments.output
    try:
        if output is None:
            sys.stdout.write(_document(report, arguments.format or "text"))
        elif output.endswith("/") or Path(output).is_dir():
            _folder(report, Path(output))
        else:
            path = Path(output)
            kind = arguments.format or _SUFFIXES.get(path.suffix.lower())
            if kind is None:
                raise UsageError(
                    f"{output} could be anything",
                    hint="name it .html, .md or .txt, or give --format",
                )
            _write(path, _document(report, kind))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"cannot write {error.filename or output}: {error.strerror}") from None
    return 0


def _document(report: Report, kind: str) -> str:
    match kind:
        case "html":
            return page.document(report)
        case "markdown":
            return report.markdown()
        case _:
            return report.text()


def _folder(report: Report, folder: Path) -> None:
    _write(folder / "report.html", page.document(report))
    _write(folder / "report.md", report.markdown())
    for name, content in report.drawings().items():
        _write(folder / "plots" / name, content)


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
