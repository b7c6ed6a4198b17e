"""A results folder, read whole: the machine, the figures, what failed, what is missing."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from seatrial.perf import samples
from seatrial.perf.contenders import AGAIN, FLOOR
from seatrial.perf.errors import UsageError
from seatrial.perf.metrics import Metric, case_order, contender_order, suite_order
from seatrial.perf.results_folder import ENVIRONMENT, FORMAT, SKIPPED
from seatrial.perf.samples import COMPRESSED
from seatrial.perf.samples import NAME as SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True)
class Series:
    """One contender's figures in one benchmark, by block, in the order in which they were taken."""

    metric: Metric
    unit: str
    blocks: dict[int, tuple[float, ...]]

    @cached_property
    def values(self) -> tuple[float, ...]:
        """All figures."""
        return tuple(value for number in sorted(self.blocks) for value in self.blocks[number])


@dataclass(frozen=True)
class Contender:
    """What was measured of one runtime."""

    name: str
    version: str
    series: dict[Metric, Series]

    @property
    def twin_of(self) -> str | None:
        """Whose second half of an A/A pair it is."""
        return self.name.removesuffix(AGAIN) if self.name.endswith(AGAIN) else None


@dataclass(frozen=True)
class Skipped:
    """What was not measured: a contender, or one of its cases, and why."""

    contender: str
    case: str
    reason: str


