"""Modes: the reference runtime timed in other ways than that of its users' second start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seatrial.perf.cases import Kind


@dataclass(frozen=True)
class Mode:
    """One way; without a mode the runtime does as it does by itself, warm from the second start on.

    ``fresh``: each sample has a config.json whose bytes were never there before, so that nothing
    which was kept from an earlier start can be used.
    """

    name: str
    about: str
    kinds: tuple[Kind, ...] = ("run", "steps")
    environment: tuple[str, ...] = ()
    fresh: bool = False
    #: Its Python API, called in one process that stays, instead of its command.
    in_process: bool = False
    #: What that process holds beside it.
    heap_megabytes: int = 0


#: Of the reference runtime; other runtimes keep nothing between two starts.
MODES = (
    Mode("cold", "a config that was never seen before", fresh=True),
    Mode("off", "without kept plans", environment=("SEATRIAL_OCI_CACHE=off",)),
    Mode("api", "its Python API, in process", kinds=("run",), in_process=True),
    Mode(
        "api-200mb",
        "the same in a process of 200 MB",
        kinds=("run",),
        in_process=True,
        heap_megabytes=200,
    ),
)
