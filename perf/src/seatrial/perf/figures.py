"""The figures of one sample: what pyperf's benchmarks are made of, from what the stopwatch saw."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from seatrial.perf.contenders import Contender

Unit = Literal["second", "byte", "integer"]
#: Figures by name; times in nanoseconds in a sample, in seconds in pyperf's files.
Figures = dict[str, float]

UNITS: dict[str, Unit] = {"wall": "second", "cpu": "second", "rss": "byte", "memory": "byte"}

_USED = ("minor_faults", "voluntary_switches", "involuntary_switches")


class ImpossibleError(Exception):
    """The clocks contradict one another; the text says how."""


def unit(name: str) -> Unit:
    """Return the unit of a figure by the last word of its name."""
    return UNITS.get(name.rpartition("-")[2], "integer")


def _span(step: dict[str, Any]) -> int:
    return int(step["end"]) - int(step["start"])


def _cpu(process: dict[str, Any]) -> int:
    return int(process["user_ns"]) + int(process["system_ns"])


def _counts(name: str, processes: list[dict[str, Any]]) -> Figures:
    faults, *switches = (sum(int(each[word]) for each in processes) for word in _USED)
    return {
        f"{name}-cpu": sum(_cpu(each) for each in processes),
        f"{name}-minor-faults": faults,
        f"{name}-context-switches": sum(switches),
    }


def first_instruction(raw: dict[str, Any], contender: Contender) -> int:
    """Return when the payload began, by CLOCK_MONOTONIC; raises ``ImpossibleError``.

    In a sandbox with clocks of its own CLOCK_REALTIME is the one that agrees with the host's.
    """
    payload = raw["payload"]
    at = int(payload["monotonic"])
    if not contender.dialect.monotonic:
        at = int(payload["realtime"]) - int(raw["clock_difference"])
    began = next(step for step in reversed(raw["steps"]) if step["name"] != "delete")
    if not int(began["start"]) < at <= int(payload["read"]):
        raise ImpossibleError(
            f"the payload says that it began {at - int(began['start'])} ns after the command that"
            f" starts it, and was heard {int(payload['read']) - int(began['start'])} ns after it"
        )
    return at


def of_sample(kind: str, raw: dict[str, Any], contender: Contender) -> Figures:
    """Return the figures of a sample without an error; raises ``ImpossibleError``."""
    steps = {step["name"]: step for step in raw["steps"]}
    if kind == "steps":
        return _of_life(raw, steps, contender)
    ((name, step),) = steps.items()
    figures: Figures = {f"{name}-wall": _span(step)}
    if contender.is_engine:  # most of its work is done by others, a daemon or what it leaves
        # Without their share it is the command's alone, and says so.
        own = {f"{name}-client-cpu": _cpu(step)}
        if "beside_ns" in raw:
            own[f"{name}-cpu"] = _cpu(step) + int(raw["beside_ns"])
        return figures | own | _of_payload(name, step, raw, contender)
    processes = [step]
    if raw["strays"]["count"]:
        processes.append(raw["strays"])
    return figures | _of_payload(name, step, raw, contender) | _counts(name, processes)


def _of_payload(
    name: str, step: dict[str, Any], raw: dict[str, Any], contender: Contender
) -> Figures:
    if "payload" not in raw:
        return {}
    at = first_instruction(raw, contender)
    return {
        f"{name}-first-instruction-wall": at - int(step["start"]),
        f"{name}-exit-seen-wall": int(step["end"]) - at,
    }


def _of_life(
    raw: dict[str, Any], steps: dict[str, dict[str, Any]], contender: Contender
) -> Figures:
    at = first_instruction(raw, contender)
    container = raw["container"]
    processes = [*steps.values(), *([container] if container["collected"] else [])]
    if raw["strays"]["count"]:
        processes.append(raw["strays"])
    return {
        **{f"{name}-wall": _span(step) for name, step in steps.items()},
        "first-instruction-wall": at - int(steps["start"]["start"]),
        "exit-seen-wall": int(container["end"]) - at,
        "whole-wall": int(steps["delete"]["end"]) - int(steps["create"]["start"]),
        **{f"{name}-cpu": _cpu(step) for name, step in steps.items()},
        **_counts("whole", processes),
    }


def of_burst(raw: dict[str, Any]) -> Figures:
    """Return the figures of a burst of starts; failed ones are counted and not timed."""
    good = [each for each in raw["burst"] if each["status"] == 0 and "error" not in each]
    failures = len(raw["burst"]) - len(good)
    figures: Figures = {"failures": failures} if failures else {}
    if good:
        times = sorted(_span(each) for each in good)
        figures |= {
            "starts-per-second": len(good) * 1e9 / _span(raw),
            "p50-wall": quantile(times, 0.5),
            "p99-wall": quantile(times, 0.99),
            "start-cpu": sum(_cpu(each) for each in good) / len(good),
        }
    return figures


def quantile(ordered: list[int], part: float) -> int:
    """Return the smallest value that at least ``part`` of the values do not exceed."""
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def of_counters(kind: str, raw: dict[str, Any]) -> Figures:
    """Return what was counted in a sample apart from those whose times are kept."""
    name = {"steps": "whole"}.get(kind, kind)
    counted = raw.get("counters", {})
    return {f"{name}-{word}": int(value) for word, value in counted.items() if value is not None}
