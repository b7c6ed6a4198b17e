"""config.md, "Linux Process": ``ioPriority``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings

from seatrial.conformance import report
from seatrial.conformance.config import without
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.strategies.capabilities import users
from seatrial.conformance.strategies.scheduling import (
    IO_CLASSES,
    io_levels,
    unknown_io_classes,
    wrong_io_levels,
)

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

#: What a process has that was given none: class and level say so (ioprio_set(2)).
NONE = {"class": 0, "level": 0}


def prioritized(harness: Harness, class_: Any, priority: Any, uid: int = 0) -> Config:
    """Return a config with ``ioPriority``, whose program reports, as does its child."""
    config = harness.config("fork-report", "+", "report")
    config["process"]["user"]["uid"] = uid
    config["process"]["ioPriority"] = {"class": class_, "priority": priority}
    return config


def check_both(harness: Harness, config: Config, expected: dict[str, int]) -> None:
    """Run the container and compare the I/O priority of its program and of a child of that."""
    with harness.created(config) as container:
        started = container.start()
        assert started.ok, started
        child, init = map(report.parse, container.output().splitlines())
        for seen in (init.of_kernel("io_priority"), child.of_kernel("io_priority")):
            if {name: seen[name] for name in NONE} == NONE:
                raise Ignored("ioPriority is accepted and changes nothing")
            assert {name: seen[name] for name in expected} == expected


@requirement("config.process.io-priority.applied")
@needs("cap:sys_nice")
@given(uid=users(), level=io_levels())
@settings(max_examples=10)
def test_rt_and_its_level_are_those_of_every_process(
    harness: Harness, uid: int, level: int
) -> None:
    config = prioritized(harness, "IOPRIO_CLASS_RT", level, uid)
    check_both(harness, config, {"class": IO_CLASSES["IOPRIO_CLASS_RT"], "level": level})


@requirement("config.process.io-priority.applied")
@given(uid=users(), level=io_levels())
@settings(max_examples=10)
def test_be_and_its_level_are_those_of_every_process(
    harness: Harness, uid: int, level: int
) -> None:
    config = prioritized(harness, "IOPRIO_CLASS_BE", level, uid)
    check_both(harness, config, {"class": IO_CLASSES["IOPRIO_CLASS_BE"], "level": level})


@requirement("config.process.io-priority.applied")
@given(uid=users(), level=io_levels())
@settings(max_examples=5)
def test_idle_is_the_class_of_every_process(harness: Harness, uid: int, level: int) -> None:
    # The idle class has no levels (ioprio_set(2)).
    config = prioritized(harness, "IOPRIO_CLASS_IDLE", level, uid)
    check_both(harness, config, {"class": IO_CLASSES["IOPRIO_CLASS_IDLE"]})


@requirement("config.process.io-priority.class-present")
@given(class_=unknown_io_classes())
@settings(max_examples=10)
def test_an_unknown_class_generates_an_error(harness: Harness, class_: str) -> None:
    result = harness.attempt(prioritized(harness, class_, 4))
    if result.ok:
        raise Ignored(f"an unknown class is accepted: {result!r}")


@requirement("config.process.io-priority.level-present")
@given(level=wrong_io_levels())
@settings(max_examples=10)
def test_a_level_out_of_range_generates_an_error(harness: Harness, level: int) -> None:
    result = harness.attempt(prioritized(harness, "IOPRIO_CLASS_BE", level))
    if result.ok:
        raise Ignored(f"a level out of range is accepted: {result!r}")


@pytest.mark.parametrize(
    "member",
    [
        pytest.param("class", marks=requirement("config.process.io-priority.class-present")),
        pytest.param("priority", marks=requirement("config.process.io-priority.level-present")),
    ],
)
def test_the_reaction_to_a_missing_member_is_recorded(harness: Harness, member: str) -> None:
    config = without(prioritized(harness, "IOPRIO_CLASS_BE", 4), "process", "ioPriority", member)
    result = harness.attempt(config)
    harness.note(f"ioPriority without {member} is {'refused' if result.failed else 'accepted'}")