@dataclass(frozen=True)
class Results:
    """A results folder. ``failures`` counts, by contender, the samples that came to nothing."""

    path: Path
    environment: dict[str, Any]
    contenders: dict[str, Contender]
    skipped: tuple[Skipped, ...]
    failures: dict[str, int]
    #: What is not as it should be, but leaves the rest readable.
    remarks: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a folder; raises ``UsageError`` naming the file that cannot be read, and why."""
        if not path.is_dir():
            raise UsageError(
                f"{path} is not a results folder",
                hint="`seatrial bench run` makes one: a folder with environment.json in it",
            )
        environment = _environment(path / ENVIRONMENT)
        complete = environment["complete"]
        contenders = {}
        for file in sorted([*path.glob("*.json"), *path.glob("*.json.gz")]):
            if file.name not in {ENVIRONMENT, SKIPPED}:
                found = _contender(file)
                contenders[found.name] = found
        failures, remarks = _failures(path)
        skipped = _skipped(path / SKIPPED)
        if complete and not contenders and not skipped:
            raise UsageError(f"{path} says that it is complete, but holds no contender")
        names = sorted(contenders, key=contender_order)
        return cls(
            path, environment, {name: contenders[name] for name in names}, skipped, failures,
            (*_said(environment, "notes"), *_said(environment, "left_out"), *remarks),
        )  # fmt: skip

    @property
    def complete(self) -> bool:
        """Whether the run came to its end."""
        return bool(self.environment["complete"])

    def contender(self, name: str) -> Contender:
        """Return a contender; raises ``UsageError`` with the names that there are."""
        found = self.contenders.get(name)
        if found is not None:
            return found
        for each in self.skipped:
            if each.contender == name:
                raise UsageError(f"{self.path} has no figures of {name}: {each.reason}")
        known = ", ".join(self.contenders) or "nothing"
        raise UsageError(f"{self.path} has no figures of {name}", hint=f"it has: {known}")

    @cached_property
    def cases(self) -> dict[tuple[str, str], list[str]]:
        """The metrics of every case of every suite, in the order in which they are shown."""
        found: dict[tuple[str, str], list[str]] = {}
        for contender in self.contenders.values():
            for metric in contender.series:
                names = found.setdefault((metric.suite, metric.case), [])
                if metric.name not in names:
                    names.append(metric.name)
        order = sorted(found, key=lambda place: (suite_order(place[0]), case_order(place[1])))
        return {place: found[place] for place in order}

    def reference(self, name: str, metric: Metric) -> dict[int, tuple[float, ...]]:
        """Return the blocks of a contender that others' are held against; none if it has none.

        The floor has one way to do it all, so that what takes three commands is held against it.
        """
        contender = self.contenders.get(name)
        if contender is None:
            return {}
        found = contender.series.get(metric)
        if found is None and name == FLOOR and metric.name == "whole-wall":
            found = contender.series.get(Metric(metric.suite, metric.case, "run-wall"))
        return {} if found is None else found.blocks

    def having(self, metric: Metric) -> list[Contender]:
        """Return the contenders that have figures of a benchmark."""
        return [each for each in self.contenders.values() if metric in each.series]


def newest(folder: Path) -> Path:
    """Return the results folder in ``folder`` that was started last; raises ``UsageError``."""
    found = [(_started(file), file.parent) for file in folder.glob(f"*/{ENVIRONMENT}")]
    if not found:
        raise UsageError(f"there is no results folder in {folder}", hint="name one")
    return max(found)[1]


def _started(file: Path) -> str:
    try:
        return str(_environment(file).get("started", ""))
    except UsageError:
        return ""


def _said(environment: dict[str, Any], name: str) -> list[str]:
    found = environment.get(name)
    return [str(each) for each in found] if isinstance(found, list) else []


def _json(file: Path) -> Any:  # noqa: ANN401 - what JSON holds
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is damaged or cut off: {_sentence(error)}") from None


def _environment(file: Path) -> dict[str, Any]:
    found = _json(file)
    if not isinstance(found, dict):
        raise UsageError(f"{file} is not a JSON object")
    if found.get("format") != FORMAT:
        raise UsageError(
            f"{file} is of format {found.get('format')}; this version of Seatrial reads {FORMAT}"
        )
    if not isinstance(found.get("complete"), bool):
        raise UsageError(f"{file} does not say whether the run is complete")
    return found


def _contender(file: Path) -> Contender:
    import pyperf  # noqa: PLC0415 - takes a tenth of a second, which `seatrial --help` has not

    try:
        suite = pyperf.BenchmarkSuite.load(str(file))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{file} is no pyperf suite, or cut off: {_sentence(error)}") from None
    series = {}
    version = ""
    for benchmark in suite.get_benchmarks():
        found = _series(file, benchmark)
        series[found.metric] = found
        version = version or str(benchmark.get_metadata().get("runtime_version", ""))
    return Contender(file.name.partition(".json")[0], version, series)


def _series(file: Path, benchmark: Any) -> Series:  # noqa: ANN401 - pyperf has no types
    name = str(benchmark.get_name())
    try:
        metric = Metric.parse(name)
    except ValueError as error:
        raise UsageError(f"{file}: benchmark {error}") from None
    blocks: dict[int, tuple[float, ...]] = {}
    for run in benchmark.get_runs():
        block = run.get_metadata().get("block")
        if not isinstance(block, int):
            raise UsageError(f"{file}: a run of {name} does not say which block it is of")
        if block in blocks:
            raise UsageError(f"{file}: block {block} of {name} is there twice")
        if not run.values or not all(map(math.isfinite, run.values)):
            raise UsageError(f"{file}: block {block} of {name} has no figures, or infinite ones")
        blocks[block] = tuple(map(float, run.values))
    counts = set(map(len, blocks.values()))
    if len(counts) > 1:
        raise UsageError(
            f"{file}: the blocks of {name} have from {min(counts)} to {max(counts)} figures,"
            " which must be equally many"
        )
    return Series(metric, str(benchmark.get_unit()), blocks)


def _skipped(file: Path) -> tuple[Skipped, ...]:
    if not file.exists():
        return ()
    found = _json(file)
    try:
        return tuple(
            Skipped(str(each["contender"]), str(each.get("case", "")), str(each["reason"]))
            for each in found
        )
    except (TypeError, KeyError, AttributeError):
        raise UsageError(f"{file} is not a list of contenders and reasons") from None


def _failures(folder: Path) -> tuple[dict[str, int], list[str]]:
    """Count the lines with an error. Lines that were cut off (a killed run, resumed) are lost."""
    failures: dict[str, int] = {}
    lost = 0
    if not any((folder / name).exists() for name in (SAMPLES, COMPRESSED)):
        return {}, [f"{SAMPLES} is missing: failed samples are not counted"]
    content = samples.content_of(folder)
    for line in filter(None, content.split(b"\n")):
        try:
            sample = json.loads(line)
        except (ValueError, RecursionError):
            lost += 1
            continue
        if isinstance(sample, dict) and "error" in sample:
            name = str(sample.get("contender", "?"))
            failures[name] = failures.get(name, 0) + 1
    lines = "1 line is" if lost == 1 else f"{lost} lines are"
    return failures, [f"{lines} cut off in {SAMPLES}"] if lost else []


def _sentence(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


def common(first: Iterable[Metric], second: Iterable[Metric]) -> list[Metric]:
    """Return the benchmarks that are in both, in the order in which they are shown."""
    both = set(first) & set(second)
    return sorted(
        both, key=lambda each: (suite_order(each.suite), case_order(each.case), each.name)
    )
