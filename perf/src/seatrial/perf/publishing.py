"""Whether the figures of a run may be shown to others, and if not, why."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, Any

from seatrial.perf.contenders import AGAIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.perf.pyperf_files import Block, Key

#: How far apart the two of the A/A pair may be.
_APART = 0.03
#: How many processors others may keep busy, in the median block.
_OTHERS = 0.25
_FREQUENCY = 0.05
_FEWEST_BLOCKS = 10


def pair(found: dict[Key, list[Block]]) -> dict[str, float]:
    """Return the ratio of the two of the A/A pair for each time, by the medians of their blocks."""
    ratios: dict[str, float] = {}
    for (name, suite, case, figure), those in found.items():
        if not name.endswith(AGAIN) or not figure.endswith("-wall"):
            continue
        first = found.get((name.removesuffix(AGAIN), suite, case, figure), [])
        before = {each.number: median(each.values) for each in first}
        logs = [
            math.log(median(each.values) / before[each.number])
            for each in those
            if each.number in before
        ]
        if logs:
            ratios[f"{suite}/{case}/{figure}"] = math.exp(median(logs))
    return ratios


def reasons(environment: dict[str, Any], found: dict[Key, list[Block]]) -> list[str]:
    """Return why the figures must not be published; none: they may be."""
    return [
        *([] if environment["complete"] else ["the run is not complete"]),
        *_of_processor(environment.get("cpu_model") or ""),
        *_of_pair(environment["pair"], found),
        *_of_load([each["others"] for each in environment["blocks"]]),
        *_of_frequency([mhz for each in environment["blocks"] for mhz in each["mhz"]]),
        *(
            f"{name} runs from an editable install"
            for name, about in environment["contenders"].items()
            if about.get("editable") and "mode" not in about and not name.endswith(AGAIN)
        ),
    ]


def _of_processor(model: str) -> Iterator[str]:
    # Every kind of work is slower there by a factor of its own: ratios too are of the emulator.
    if model.startswith(("QEMU Virtual CPU", "QEMU TCG CPU")):
        yield f"the processor is emulated ({model}): its times mean nothing"


def _of_pair(ratios: dict[str, float], found: dict[Key, list[Block]]) -> Iterator[str]:
    totals = {key: ratio for key, ratio in ratios.items() if _is_total(key)}
    for key, ratio in sorted(totals.items()):
        if abs(math.log(ratio)) > math.log1p(_APART):
            apart = math.exp(abs(math.log(ratio))) - 1
            yield f"the A/A pair is {apart:.1%} apart in {key}, more than {_APART:.0%}"
    if not totals:
        yield "no A/A pair was measured"
    counts = [len(those) for key, those in found.items() if "/".join(key[1:]) in totals]
    if counts and min(counts) < _FEWEST_BLOCKS:
        yield f"{min(counts)} blocks are few: {_FEWEST_BLOCKS} are the least"


def _is_total(key: str) -> bool:
    """Whether it is the time of a sample as a whole; its phases are short and vary more."""
    return key.rpartition("/")[2] in {"run-wall", "whole-wall", "exec-wall", "version-wall"}


def _of_load(others: list[float]) -> Iterator[str]:
    if not others:
        return
    usual, most = median(others), max(others)
    if usual > _OTHERS:
        yield (
            f"other programs kept {usual:.1f} processors busy in the median block"
            f" ({most:.1f} at most)"
        )
    elif most - usual > 2 * _OTHERS:
        yield (
            f"the load changed: other programs kept {usual:.1f} processors busy in the median"
            f" block, {most:.1f} in another"
        )


def _of_frequency(speeds: list[float]) -> Iterator[str]:
    if speeds and max(speeds) > min(speeds) * (1 + _FREQUENCY):
        yield f"the processors' frequency changed: {min(speeds):.0f} to {max(speeds):.0f} MHz"
