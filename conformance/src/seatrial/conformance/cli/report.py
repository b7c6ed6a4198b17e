"""``seatrial report``: show results files, or turn them into another format."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.conformance import config as configs
from seatrial.conformance import terminal
from seatrial.conformance.errors import UsageError
from seatrial.conformance.formats import badge, bug, junit, markdown, mutations, page, tap
from seatrial.conformance.formats.matrix import Matrix, columns_of
from seatrial.conformance.registry import Registry, requirements_directory
from seatrial.conformance.results import Results

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from seatrial.conformance.formats.matrix import Column


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "report",
        help="show results, or turn them into a page, Markdown, JUnit, TAP, a badge, a bug report",
        description="Show results files, or turn them into another format.",
    )
    formats = parser.add_subparsers(metavar="FORMAT", required=True)
    _add(formats, "text", _text, "the tree, the failures and the scores, as after a run")
    opened = _add(
        formats, "html", _html, "one page that opens from disk: requirements against runtimes"
    )
    opened.add_argument(
        "--mutants", type=Path, metavar="FILE", help="show their outcome, of `make mutants`"
    )
    _add(formats, "markdown", _markdown, "counts, and where runtimes fail or differ")
    _add(formats, "junit", _junit, "JUnit XML, for CI systems")
    _add(formats, "tap", _tap, "the Test Anything Protocol, version 14")
    _add(formats, "json", _json, "a results file as one JSON document")
    image = _add(formats, "badge", _badge, "one runtime's counts as an SVG image")
    image.add_argument(
        "--endpoint", action="store_true", help="as JSON for shields' endpoint badge instead"
    )
    image.add_argument("--runtime", metavar="NAME", help="which of several runtimes")
    failure = _add(formats, "bug", _bug, "one failure as a folder: issue, script, bundle, evidence")
    failure.add_argument(
        "id", metavar="ID", help="of a requirement or a test, or a part of the latter's"
    )
    config = _add(formats, "config", _config, "the config.json of a failure, and nothing else")
    config.add_argument("test", metavar="TEST", help="what the failed test's id contains")


def _add(
    formats: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    make: Callable[[argparse.Namespace], bytes | None],
    summary: str,
) -> argparse.ArgumentParser:
    parser = formats.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
    )
    nargs = None if name in {"json", "config", "bug"} else "+"
    parser.add_argument(
        "results", type=Path, metavar="RESULTS", nargs=nargs, help="a file of --results"
    )
    if name != "text":
        parser.add_argument(
            "-o",
            "--output",
            type=Path,
            metavar="DIR" if name == "bug" else "FILE",
            help="the folder to make" if name == "bug" else "write there instead of to stdout",
        )
    parser.set_defaults(run=lambda arguments: _run(make, arguments))
    return parser


def _run(make: Callable[[argparse.Namespace], bytes | None], arguments: argparse.Namespace) -> int:
    content = make(arguments)
    if content is None:
        return 0
    output: Path | None = arguments.output
    if output is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        return 0
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(content)
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}") from None
    return 0


def _load(arguments: argparse.Namespace) -> tuple[Sequence[Results], Registry]:
    """Read the files and check that the registry has all that they name."""
    registry = Registry.load(requirements_directory())
    paths = arguments.results if isinstance(arguments.results, list) else [arguments.results]
    files = [Results.read(path) for path in paths]
    for results in files:
        for verdict in results.verdicts:
            for identifier in verdict.requirements:
                registry.find(identifier)
    return files, registry


def _matrix(arguments: argparse.Namespace) -> Matrix:
    return Matrix.of(*_load(arguments))


def _text(arguments: argparse.Namespace) -> None:
    files, registry = _load(arguments)
    for results in files:
        judged = [
            terminal.Judged(column.runtime, column.outcome, complete=column.complete)
            for column in columns_of([results], registry)
        ]
        terminal.show(terminal.Plain(), judged, registry, results.header["spec"])


def _html(arguments: argparse.Namespace) -> bytes:
    found = mutations.read(arguments.mutants) if arguments.mutants else None
    return page.document(_matrix(arguments), found).encode()


def _markdown(arguments: argparse.Namespace) -> bytes:
    return markdown.document(_matrix(arguments)).encode()


def _junit(arguments: argparse.Namespace) -> bytes:
    return junit.document(*_load(arguments)).encode() + b"\n"


def _tap(arguments: argparse.Namespace) -> bytes:
    return tap.document(columns_of(*_load(arguments))).encode()


def _json(arguments: argparse.Namespace) -> bytes:
    ((results,), _) = _load(arguments)
    lines = [verdict.as_dict() for verdict in results.verdicts]
    return json.dumps({**results.header, "verdicts": lines}, indent=2).encode() + b"\n"


def _badge(arguments: argparse.Namespace) -> bytes:
    matrix = _matrix(arguments)
    column = _one(matrix.columns, arguments.runtime)
    make = badge.endpoint if arguments.endpoint else badge.svg
    return make(matrix, column).encode()


def _one(columns: Sequence[Column], name: str | None) -> Column:
    found = [c for c in columns if name in {None, c.runtime["name"], c.title}]
    if len(found) == 1:
        return found[0]
    titles = ", ".join(column.title for column in columns)
    what = "no runtime" if not found else "several runtimes"
    of = f" named {name!r}" if name else ""
    raise UsageError(f"the results are of {what}{of}", hint=f"--runtime takes one of: {titles}")


def _bug(arguments: argparse.Namespace) -> None:
    files, registry = _load(arguments)
    failure = bug.find(columns_of(files, registry), arguments.id)
    folder = arguments.output or bug.default_folder(failure)
    bug.write(failure, registry, folder)
    print(folder)


def _config(arguments: argparse.Namespace) -> bytes:
    ((results,), _) = _load(arguments)
    for verdict in results.verdicts:
        if arguments.test in verdict.test and verdict.config is not None:
            if isinstance(verdict.config, str):
                return verdict.config.encode() + b"\n"
            return configs.dumps(verdict.config) + b"\n"
    raise UsageError(f"no failure in the results has a test id that contains {arguments.test!r}")
