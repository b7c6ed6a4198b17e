"""``seatrial requirements``: the registry on the terminal, and what covers it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from typing import TYPE_CHECKING

from seatrial.conformance.registry import (
    STATUSES,
    Coverage,
    Registry,
    check,
    coverage,
    requirements_directory,
)
from seatrial.conformance.registry.requirement import (
    BINDS,
    DOCUMENTS,
    LEVELS,
    RegistryError,
    Requirement,
    meaning_of_need,
    release_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

WIDTH = 100
COMMANDS = ("list", "show", "coverage", "check")
#: What may be said for a command: coverage is asked for as a flag, too.
SPELLINGS = {"--coverage": "coverage"}
#: The levels of which coverage says for each row that has no test why.
_ANSWERED = {
    "MUST, MUST-NOT and REQUIRED": {"MUST", "MUST-NOT", "REQUIRED"},
    "SHOULD and SHOULD-NOT": {"SHOULD", "SHOULD-NOT"},
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``requirements`` to the commands of ``seatrial``."""
    # ``list`` may be left out, which argparse's subcommands cannot express: this parser only
    # gathers the words (no prefix character, so none of them is an option), and run() parses them.
    parser = subparsers.add_parser(
        "requirements",
        help="list the requirements of the runtime-spec and what covers them",
        prefix_chars="\0",
        add_help=False,
    )
    parser.add_argument("words", nargs=argparse.REMAINDER)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run ``seatrial requirements`` and return the exit status.

    Raises RegistryError for a broken registry and UnknownRequirement for an id that is not in it;
    leaves by SystemExit (2) for a command line that it does not understand.
    """
    words: list[str] = list(arguments.words)
    words[:1] = [SPELLINGS.get(word, word) for word in words[:1]]
    if not words or words[0] not in (*COMMANDS, "-h", "--help"):
        words.insert(0, "list")
    options = _parser().parse_args(words)
    command: Callable[[argparse.Namespace, Registry], int] = options.command
    return command(options, Registry.load(requirements_directory()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seatrial requirements",
        description="The normative statements of the OCI runtime-spec, and what covers them.",
        usage="%(prog)s [-h] [COMMAND] ...",
        epilog="Without a command: list.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", prog=parser.prog)

    lister = commands.add_parser(
        "list",
        help="list requirements",
        description="List requirements. Options that can be given several words (A,B or repeated) "
        "select any of them; different options must all hold.",
    )
    lister.add_argument(
        "prefix", nargs="*", metavar="PREFIX", help="an id, or its first words (runtime.kill)"
    )
    _add_words(lister, "--level", LEVELS)
    _add_words(lister, "--document", DOCUMENTS)
    _add_words(lister, "--status", STATUSES, "collects the suite's tests")
    _add_words(lister, "--binds", BINDS)
    lister.add_argument(
        "--needs",
        metavar="NEED",
        type=_needs,
        action="extend",
        default=[],
        help="what a test of it needs: root, userns, cgroup-v2, controller:pids, ...",
    )
    lister.add_argument(
        "--in-force", metavar="VERSION", type=_version, help="standing in this version of the spec"
    )
    lister.set_defaults(command=_list)

    shower = commands.add_parser(
        "show", help="show everything on one requirement", description="Show one requirement."
    )
    shower.add_argument("id", metavar="ID")
    shower.set_defaults(command=_show)

    coverer = commands.add_parser(
        "coverage",
        help="count what is tested, untested, pending, missing",
        description="Count the requirements per document and level: tested; untested, for a reason "
        "that the registry states; pending, in a chapter still to come; missing, neither. Then "
        "say for each MUST, MUST-NOT, REQUIRED, SHOULD and SHOULD-NOT that is not tested why. "
        "Also spelt: seatrial requirements --coverage.",
    )
    coverer.set_defaults(command=_coverage)

    checker = commands.add_parser(
        "check",
        help="check that every requirement has a test or a reason",
        description="Check that every requirement outside the chapters still to come has a test "
        "or a reason, and every test a requirement. Exit status 1 if not.",
    )
    checker.set_defaults(command=_check)

    for subparser in (lister, shower, coverer):
        subparser.add_argument("--format", choices=("text", "json"), default="text")
    return parser


def _add_words(
    parser: argparse.ArgumentParser, name: str, known: Sequence[str], remark: str = ""
) -> None:
    folded = {word.casefold(): word for word in known}

    def words(text: str) -> list[str]:
        for word in text.split(","):
            if word.casefold() not in folded:
                message = f"unknown word {word!r} (known: {', '.join(known)})"
                raise argparse.ArgumentTypeError(message)
        return [folded[word.casefold()] for word in text.split(",")]

    help_text = ", ".join(known) + (f" ({remark})" if remark else "")
    metavar = name.removeprefix("--").upper()
    parser.add_argument(
        name, metavar=metavar, type=words, action="extend", default=[], help=help_text
    )


def _needs(text: str) -> list[str]:
    for word in text.split(","):
        if meaning_of_need(word) is None:
            raise argparse.ArgumentTypeError(f"unknown need {word!r}")
    return text.split(",")


def _version(text: str) -> str:
    try:
        release_for(text)
    except RegistryError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _covered(registry: Registry) -> Coverage:
    # Imported here: collecting starts pytest, which most of these commands can do without.
    from seatrial.conformance.collection import collect_tests  # noqa: PLC0415

    return coverage(registry, collect_tests())


def _list(options: argparse.Namespace, registry: Registry) -> int:
    covered = _covered(registry) if options.status else None
    rows = [
        row
        for row in registry.select(*options.prefix)
        if (not options.level or row.level in options.level)
        and (not options.document or row.document in options.document)
        and (not options.binds or row.binds in options.binds)
        and (not options.needs or set(row.needs) & set(options.needs))
        and (options.in_force is None or row.in_force(options.in_force))
        and (covered is None or covered.status(row) in options.status)
    ]
    if options.format == "json":
        _print_json([_as_json(row, covered) for row in rows])
        return 0
    lines: list[str] = []
    place = ""
    width = max((len(row.id) for row in rows), default=0)
    for row in rows:
        if row.place != place:
            place = row.place
            lines += ["", place] if lines else [place]
        status = covered.status(row) if covered else ""
        lines.append(f"  {row.level:10}  {row.id:{width}}  {status}".rstrip())
        lines += _wrap(row.paraphrase, indent=14)
    lines += ["", f"{len(rows)} of {len(registry)} requirements"] if rows else ["no requirements"]
    _print(lines)
    return 0


def _show(options: argparse.Namespace, registry: Registry) -> int:
    row = registry.find(options.id)
    covered = _covered(registry)
    if options.format == "json":
        _print_json(_as_json(row, covered))
        return 0
    needs_width = max((len(need) for need in row.needs), default=0)
    facts: list[tuple[str, Iterable[str]]] = [
        ("level", [row.level]),
        ("place", [row.place]),
        ("url", [row.url]),
        ("also", row.also),
        ("binds", [row.binds]),
        ("since", [row.since]),
        ("until", [row.until] if row.until else []),
        ("testable", [row.testable]),
        ("needs", [f"{need:{needs_width}}  {meaning_of_need(need)}" for need in row.needs]),
        ("method", _wrap(row.method, width=WIDTH - 12)),
        ("note", _wrap(row.note or "", width=WIDTH - 12)),
        ("status", [covered.status(row)]),
        ("untested", _wrap(row.untested or "", width=WIDTH - 12)),
        ("tests", covered.tests.get(row.id, ())),
    ]
    lines = [row.id, *_wrap(row.paraphrase, indent=2), ""]
    for name, values in facts:
        for number, value in enumerate(values):
            lines.append(f"  {name if number == 0 else '':10}{value}")
    _print(lines)
    return 0


def _coverage(options: argparse.Namespace, registry: Registry) -> int:
    covered = _covered(registry)
    table: list[dict[str, str | int]] = []
    for document in (*DOCUMENTS, "all"):
        of_document = [row for row in registry.values() if document in (row.document, "all")]
        for level in (*LEVELS, "all"):
            rows = [row for row in of_document if level in (row.level, "all")]
            if rows:
                counts = covered.count(rows)
                table.append({"document": document, "level": level, **counts, "all": len(rows)})
    if options.format == "json":
        _print_json(table)
        return 0
    columns = (*STATUSES, "all")
    lines = [f"{'document':18}{'level':10}" + "".join(f"{column:>10}" for column in columns)]
    previous: str | int = ""
    for line in table:
        name = "" if line["document"] == previous else line["document"]
        if name:
            lines.append("")
        previous = line["document"]
        cells = "".join(f"{line[column] or '-':>10}" for column in columns)
        lines.append(f"{name:18}{line['level']:10}{cells}")
    for words, levels in _ANSWERED.items():
        rows = [row for row in registry.values() if row.level in levels]
        lines += ["", *_answered(words, rows, covered)]
    _print(lines)
    return 0


def _answered(words: str, rows: list[Requirement], covered: Coverage) -> Iterator[str]:
    """Count which of ``rows`` are tested, and say of each other one why it is not."""
    counts = covered.count(rows)
    neither = counts["pending"] + counts["missing"]
    yield (
        f"{words}: {len(rows)}, of which {counts['tested']} are tested, {counts['untested']} are"
        f" not for a reason, {neither} {'is' if neither == 1 else 'are'} neither"
    )
    for row in rows:
        status = covered.status(row)
        if status != "tested":
            yield f"  {row.level:10}  {row.id}"
            yield from _wrap(row.untested or f"{status}: neither a test nor a reason", indent=14)


def _check(_options: argparse.Namespace, registry: Registry) -> int:
    covered = _covered(registry)
    problems = check(registry, covered.tests)
    counts = covered.count()
    summary = ", ".join(f"{counts[status]} {status}" for status in STATUSES)
    _print(problems or [f"{len(registry)} requirements: {summary}"])
    return 1 if problems else 0


def _as_json(row: Requirement, covered: Coverage | None) -> dict[str, object]:
    if covered is None:
        return row.as_dict()
    tests = list(covered.tests.get(row.id, ()))
    return {**row.as_dict(), "status": covered.status(row), "tests": tests}


def _wrap(text: str, *, indent: int = 0, width: int = WIDTH) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _print_json(value: object) -> None:
    _print([json.dumps(value, indent=2, ensure_ascii=False)])


def _print(lines: Iterable[str]) -> None:
    """Write ``lines`` to stdout; a reader that has gone (``| head``) is no error."""
    try:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes stdout once more at exit, and would complain there (signal(7)).
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)
