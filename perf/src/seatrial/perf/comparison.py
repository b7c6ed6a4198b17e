"""Two sides compared, benchmark by benchmark; what cannot be compared fairly is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.perf.contenders import FLOOR
from seatrial.perf.errors import UsageError
from seatrial.perf.results import common
from seatrial.perf.statistics import normalized, paired_ratio, percentile, unpaired_ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.perf.metrics import Metric
    from seatrial.perf.results import Contender, Results, Series
    from seatrial.perf.statistics import Ratio

#: What must be equal for two runs' figures to be of one machine and one method.
MACHINE = (
    "machine", "cpu_model", "cpu_count", "affinity", "memory_bytes", "kernel", "cgroup_mode",
    "cgroup_view", "governor", "aslr",
)  # fmt: skip


@dataclass(frozen=True)
class Side:
    """A contender of a run."""

    results: Results
    contender: Contender

    @property
    def title(self) -> str:
        """Its name and version."""
        return f"{self.contender.name} {self.contender.version}".strip()


@dataclass(frozen=True)
class Line:
    """One benchmark on both sides. ``ratio`` is new / old."""

    metric: Metric
    unit: str
    old_p50: float
    new_p50: float
    ratio: Ratio

    @property
    def verdict(self) -> str:
        """What the interval allows to say, in a word."""
        if self.ratio.interval is None:
            return "too few blocks"
        if not self.ratio.differs:
            return "no difference seen"
        return "better" if (self.ratio.value > 1) == self.metric.more_is_better else "worse"


@dataclass(frozen=True)
class Comparison:
    """Two sides compared. ``forced`` are the objections that were overridden."""

    old: Side
    new: Side
    paired: bool
    lines: tuple[Line, ...]
    forced: tuple[str, ...]
    remarks: tuple[str, ...]


def compare(
    old: Side, new: Side, *, force: bool = False, relative: str | None = None
) -> Comparison:
    """Compare new with old.

    Two contenders of one run are paired, block by block. With ``relative``, both sides are taken
    as multiples of that contender in their own run first, which makes up for another machine.
    Raises ``UsageError`` with the first objection, unless ``force`` is given.
    """
    paired = old.results.path.resolve() == new.results.path.resolve()
    metrics = common(old.contender.series, new.contender.series)
    if not metrics:
        raise UsageError(f"{old.title} and {new.title} have no benchmark in common")
    for results in (old.results, new.results) if relative else ():
        results.contender(str(relative))
    objections = _objections(old, new, paired=paired, relative=relative)
    if objections and not force:
        more = f" (and {len(objections) - 1} more)" if len(objections) > 1 else ""
        raise UsageError(
            f"{old.title} and {new.title} are not comparable: {objections[0]}{more}",
            hint="--force compares what there is, and says so",
        )
    lines, left_out = [], []
    for metric in metrics:
        before, after = old.contender.series[metric], new.contender.series[metric]
        reason = _of_blocks(before, after, paired=paired, complete=old.results.complete)
        if before.unit != after.unit:
            left_out.append(f"{metric} has {before.unit}s on one side, {after.unit}s on the other")
            continue
        if reason is not None and not force:
            left_out.append(f"{metric} has {reason}")
            continue
        found = _ratio(old, new, metric, paired=paired, relative=relative)
        if found is None:
            beside = f" with {relative} beside it" if relative else ""
            left_out.append(f"{metric} has no block that both sides have{beside}")
            continue
        p50 = [percentile(each.values, 0.5) for each in (before, after)]
        lines.append(Line(metric, before.unit, p50[0], p50[1], found))
    if not lines:
        raise UsageError(f"{old.title} and {new.title} are not comparable: {left_out[0]}")
    remarks = (*_remarks(old, new), *(f"left out: {each}" for each in left_out))
    if paired:
        remarks = (*remarks, *_of_cases(old, new))
    return Comparison(old, new, paired, tuple(lines), tuple(objections), remarks)


def _ratio(
    old: Side, new: Side, metric: Metric, *, paired: bool, relative: str | None
) -> Ratio | None:
    blocks = []
    for side in (new, old):
        own: Mapping[int, tuple[float, ...] | list[float]] = side.contender.series[metric].blocks
        if relative is not None:
            own = normalized(own, side.results.reference(relative, metric))
        blocks.append(own)
    if not all(blocks) or (paired and not blocks[0].keys() & blocks[1].keys()):
        return None
    return paired_ratio(*blocks) if paired else unpaired_ratio(*blocks)


def _objections(old: Side, new: Side, *, paired: bool, relative: str | None) -> list[str]:
    found = []
    if not paired:
        found += _of_runs(old.results, new.results, same_machine=relative is None)
        found += _of_cases(old, new)
    for side in (old, new):
        for name in dict.fromkeys((side.contender.name, relative)):
            why = not_comparable(side.results).get(str(name))
            if why is not None:
                found.append(f"{name} is marked in {side.results.path}: {why}")
    return found


def _of_runs(old: Results, new: Results, *, same_machine: bool) -> list[str]:
    found = []
    for name in MACHINE if same_machine else ():
        before, after = old.environment.get(name), new.environment.get(name)
        if before != after:
            found.append(
                f"the machines differ: {name.replace('_', ' ')} {_said(before)}, then"
                f" {_said(after)}"
            )
    found += [f"the run in {run.path} is not complete" for run in (old, new) if not run.complete]
    return found


def _of_cases(old: Side, new: Side) -> list[str]:
    found = []
    sides = (old.contender, new.contender)
    for these, others in (sides, sides[::-1]):
        # The floor is one C program: it has no phases, and more cases than a runtime.
        lacking = sorted(
            {(m.suite, m.case) for m in these.series} - {(m.suite, m.case) for m in others.series}
        )
        if lacking and FLOOR not in {these.name, others.name}:
            cases = ", ".join("/".join(case) for case in lacking[:3])
            found.append(f"{others.name} has not {cases}{' and others' if lacking[3:] else ''}")
    return found


def _of_blocks(before: Series, after: Series, *, paired: bool, complete: bool) -> str | None:
    counts = [len(next(iter(each.blocks.values()))) for each in (before, after)]
    if counts[0] != counts[1]:
        return f"blocks of {counts[0]}, then {counts[1]} samples"
    if not paired and len(before.blocks) != len(after.blocks):
        return f"{len(before.blocks)}, then {len(after.blocks)} blocks"
    if paired and complete and before.blocks.keys() != after.blocks.keys():
        return "blocks that only one side has"
    return None


def _remarks(old: Side, new: Side) -> tuple[str, ...]:
    found = []
    for results in {side.results.path: side.results for side in (old, new)}.values():
        if not results.complete:
            found.append(f"the run in {results.path} is not complete")
        found += [f"{results.path} is not publishable: {why}" for why in not_publishable(results)]
    return tuple(found)


def not_publishable(results: Results) -> list[str]:
    """Return why a run's figures are not fit to be published, as the run itself found."""
    reasons = [str(each) for each in results.environment.get("reasons") or ()]
    if not reasons and results.environment.get("publishable") is False:
        reasons = ["the run says so, without a reason"]
    return reasons


def not_comparable(results: Results) -> dict[str, str]:
    """Return the contenders whose figures do not count, and why (they fail conformance)."""
    found = results.environment.get("not_comparable", {})
    return {str(name): str(why) for name, why in found.items()} if isinstance(found, dict) else {}


def _said(value: object) -> str:
    return "unknown" if value is None else str(value)
