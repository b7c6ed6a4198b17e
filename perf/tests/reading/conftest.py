"""Results folders that were never measured: figures from a seeded generator, in pyperf's files."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyperf
import pytest
from hypothesis import settings

from seatrial.perf import statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

settings.register_profile("perf", derandomize=True, database=None, deadline=None)
settings.load_profile("perf")


@pytest.fixture(scope="session", autouse=True)
def few_resamples() -> Iterator[None]:
    """Fewer draws for intervals, so that there is time for many examples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "RESAMPLES", 400)
        yield


#: The machine and the method of a run that went well.
ENVIRONMENT: dict[str, Any] = {
    "format": 1,
    "host": "made-up",
    "kernel": "6.18.5",
    "machine": "x86_64",
    "cpu_model": "Made-up CPU",
    "cpu_count": 2,
    "memory_bytes": 8 << 30,
    "cgroup_mode": "v2",
    "governor": "performance",
    "aslr": 2,
    "mount_count": 31,
    "load": {"before": [0.1, 0.2, 0.3], "after": [1.0, 0.5, 0.3]},
    "seed": 7,
    "gap_s": 0.02,
    "started": "2026-01-02T03:04:05+00:00",
    "ended": "2026-01-02T03:24:05+00:00",
    "complete": True,
    "publishable": True,
    "reasons": [],
    "not_comparable": {},
}
#: Seconds of a whole run, and what else a lifecycle has, as parts of it.
SPEEDS = {"floor": 0.0016, "seatrial-oci": 0.0026, "crun": 0.0057, "runc": 0.024}
PARTS = {"create": 0.6, "first-instruction": 0.15, "exit-seen": 0.05, "delete": 0.2}


@dataclass
class Made:
    """A folder that is being made."""

    path: Path
    blocks: int = 30
    samples: int = 10
    seed: int = 1
    environment: dict[str, Any] = field(default_factory=lambda: dict(ENVIRONMENT))
    skipped: dict[str, str] = field(default_factory=dict)
    benchmarks: dict[str, dict[str, tuple[str, dict[int, list[float]]]]] = field(
        default_factory=dict
    )
    errors: list[dict[str, Any]] = field(default_factory=list)

    def draw(self, name: str, centre: float, *, noise: float = 0.05) -> dict[int, list[float]]:
        """Return blocks around ``centre``; one block's mood is the same for all contenders."""
        found = {}
        for block in range(self.blocks):
            mood = random.Random(f"{self.seed} {block}").gauss(0, 0.05)
            own = random.Random(f"{self.seed} {block} {name}")
            found[block] = [
                centre * 2.718 ** (mood + abs(own.gauss(0, noise))) for _ in range(self.samples)
            ]
        return found

    def add(
        self, contender: str, benchmark: str, blocks: dict[int, list[float]], unit: str = "second"
    ) -> None:
        """Add a benchmark to a contender."""
        self.benchmarks.setdefault(contender, {})[benchmark] = (unit, blocks)

    def lifecycle(self, contender: str, whole_s: float, *, case: str = "plain") -> None:
        """Add all that the lifecycle suite has."""
        name = f"lifecycle/{case}"
        self.add(contender, f"{name}/run-wall", self.draw(f"{contender} {case}", whole_s))
        if contender != "floor":
            self.add(contender, f"{name}/whole-wall", self.draw(f"{contender} {case} w", whole_s))
            for part, share in PARTS.items():
                blocks = self.draw(f"{contender} {case} {part}", whole_s * share)
                self.add(contender, f"{name}/{part}-wall", blocks)
        self.add(contender, f"{name}/run-cpu", self.draw(f"{contender} cpu", whole_s * 0.9))
        faults = {
            block: [float(round(whole_s * 5e4))] * self.samples for block in range(self.blocks)
        }
        self.add(contender, f"{name}/run-minor-faults", faults, "integer")

    def scaling(self, contender: str, whole_s: float) -> None:
        """Add starts in parallel."""
        for parallel in (1, 2, 4):
            gain = min(parallel, 2) ** 0.8
            rate = {
                b: [gain / v[0]] for b, v in self.draw(f"{contender} {parallel}", whole_s).items()
            }
            self.add(contender, f"scaling/{parallel}/starts-per-second", rate, "integer")
            wall = self.draw(f"{contender} {parallel} w", whole_s * parallel / gain)
            self.add(contender, f"scaling/{parallel}/p99-wall", wall)

    def write(self) -> Path:
        """Write the folder."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._json("environment.json", self.environment)
        skipped = [{"contender": name, "reason": why} for name, why in self.skipped.items()]
        self._json("skipped.json", skipped)
        lines = [json.dumps(each) + "\n" for each in self.errors]
        (self.path / "samples.jsonl").write_text("".join(lines))
        for contender, benchmarks in self.benchmarks.items():
            suite = pyperf.BenchmarkSuite(
                [_benchmark(contender, name, *each) for name, each in benchmarks.items()]
            )
            suite.dump(str(self.path / f"{contender}.json"), replace=True)
        return self.path

    def _json(self, name: str, content: object) -> None:
        (self.path / name).write_text(json.dumps(content))


def _benchmark(
    contender: str, name: str, unit: str, blocks: dict[int, list[float]]
) -> pyperf.Benchmark:
    suite, case, metric = name.split("/")
    return pyperf.Benchmark(
        [
            pyperf.Run(
                values,
                metadata={
                    "name": name,
                    "unit": unit,
                    "block": block,
                    "position": 0,
                    "runtime": contender,
                    "runtime_version": "1.2.3",
                    "suite": suite,
                    "case": case,
                    "phase": metric,
                },
                collect_metadata=False,
            )
            for block, values in blocks.items()
        ]
    )


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Made]:
    """Begin a folder by its name; write it with ``write``."""
    return lambda name, **members: Made(tmp_path / name, **members)


@pytest.fixture
def usual(make: Callable[..., Made]) -> Made:
    """A run of the floor, ours with its twin, crun and runc in two cases."""
    made: Made = make("usual")
    for name, whole_s in {**SPEEDS, "seatrial-oci-again": SPEEDS["seatrial-oci"]}.items():
        made.lifecycle(name, whole_s)
        made.lifecycle(name, whole_s * 1.3, case="network")
        if name != "floor":
            made.scaling(name, whole_s)
    made.skipped["runsc"] = "there is no runsc on PATH"
    return made
