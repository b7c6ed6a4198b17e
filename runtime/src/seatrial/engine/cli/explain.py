"""``seatriald explain CONTAINER``: asks the daemon, prints what it says."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING
from urllib.parse import quote

from seatrial.engine.cli.asking import ask

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str], host: str) -> int:
    """Print the chain of a container; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="seatriald explain",
        description="Show a container's chain: payload, config.json, plan, kernel objects.",
    )
    parser.add_argument("--host", "-H", default=host, metavar="unix://PATH")
    parser.add_argument("container", metavar="CONTAINER")
    arguments = parser.parse_args(argv)
    name = quote(arguments.container, safe="")
    text = ask("explain", arguments.host, f"/seatrial/explain/{name}")
    if text is None:
        return 1
    print(text, end="")
    return 0
