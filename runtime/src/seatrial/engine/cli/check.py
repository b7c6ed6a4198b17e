"""``seatriald check``: asks the daemon whether all that it has agrees."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from seatrial.engine.cli.asking import ask

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str], host: str) -> int:
    """Print what does not agree; return 0 if nothing, 1 otherwise or if there is no answer."""
    parser = argparse.ArgumentParser(
        prog="seatriald check",
        description="Compare what the daemon remembers with what is on its disk and what runs.",
    )
    parser.add_argument("--host", "-H", default=host, metavar="unix://PATH")
    text = ask("check", parser.parse_args(argv).host, "/seatrial/check")
    if text is None:
        return 1
    print(text or "clean\n", end="")
    return 1 if text else 0
