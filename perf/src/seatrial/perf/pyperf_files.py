"""Samples as pyperf's suites: one file per contender, one benchmark per figure, a run per block."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyperf

from seatrial.perf import figures
from seatrial.perf.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from seatrial.perf.samples import Line

#: A contender's figure in a case: contender, suite, case, figure.
Key = tuple[str, str, str, str]
_SECOND = 1e9


@dataclass(frozen=True)
class Block:
    """One contender's values of one figure in one block."""

    number: int
    position: int
    date: str
    values: tuple[float, ...]
    warmups: tuple[float, ...]


def file_name(contender: str) -> str:
    """Return the name of a contender's file."""
    return f"{contender}.json"


def blocks(lines: Iterable[Line]) -> tuple[dict[Key, list[Block]], list[str]]:
    """Return each figure's blocks, and what was left out.

    A block counts if it has as many values as most others of the figure: pyperf compares runs of
    one length.  A turn that was done again after the run was resumed counts by its last attempt.
    """
    attempts: dict[tuple[str, str, str, str, int], dict[int, list[Line]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for line in lines:
        turn = (line["contender"], line["suite"], line["case"], line["kind"], line["block"])
        attempts[turn][line["attempt"]].append(line)
    found: dict[Key, list[Block]] = defaultdict(list)
    for (contender, suite, case, _kind, number), tried in attempts.items():
        last = tried[max(tried)]
        if any("error" in line for line in last):
            continue
        values: dict[str, list[float]] = defaultdict(list)
        warmups: dict[str, list[float]] = defaultdict(list)
        for line in last:
            target = warmups if line.get("warmup") else values
            for figure, value in line["figures"].items():
                target[figure].append(_scaled(figure, value))
        for figure, those in values.items():
            position, date = last[0]["position"], last[0]["date"]
            block = Block(number, position, date, tuple(those), tuple(warmups[figure]))
            found[contender, suite, case, figure].append(block)
    return _even(found)


def _scaled(figure: str, value: float) -> float:
    return value / _SECOND if figures.unit(figure) == "second" else value


def _even(found: dict[Key, list[Block]]) -> tuple[dict[Key, list[Block]], list[str]]:
    kept: dict[Key, list[Block]] = {}
    left_out: list[str] = []
    for key, those in sorted(found.items()):
        counts = [len(each.values) for each in those]
        usual = max(set(counts), key=counts.count)
        # pyperf takes no zero; a figure that is sometimes zero stays in the samples.
        good = [e for e in those if len(e.values) == usual and min(e.values) > 0]
        if len(good) < len(those):
            what = "/".join(key[1:])
            left_out.append(
                f"{key[0]}: {what}: {len(those) - len(good)} of {len(those)} blocks are in the"
                " samples only (cut short, or with a value of zero)"
            )
        if good:
            kept[key] = sorted(good, key=lambda each: each.number)
    return kept, left_out


def suite(
    contender: str, found: dict[Key, list[Block]], about: dict[str, Any], machine: dict[str, Any]
) -> pyperf.BenchmarkSuite | None:
    """Return a contender's suite; ``None`` where nothing came of it."""
    benchmarks = []
    for (name, suite_name, case, figure), those in found.items():
        if name != contender:
            continue
        metadata = {
            "name": f"{suite_name}/{case}/{figure}",
            "unit": figures.unit(figure),
            "runtime": contender,
            "runtime_version": about.get("version", "-"),
            "suite": suite_name,
            "case": case,
            "phase": figure,
            **_machine(machine),
        }
        runs = [
            pyperf.Run(
                list(each.values),
                warmups=[(1, value) for value in each.warmups] or None,
                metadata=metadata
                | {"block": each.number, "position": each.position, "date": each.date},
                collect_metadata=False,
            )
            for each in those
        ]
        benchmarks.append(pyperf.Benchmark(runs))
    return pyperf.BenchmarkSuite(benchmarks) if benchmarks else None


def _machine(machine: dict[str, Any]) -> dict[str, Any]:
    known = {
        "platform": f"Linux-{machine.get('kernel')}-{machine.get('machine')}",
        "cpu_model_name": machine.get("cpu_model"),
        "cpu_count": machine.get("cpu_count"),
    }
    return {key: value for key, value in known.items() if value}


def write(
    folder: Path, found: dict[Key, list[Block]], contenders: dict[str, Any], machine: dict[str, Any]
) -> list[Path]:
    """Write the files, each as a whole or not at all; raises ``RunError``."""
    written = []
    for contender, about in contenders.items():
        made = suite(contender, found, about, machine)
        if made is None:
            continue
        path = folder / file_name(contender)
        fresh = folder / f".{contender}.{os.getpid()}"
        try:
            made.dump(str(fresh), replace=True)
            fresh.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise RunError(
                f"cannot write {path}: {error.strerror}",
                hint="the samples are kept; make room, then write it with --resume",
            ) from None
        written.append(path)
    return written
