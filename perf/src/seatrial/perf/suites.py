"""The suites: which cases each has, and how often they are done."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from seatrial.perf import configs, filters, rungs
from seatrial.perf.cases import Case
from seatrial.perf.schedule import Size

if TYPE_CHECKING:
    from collections.abc import Callable

_FILTER_NAMES = 400
#: Mounts of the host beside its own.
_TABLE = 1000
#: Mounts of the config beside the usual; layers of the root filesystem.
_NUMBERS = (1, 10, 50)


def _none() -> list[Case]:
    return []


@dataclass(frozen=True)
class Suite:
    """One suite: its cases, the size of a run with no options, and of a quick one."""

    name: str
    about: str
    cases: Callable[[], list[Case]]
    size: Size
    quick: Size
    #: Cases that need the names of system calls; it raises ``filters.NoNamesError`` without them.
    filtered: Callable[[], list[Case]] = _none


def _lifecycle() -> list[Case]:
    plain = Case("lifecycle", "plain", "run", configs.plain(), floor=True, again=True, modes=True)
    netns = replace(plain, name="netns", config=configs.with_network(), again=False)
    return _with_steps([plain, netns])


def _lifecycle_filtered() -> list[Case]:
    names, architectures = filters.choose(_FILTER_NAMES)
    config = configs.with_filter(names, architectures)
    name = f"seccomp{_FILTER_NAMES}"
    case = Case("lifecycle", name, "run", config, filtered=tuple(names), floor=True, modes=True)
    return _with_steps([case])


def _with_steps(runs: list[Case]) -> list[Case]:
    return [*runs, *(replace(each, kind="steps", floor=False) for each in runs)]


def _axes() -> list[Case]:
    plain = Case("axes", "plain", "run", configs.plain(), floor=True)
    return [
        plain,
        replace(plain, name="userns", config=configs.with_user_namespace()),
        replace(plain, name="rootless", config=configs.rootless(), rootless=True),
        *(
            replace(plain, name=f"mounts{count}", config=configs.with_mounts(count))
            for count in _NUMBERS
        ),
        *(replace(plain, name=f"layers{count}", layers=count) for count in _NUMBERS),
        replace(plain, name=f"mount-table{_TABLE}", table=_TABLE),
    ]


def _floor() -> list[Case]:
    plain = configs.plain()
    return [
        Case(
            "floor",
            f"{number}-{rung}",
            "run",
            plain,
            floor=True,
            runtimes=False,
            orders=rung,
        )
        for number, rung in enumerate(rungs.LADDER, 1)
    ]


def _micro() -> list[Case]:
    return [_step(name) for name in rungs.micro_names()]


def _micro_filtered() -> list[Case]:
    filters.numbers()
    return [_step(name) for name in rungs.FILTERS]


def _step(name: str) -> Case:
    return Case("micro", name, "micro", configs.plain(), floor=True, runtimes=False, orders=name)


def _scaling() -> list[Case]:
    most = 2 * len(os.sched_getaffinity(0))
    return [
        Case("scaling", str(number), "burst", configs.plain(), floor=True, number=number)
        for number in range(1, most + 1)
    ]


def _density() -> list[Case]:
    return [
        Case("density", str(number), "density", configs.plain(), number=number) for number in (8,)
    ]


def _exec() -> list[Case]:
    return [Case("exec", "plain", "exec", configs.plain(), again=True)]


def _engine() -> list[Case]:
    return [
        Case("engine", "plain", "run", configs.plain(), runtimes=False, engines=True, floor=True)
    ]


def _tax() -> list[Case]:
    return [Case("tax", "version", "version", configs.plain())]


SUITES = {
    each.name: each
    for each in (
        Suite(
            "micro",
            "single steps of the kernel",
            _micro,
            Size(15, 20),
            Size(2, 10),
            _micro_filtered,
        ),
        Suite("floor", "the kernel's work, step by step", _floor, Size(20, 5), Size(3, 3)),
        Suite(
            "lifecycle",
            "create, start, delete; run",
            _lifecycle,
            Size(30, 5),
            Size(5, 2),
            _lifecycle_filtered,
        ),
        Suite("axes", "what configs add", _axes, Size(20, 2), Size(2, 1)),
        Suite("scaling", "several starts at once", _scaling, Size(15, 1), Size(1, 1)),
        Suite("density", "memory per idle container", _density, Size(10, 1), Size(1, 1)),
        Suite("exec", "a program more in a container", _exec, Size(20, 3), Size(3, 2)),
        Suite(
            "engine",
            "podman run, docker run, docker run on seatriald",
            _engine,
            Size(15, 2),
            Size(2, 1),
        ),
        Suite("tax", "--version, so nothing but start-up", _tax, Size(20, 3), Size(3, 2)),
    )
}
#: What is done when no suite is named.
DEFAULT = ("lifecycle", "axes", "floor", "micro", "scaling", "density", "exec", "engine", "tax")
