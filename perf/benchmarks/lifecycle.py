"""A container's life through the reference runtime's Python API, in one process, phase by phase.

As root: ``python perf/benchmarks/lifecycle.py --fast -o lifecycle.json``.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from time import perf_counter
from typing import TYPE_CHECKING

import pyperf

from seatrial.oci import Container
from seatrial.perf import bundles, configs
from seatrial.perf.cases import Case
from seatrial.perf.contenders import Contender
from seatrial.perf.place import Place

if TYPE_CHECKING:
    from seatrial.perf.configs import Config

PHASES = ("create", "start", "wait", "delete")
_numbers = itertools.count(1)


class Life:
    """Lives of one config's containers."""

    def __init__(self, place: Place | None, name: str, config: Config) -> None:
        """Make the bundle; without a place, in pyperf's own process, there is none."""
        if place is None:
            return
        self.root = str(place.work / "state")
        bundle = bundles.make(
            place, Contender("in-process", "", "", ""), Case("in-process", name, "run", config)
        )
        self.bundle = str(bundle.path)
        document = bundle.config
        document["process"]["args"] = [configs.PAYLOAD]  # nobody waits for its clocks
        (bundle.path / "config.json").write_text(json.dumps(document))

    def time(self, loops: int, phase: str) -> float:
        """Return the seconds that a phase, or ``whole``, takes in so many lives."""
        total = 0.0
        for _ in range(loops):
            container = Container(f"p{next(_numbers)}", bundle=self.bundle, root=self.root)
            times = [perf_counter()]
            for act in (container.create, container.start, container.wait, container.delete):
                act()
                times.append(perf_counter())
            if phase == "whole":
                total += times[-1] - times[0]
            else:
                number = PHASES.index(phase)
                total += times[number + 1] - times[number]
        return total


def main() -> None:
    """Run the benchmarks; each of pyperf's workers has a place of its own."""
    # Each life is timed as a whole, however short the phase is: pyperf's own choice of loops, so
    # many that the phase fills its least time, would take minutes.
    runner = pyperf.Runner(loops=5, values=5, processes=10, metadata={"suite": "in-process"})
    worker = runner.parse_args().worker
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(Place()) if worker else None
        for name, config in (("plain", configs.plain()), ("netns", configs.with_network())):
            life = Life(place, name, config)
            for phase in ("whole", *PHASES):
                runner.bench_time_func(f"in-process/{name}/{phase}-wall", life.time, phase)


if __name__ == "__main__":
    main()
