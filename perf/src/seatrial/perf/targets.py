"""The targets of the reference runtime, and whether a run met them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.perf import quantities
from seatrial.perf.contenders import FLOOR
from seatrial.perf.metrics import Metric
from seatrial.perf.tables import Row, Table

if TYPE_CHECKING:
    from seatrial.perf.statistics import Ratio
    from seatrial.perf.summary import Summary

#: Whose targets these are.
REFERENCE = "seatrial-oci"
#: The cases of the suite ``lifecycle`` that they are for.
CASES = {
    "plain": "no network namespace",
    "netns": "network namespace",
    "seccomp400": "seccomp profile of 400 names",
}
_SUITE = "lifecycle"


@dataclass(frozen=True)
class Target:
    """One way to start a container, and how many times another's figure it may take at most."""

    what: str
    mode: str
    metric: str
    limits: dict[str, float]
    cases: tuple[str, ...] = tuple(CASES)


TARGETS = (
    Target(
        *("in-process API", "-api", "run-wall", {FLOOR: 1.3, "crun": 0.25, "runc": 0.08}),
        ("plain",),
    ),
    Target("run, plan kept", "", "run-wall", {FLOOR: 1.5, "crun": 0.5, "runc": 0.15}),
    Target("create, start, delete, plan kept", "", "whole-wall", {"crun": 0.6, "runc": 0.15}),
    Target("run, cold", "-cold", "run-wall", {"runc": 1.0}),
    # Without a target, but the least noisy of all times.
    Target("processor time in process", "-api", "run-cpu", {}),
    Target("processor time of run", "", "run-cpu", {}),
    Target("system calls of run", "", "run-syscalls", {FLOOR: 1.5, "crun": 0.35, "runc": 0.1}),
    Target("minor faults of run", "", "run-minor-faults", {FLOOR: 1.5, "crun": 0.35, "runc": 0.1}),
)
_AGAINST = (FLOOR, "crun", "runc")


def verdict(ratio: Ratio, limit: float | None) -> str:
    """Return what the interval allows to say of a ratio that is to be ``limit`` at most."""
    if limit is None:
        return ""
    if ratio.interval is None:
        return f"too few blocks for {_limit(limit)}"
    if ratio.interval.high <= limit:
        return f"met {_limit(limit)}"
    if ratio.interval.low > limit:
        return f"missed {_limit(limit)}"
    return f"undecided {_limit(limit)}"


def _limit(limit: float) -> str:
    return f"(≤\N{NO-BREAK SPACE}{limit:g}×)"


def table(summary: Summary) -> Table:
    """Return the targets as a table; without a line where the run has nothing to say of them."""
    rows = [
        row
        for case, name in CASES.items()
        for target in TARGETS
        if (row := _row(summary, target, case, name)) is not None
    ]
    return Table(
        "targets",
        "medians of the reference runtime, and how many times another's figure of the same blocks"
        " that is, with the 95 % interval; met, missed or undecided goes by the whole interval",
        ("config", "what"),
        ("median", *(f"against {name}" for name in _AGAINST)),
        tuple(rows),
    )


def _row(summary: Summary, target: Target, case: str, name: str) -> Row | None:
    metric = Metric(_SUITE, case, target.metric)
    own = summary.results.contenders.get(REFERENCE + target.mode)
    if own is None or metric not in own.series:
        return None
    cells = [summary.median(own, metric)]
    for other in _AGAINST:
        ratio = summary.ratio(own, other, metric)
        if ratio is None:
            cells.append("")
            continue
        limit = target.limits.get(other) if case in target.cases else None
        cells.append(f"{quantities.ratio(ratio)} {verdict(ratio, limit)}".rstrip())
    return Row((name, target.what), tuple(cells), summary.note(own.name))
