"""``seatrial runtimes``: which runtimes are known, and which of them are on this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from seatrial.conformance import adapters
from seatrial.conformance.errors import SeatrialError
from seatrial.conformance.runtime import identify

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "runtimes",
        help="list the known runtimes",
        description="List the runtimes that have an adapter, and which are on this machine.",
    )
    parser.add_argument("--format", choices=["text", "json"], default="text")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one line per known runtime."""
    found = [_describe(adapter) for adapter in adapters.known().values()]
    if arguments.format == "json":
        print(json.dumps(found, indent=2))
        return 0
    for each in found:
        where = f"{each['version']}  {each['path']}" if each["path"] else "not on this machine"
        print(f"{each['name']:<12} {where}")
    return 0


def _describe(adapter: adapters.Adapter) -> dict[str, str | None]:
    path = adapters.locate(adapter.command)
    version: str | None = None
    if path:
        try:
            version = identify(adapter).version
        except SeatrialError as error:
            version = f"unknown ({error})"
    return {
        "name": adapter.name,
        "path": path,
        "version": version,
        "homepage": adapter.homepage,
        "adapter": str(adapter.file),
    }
