"""Statistics of paired blocks: nothing is dropped, and the same figures give the same result.

A block's value is the median of its samples. A ratio is the median, over blocks, of the
logarithms of two contenders' values; its interval comes from resampling blocks, because samples
of one block share the machine's mood and are no independent evidence.
"""

from __future__ import annotations

import bisect
import math
import random
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    #: Blocks by their number; a block's samples in the order in which they were taken.
    Blocks = Mapping[int, Sequence[float]]

#: How often blocks are drawn anew for an interval, and the seed of the draws.
RESAMPLES = 2000
SEED = 20_250_101
LEVEL = 0.95
#: With fewer, not even the range from the smallest to the largest block holds the true median in
#: 95 of 100 runs (1 - 2 / 2**5 is 0.94), so that no interval is given.
FEWEST_BLOCKS = 6


@dataclass(frozen=True)
class Interval:
    """Where the true value is, in 95 of 100 runs."""

    low: float
    high: float


@dataclass(frozen=True)
class Ratio:
    """How many times the old value the new one is.

    ``interval`` is None with too few blocks. ``delta`` is Cliff's: how much more often a new
    sample is above an old one than below it, from -1 to 1.
    """

    value: float
    interval: Interval | None
    delta: float
    blocks: int
    paired: bool

    @property
    def differs(self) -> bool:
        """Whether 1 is outside of the interval."""
        return self.interval is not None and not self.interval.low <= 1 <= self.interval.high


def percentile(values: Sequence[float], fraction: float) -> float:
    """Return the value below which ``fraction`` of all lie, interpolated between neighbours."""
    if not values or not 0 <= fraction <= 1:
        raise ValueError("a percentile needs values, and a fraction from 0 to 1")
    ordered = sorted(values)
    place = fraction * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    # Not low + share * (high - low), which can leave the range between the two.
    share = place - below
    return ordered[below] if share == 0 else (1 - share) * ordered[below] + share * ordered[above]


def cliffs_delta(new: Sequence[float], old: Sequence[float]) -> float:
    """Return how much more often a new value is above an old one than below, from -1 to 1."""
    if not new or not old:
        raise ValueError("Cliff's delta needs values on both sides")
    ordered = sorted(old)
    above = sum(bisect.bisect_left(ordered, value) for value in new)
    below = sum(len(ordered) - bisect.bisect_right(ordered, value) for value in new)
    return (above - below) / (len(new) * len(ordered))


def paired_ratio(new: Blocks, old: Blocks, *, seed: int = SEED) -> Ratio:
    """Return new / old over the blocks that both have, which were interleaved."""
    numbers = sorted(new.keys() & old.keys())
    if not numbers:
        raise ValueError("no block is in both")
    logs = [_log(new[number]) - _log(old[number]) for number in numbers]
    return Ratio(
        value=math.exp(median(logs)),
        interval=_interval([logs], lambda drawn: median(drawn[0]), seed),
        delta=cliffs_delta(_flat(new, numbers), _flat(old, numbers)),
        blocks=len(numbers),
        paired=True,
    )


def unpaired_ratio(new: Blocks, old: Blocks, *, seed: int = SEED) -> Ratio:
    """Return new / old of two runs, whose blocks have nothing to do with one another."""
    if not new or not old:
        raise ValueError("no blocks")
    sides = [[_log(side[number]) for number in sorted(side)] for side in (new, old)]
    return Ratio(
        value=math.exp(median(sides[0]) - median(sides[1])),
        interval=_interval(sides, lambda drawn: median(drawn[0]) - median(drawn[1]), seed),
        delta=cliffs_delta(_flat(new, sorted(new)), _flat(old, sorted(old))),
        blocks=min(map(len, sides)),
        paired=False,
    )


def block_median(blocks: Blocks) -> float:
    """Return the median over blocks of a block's median."""
    return median(median(samples) for samples in blocks.values())


def median_interval(blocks: Blocks, *, seed: int = SEED) -> Interval | None:
    """Return the interval of the median over blocks; ``None`` with too few of them."""
    if any(min(samples) <= 0 for samples in blocks.values()):
        return None
    logs = [_log(blocks[number]) for number in sorted(blocks)]
    return _interval([logs], lambda drawn: median(drawn[0]), seed)


def normalized(blocks: Blocks, reference: Blocks) -> dict[int, list[float]]:
    """Return the samples as multiples of the reference's median in the same block."""
    return {
        number: [value / median(reference[number]) for value in blocks[number]]
        for number in sorted(blocks.keys() & reference.keys())
    }


def _interval(
    sides: list[list[float]], statistic: Callable[[list[list[float]]], float], seed: int
) -> Interval | None:
    if min(map(len, sides)) < FEWEST_BLOCKS:
        return None
    found: list[float] = []
    # One stream of draws for each side, the other way round in a second half: so that the
    # interval of old / new is exactly the inverse of that of new / old.
    for shift in range(len(sides)):
        draws = [
            random.Random(seed + (place + shift) % len(sides))  # noqa: S311 - not for secrets
            for place in range(len(sides))
        ]
        found += [
            statistic(
                [draw.choices(side, k=len(side)) for draw, side in zip(draws, sides, strict=True)]
            )
            for _ in range(RESAMPLES // len(sides))
        ]
    rest = (1 - LEVEL) / 2
    return Interval(math.exp(percentile(found, rest)), math.exp(percentile(found, 1 - rest)))


def _log(samples: Sequence[float]) -> float:
    return math.log(median(samples))


def _flat(blocks: Blocks, numbers: Sequence[int]) -> list[float]:
    return [value for number in numbers for value in blocks[number]]
