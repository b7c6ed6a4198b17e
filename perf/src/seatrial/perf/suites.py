"""The suites: which cases each has, and how often they are done."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.perf import configs, filters, rungs
from seatrial.perf.cases import Case
from seatrial.perf.schedule import Size

if TYPE_CHECKING:
    from collections.abc import Callable

_FILTER_NAMES = 400
_TABLE = 1000


@dataclass(frozen=True)
class Suite:
    """One suite: its cases, the size of a run with no options, and of a quick one."""

    name: str
    about: str
    cases: Callable[[], list[Case]]
    size: Size
    quick: Size


def _lifecycle() -> list[Case]:
    plain = configs.plain()
    return [
        Case("lifecycle", "plain", "run", plain, floor=True, again=True),
        Case("lifecycle", "plain", "steps", plain, again=True),
    ]


def _axes() -> list[Case]:
    def case(name: str, config: configs.Config, *, table: int = 0) -> Case:
        return Case("axes", name, "run", config, floor=True, table=table)

    found = [
        case("netns", configs.with_network()),
        case("userns", configs.with_user_namespace()),
        *(case(f"mounts{count}", configs.with_mounts(count)) for count in (1, 10, 50)),
        case(f"mount-table{_TABLE}", configs.plain(), table=_TABLE),
    ]
    names, architectures = filters.choose(_FILTER_NAMES)
    config = configs.with_filter(names, architectures)
    filtered = Case(
        "axes", f"seccomp{_FILTER_NAMES}", "run", config, filtered=tuple(names), floor=True
    )
    return [*found, filtered]


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
    plain = configs.plain()
    return [
        Case("micro", name, "micro", plain, floor=True, runtimes=False, orders=name)
        for name in rungs.micro_names()
    ]


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
        Suite("micro", "single steps of the kernel", _micro, Size(5, 40), Size(2, 10)),
        Suite("floor", "the kernel's work, step by step", _floor, Size(20, 5), Size(3, 3)),
        Suite("lifecycle", "create, start, delete; run", _lifecycle, Size(30, 5), Size(5, 2)),
        Suite("axes", "what configs add", _axes, Size(15, 2), Size(2, 1)),
        Suite("scaling", "several starts at once", _scaling, Size(5, 1), Size(1, 1)),
        Suite("density", "memory per idle container", _density, Size(3, 1), Size(1, 1)),
        Suite("exec", "a program more in a container", _exec, Size(20, 3), Size(3, 2)),
        Suite("engine", "podman run, docker run", _engine, Size(10, 2), Size(2, 1)),
        Suite("tax", "--version, so nothing but start-up", _tax, Size(20, 3), Size(3, 2)),
    )
}
#: What is done when no suite is named.
DEFAULT = ("lifecycle", "axes", "floor", "micro", "scaling", "density", "exec", "engine", "tax")
