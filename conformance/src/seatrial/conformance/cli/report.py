"""``seatrial report``: show a results file again, or turn it into another format."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.conformance import config as configs
from seatrial.conformance import expectations, junit, terminal
from seatrial.conformance.errors import UsageError
from seatrial.conformance.registry import Registry, requirements_directory
from seatrial.conformance.results import Results

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "report",
        help="show a results file",
        description="Show the verdicts of a results file as a tree, JUnit XML or JSON.",
    )
    parser.add_argument("results", type=Path, metavar="RESULTS", help="a file of --results")
    parser.add_argument("--format", choices=["text", "junit", "json"], default="text")
    parser.add_argument(
        "--config",
        metavar="TEST",
        help="print the config.json of the failure whose test id contains TEST, and nothing else",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the report."""
    registry = Registry.load(requirements_directory())
    results = Results.read(arguments.results)
    for verdict in results.verdicts:
        for identifier in verdict.requirements:
            registry.find(identifier)
    if arguments.config:
        sys.stdout.flush()
        sys.stdout.buffer.write(_config(results, arguments.config) + b"\n")
    elif arguments.format == "junit":
        print(junit.document(results, registry))
    elif arguments.format == "json":
        lines = [verdict.as_dict() for verdict in results.verdicts]
        print(json.dumps({**results.header, "verdicts": lines}, indent=2))
    else:
        judged = [_judged(results, runtime, registry) for runtime in results.header["runtimes"]]
        terminal.show(terminal.Plain(), judged, registry, results.header["spec"])
    return 0


def _judged(results: Results, runtime: dict[str, str], registry: Registry) -> terminal.Judged:
    own = [verdict for verdict in results.verdicts if verdict.runtime == runtime["name"]]
    known = expectations.for_runtime(runtime["name"], registry)
    kernel = str(results.header["environment"].get("kernel", ""))
    outcome = expectations.compare(own, known, runtime["version"], kernel)
    return terminal.Judged(runtime, outcome, complete=results.footer["complete"])


def _config(results: Results, test: str) -> bytes:
    for verdict in results.verdicts:
        if test in verdict.test and verdict.config is not None:
            if isinstance(verdict.config, str):
                return verdict.config.encode()
            return configs.dumps(verdict.config)
    raise UsageError(f"no failure in the results has a test id that contains {test!r}")
