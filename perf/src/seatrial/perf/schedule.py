"""In which order: blocks in which every case meets all its contenders, drawn by a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.perf.cases import Case
    from seatrial.perf.contenders import Contender


@dataclass(frozen=True)
class Turn:
    """Samples of one contender in one case, one after the other.

    ``position`` is its place among the turns of its case in the block.
    """

    block: int
    position: int
    case: Case
    contender: Contender

    @property
    def key(self) -> tuple[int, str, str]:
        """What tells it from every other turn of a run."""
        return (self.block, self.case.key, self.contender.name)


@dataclass(frozen=True)
class Size:
    """How much of a suite is done: blocks, and samples in each turn."""

    blocks: int
    samples: int


def takes_part(contender: Contender, case: Case) -> bool:
    """Whether a contender is timed in a case."""
    if contender.is_floor:
        return case.floor
    if contender.mode and not (case.modes and case.kind in contender.mode.kinds):
        return False
    wanted = case.engines if contender.is_engine else case.runtimes
    return wanted and (case.again or not contender.is_again)


def block(
    number: int,
    seed: int,
    cases: Sequence[Case],
    contenders: Sequence[Contender],
    sizes: dict[str, Size],
) -> list[Turn]:
    """Return the turns of one block: cases in random order, in each the contenders so.

    The same number and seed give the same order, so that a run that is resumed goes on as it
    would have.
    """
    draw = random.Random(f"{seed}/{number}")  # noqa: S311 - an order, not a secret
    due = [case for case in cases if number < sizes[case.suite].blocks]
    draw.shuffle(due)
    turns: list[Turn] = []
    for case in due:
        those = [each for each in contenders if takes_part(each, case)]
        draw.shuffle(those)
        turns += [Turn(number, place, case, each) for place, each in enumerate(those)]
    return turns
