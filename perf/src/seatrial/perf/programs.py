"""The C programs that come with the benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from seatrial.perf.errors import UnfitError

Program = Literal["stopwatch", "payload", "floor"]


def program(name: Program) -> Path:
    """Return where a program is; raises ``UnfitError`` where it was not built."""
    path = Path(__file__).parent / "bin" / name
    if not path.is_file():
        raise UnfitError(f"the {name} is not built: {path} is missing", hint="make setup")
    return path
