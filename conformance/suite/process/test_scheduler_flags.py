"""config.md, "Linux Process": ``scheduler.flags``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings

from seatrial.conformance import facts
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import requirement
from seatrial.conformance.scheduling import FLAGS, POLICIES
from seatrial.conformance.strategies.scheduling import deadlines, lower_nice_values, unknown_flags

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness

Attributes = dict[str, Any]

OTHER, BATCH = POLICIES["SCHED_OTHER"], POLICIES["SCHED_BATCH"]
RESET_ON_FORK = FLAGS["SCHED_FLAG_RESET_ON_FORK"]


def run_with(harness: Harness, **scheduler: Any) -> Attributes:
    """Run a container with ``scheduler``, and return what its program had."""
    config = harness.config()
    config["process"]["scheduler"] = scheduler
    attributes: Attributes = harness.run(config).of_kernel("scheduler")
    if (attributes["policy"], attributes["nice"], attributes["flags"]) == (OTHER, 0, 0):
        raise Ignored("scheduler is accepted and changes nothing")
    return attributes


@requirement("config.process.scheduler.flag.reset-on-fork")
@given(nice=lower_nice_values())
@settings(max_examples=5)
def test_reset_on_fork_is_a_flag_of_the_program(harness: Harness, nice: int) -> None:
    flags = ["SCHED_FLAG_RESET_ON_FORK"]
    seen = run_with(harness, policy="SCHED_BATCH", nice=nice, flags=flags)
    assert (seen["policy"], seen["nice"], seen["flags"]) == (BATCH, nice, RESET_ON_FORK)


@requirement("config.process.scheduler.flag.reclaim")
@given(parameters=deadlines())
@settings(max_examples=5)
def test_reclaim_is_a_flag_of_the_program(harness: Harness, parameters: dict[str, int]) -> None:
    flags = ["SCHED_FLAG_RECLAIM"]
    seen = run_with(harness, policy="SCHED_DEADLINE", flags=flags, **parameters)
    assert seen["flags"] == FLAGS["SCHED_FLAG_RECLAIM"]


@requirement("config.process.scheduler.flag.dl-overrun")
@given(parameters=deadlines())
@settings(max_examples=5)
def test_dl_overrun_is_a_flag_of_the_program(harness: Harness, parameters: dict[str, int]) -> None:
    flags = ["SCHED_FLAG_DL_OVERRUN"]
    seen = run_with(harness, policy="SCHED_DEADLINE", flags=flags, **parameters)
    assert seen["flags"] == FLAGS["SCHED_FLAG_DL_OVERRUN"]


@requirement(
    "config.process.scheduler.flag.reclaim",
    "config.process.scheduler.flag.dl-overrun",
    "config.process.scheduler.flag.reset-on-fork",
)
@given(parameters=deadlines())
@settings(max_examples=2)
def test_flags_are_given_together(harness: Harness, parameters: dict[str, int]) -> None:
    flags = ["SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM"]
    seen = run_with(harness, policy="SCHED_DEADLINE", flags=flags, **parameters)
    assert seen["flags"] == sum(FLAGS[flag] for flag in flags)


@requirement("config.process.scheduler.flag.keep-policy")
@given(nice=lower_nice_values())
@settings(max_examples=5)
def test_keep_policy_keeps_the_callers_policy(harness: Harness, nice: int) -> None:
    flags = ["SCHED_FLAG_KEEP_POLICY"]
    seen = run_with(harness, policy="SCHED_BATCH", nice=nice, flags=flags)
    # The nice value shows that the rest of the property went to the kernel.
    assert (seen["policy"], seen["nice"]) == (OTHER, nice)


@requirement("config.process.scheduler.flag.keep-params")
@given(nice=lower_nice_values())
@settings(max_examples=5)
def test_keep_params_keeps_the_callers_parameters(harness: Harness, nice: int) -> None:
    flags = ["SCHED_FLAG_KEEP_PARAMS", "SCHED_FLAG_RESET_ON_FORK"]
    seen = run_with(harness, policy="SCHED_BATCH", nice=nice, flags=flags)
    # The other flag shows that the property went to the kernel.
    assert (seen["nice"], seen["flags"]) == (0, RESET_ON_FORK)


@pytest.mark.parametrize(
    "flag",
    [
        pytest.param(
            "SCHED_FLAG_UTIL_CLAMP_MIN",
            marks=requirement("config.process.scheduler.flag.util-clamp-min"),
        ),
        pytest.param(
            "SCHED_FLAG_UTIL_CLAMP_MAX",
            marks=requirement("config.process.scheduler.flag.util-clamp-max"),
        ),
    ],
)
def test_util_clamp_is_given_to_the_kernel(harness: Harness, flag: str) -> None:
    config = harness.config()
    config["process"]["scheduler"] = {"policy": "SCHED_BATCH", "nice": 1, "flags": [flag]}
    with harness.container(config) as container:
        result = container.create()
        result = container.start() if result.ok else result
        accepted = result.ok and container.report().of_kernel("scheduler")
    if accepted and accepted["policy"] != BATCH:
        raise Ignored("scheduler is accepted and changes nothing")
    if facts.need("uclamp"):
        # Which values would go with it the spec does not say.
        harness.note(f"{flag} is {'accepted' if accepted else 'refused'}")
    else:
        # The kernel does not have it (sched_setattr(2), EOPNOTSUPP), so nobody can apply it.
        assert not accepted


@requirement("config.process.scheduler.unknown-value-errors")
@given(flag=unknown_flags())
@settings(max_examples=10)
def test_an_unknown_flag_generates_an_error(harness: Harness, flag: str) -> None:
    config = harness.config()
    config["process"]["scheduler"] = {"policy": "SCHED_OTHER", "flags": [flag]}
    result = harness.attempt(config)
    if result.ok:
        raise Ignored(f"an unknown flag is accepted: {result!r}")
