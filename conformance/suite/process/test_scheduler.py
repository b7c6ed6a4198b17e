"""config.md, "Linux Process": ``scheduler``, its policies and their parameters."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import requirement
from seatrial.conformance.scheduling import POLICIES, real_time_cgroup
from seatrial.conformance.strategies.capabilities import users
from seatrial.conformance.strategies.scheduling import (
    deadlines,
    lower_nice_values,
    nice_values,
    priorities,
    unknown_policies,
)

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.runtime import Runtime
    from seatrial.conformance.spawn import Result

Attributes = dict[str, Any]

#: What a program has whose caller has nothing special.
PLAIN = {"policy": POLICIES["SCHED_OTHER"], "nice": 0, "priority": 0}

_BATCH_CALLER = (
    "import os, sys; os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0));"
    " os.execv(sys.argv[1], sys.argv[1:])"
)


def scheduled(harness: Harness, scheduler: Attributes, uid: int = 0) -> Config:
    """Return a config with ``scheduler``."""
    config = harness.config()
    config["process"]["user"]["uid"] = uid
    config["process"]["scheduler"] = scheduler
    return config


def called_with_nice(harness: Harness, value: int) -> Runtime:
    """Return the runtime called by a process with another nice value."""
    nice = ("nice", str(value))
    return harness.runtime.called_through(str(probe_binary()), "quiet", "+", *nice, "+", "exec")


def check(seen: Attributes, expected: Attributes, *, without: Attributes) -> None:
    """Compare what the program has with what it is to have, and with what it would have anyway."""
    found = {name: seen[name] for name in expected}
    if found != expected and found == {name: without[name] for name in expected}:
        raise Ignored(f"scheduler is accepted and changes nothing: {found}, not {expected}")
    assert found == expected


def check_refused(result: Result, what: str) -> None:
    """Judge the attempt to get something that the kernel, or the spec, does not have."""
    if result.ok:
        raise Ignored(f"{what} is accepted: {result!r}")


def run_in_real_time(harness: Harness, scheduler: Attributes) -> Attributes:
    """Run a container with a real-time policy, and return what its program had."""
    config = scheduled(harness, scheduler)
    path = config["linux"]["cgroupsPath"] = f"{harness.cgroup}/real-time"
    with harness.container(config) as container, real_time_cgroup(path):
        return _run(container)


def _run(container: Container) -> Attributes:
    created = container.create()
    assert created.ok, created
    started = container.start()
    assert started.ok, started
    attributes: Attributes = container.report().of_kernel("scheduler")
    deleted = container.delete()
    assert deleted.ok, deleted
    return attributes


# Policies


@requirement("config.process.scheduler.policy-present")
def test_a_scheduler_without_policy_is_recorded(harness: Harness) -> None:
    result = harness.attempt(scheduled(harness, {"nice": 1}))
    harness.note(f"scheduler without policy is {'refused' if result.failed else 'accepted'}")


@requirement("config.process.scheduler.policy.other")
@given(nice=lower_nice_values())
@settings(max_examples=5)
def test_other_takes_the_place_of_the_callers_policy(harness: Harness, nice: int) -> None:
    config = scheduled(harness, {"policy": "SCHED_OTHER", "nice": nice})
    runtime = harness.runtime.called_through(sys.executable, "-S", "-c", _BATCH_CALLER)
    seen = harness.run(config, runtime=runtime).of_kernel("scheduler")
    expected = {"policy": POLICIES["SCHED_OTHER"], "nice": nice}
    check(seen, expected, without=PLAIN | {"policy": POLICIES["SCHED_BATCH"]})


@requirement("config.process.scheduler.policy.batch")
@given(uid=users(), nice=lower_nice_values())
@settings(max_examples=10)
def test_batch_is_the_policy_of_the_program(harness: Harness, uid: int, nice: int) -> None:
    config = scheduled(harness, {"policy": "SCHED_BATCH", "nice": nice}, uid)
    seen = harness.run(config).of_kernel("scheduler")
    check(seen, {"policy": POLICIES["SCHED_BATCH"], "nice": nice}, without=PLAIN)


@requirement("config.process.scheduler.policy.idle")
@given(uid=users())
@settings(max_examples=5)
def test_idle_is_the_policy_of_the_program(harness: Harness, uid: int) -> None:
    seen = harness.run(scheduled(harness, {"policy": "SCHED_IDLE"}, uid)).of_kernel("scheduler")
    check(seen, {"policy": POLICIES["SCHED_IDLE"]}, without=PLAIN)


@requirement("config.process.scheduler.policy.fifo", "config.process.scheduler.priority")
@given(priority=priorities())
@settings(max_examples=5)
def test_fifo_and_its_priority_are_the_programs(harness: Harness, priority: int) -> None:
    seen = run_in_real_time(harness, {"policy": "SCHED_FIFO", "priority": priority})
    check(seen, {"policy": POLICIES["SCHED_FIFO"], "priority": priority}, without=PLAIN)


@requirement("config.process.scheduler.policy.rr", "config.process.scheduler.priority")
@given(priority=priorities())
@settings(max_examples=5)
def test_rr_and_its_priority_are_the_programs(harness: Harness, priority: int) -> None:
    seen = run_in_real_time(harness, {"policy": "SCHED_RR", "priority": priority})
    check(seen, {"policy": POLICIES["SCHED_RR"], "priority": priority}, without=PLAIN)


@requirement(
    "config.process.scheduler.policy.deadline", "config.process.scheduler.deadline-parameters"
)
@given(parameters=deadlines())
@settings(max_examples=10)
def test_deadline_and_its_parameters_are_the_programs(
    harness: Harness, parameters: dict[str, int]
) -> None:
    config = scheduled(harness, {"policy": "SCHED_DEADLINE", **parameters})
    seen = harness.run(config).of_kernel("scheduler")
    check(seen, {"policy": POLICIES["SCHED_DEADLINE"]}, without=PLAIN)
    assert {name: seen[f"{name}_ns"] for name in parameters} == parameters


@requirement("config.process.scheduler.policy.iso")
def test_iso_takes_effect_or_generates_an_error(harness: Harness) -> None:
    with harness.container(scheduled(harness, {"policy": "SCHED_ISO"})) as container:
        result = container.create()
        result = container.start() if result.ok else result
        if result.ok:
            seen = container.report().of_kernel("scheduler")
            check(seen, {"policy": POLICIES["SCHED_ISO"]}, without=PLAIN)


@requirement("config.process.scheduler.unknown-value-errors")
@given(policy=unknown_policies())
@settings(max_examples=10)
def test_an_unknown_policy_generates_an_error(harness: Harness, policy: str) -> None:
    check_refused(harness.attempt(scheduled(harness, {"policy": policy})), "an unknown policy")


# Parameters


@requirement("config.process.scheduler.nice")
@given(policy=st.sampled_from(["SCHED_OTHER", "SCHED_BATCH"]), nice=nice_values())
def test_nice_is_the_nice_value_of_the_program(harness: Harness, policy: str, nice: int) -> None:
    seen = harness.run(scheduled(harness, {"policy": policy, "nice": nice})).of_kernel("scheduler")
    check(seen, {"nice": nice}, without=PLAIN)


@requirement("config.process.scheduler.nice")
@given(policy=st.sampled_from(["SCHED_OTHER", "SCHED_BATCH"]), callers=lower_nice_values())
@settings(max_examples=10)
def test_nice_is_0_when_missing(harness: Harness, policy: str, callers: int) -> None:
    runtime = called_with_nice(harness, callers)
    report = harness.run(scheduled(harness, {"policy": policy}), runtime=runtime)
    seen = report.of_kernel("scheduler")
    check(seen, {"nice": 0}, without=PLAIN | {"nice": callers})


@requirement("config.process.scheduler.priority")
@given(policy=st.sampled_from(["SCHED_FIFO", "SCHED_RR"]))
@settings(max_examples=2)
def test_priority_is_0_when_missing_which_the_kernel_refuses(harness: Harness, policy: str) -> None:
    config = scheduled(harness, {"policy": policy})
    path = config["linux"]["cgroupsPath"] = f"{harness.cgroup}/real-time"
    with harness.container(config) as container, real_time_cgroup(path):
        result = container.create()
        result = container.start() if result.ok else result
        if result.ok:  # nobody is to be left in the cgroup
            container.wait()
        check_refused(result, f"{policy} without priority")


@requirement("config.process.scheduler.deadline-parameters")
@given(parameters=deadlines(), missing=st.sampled_from(["runtime", "deadline"]))
@settings(max_examples=5)
def test_runtime_and_deadline_are_0_when_missing_which_the_kernel_refuses(
    harness: Harness, parameters: dict[str, int], missing: str
) -> None:
    del parameters[missing]
    config = scheduled(harness, {"policy": "SCHED_DEADLINE", **parameters})
    check_refused(harness.attempt(config), f"SCHED_DEADLINE without {missing}")


@requirement("config.process.scheduler.deadline-parameters")
@given(parameters=deadlines())
@settings(max_examples=5)
def test_period_is_0_when_missing_which_the_kernel_takes_for_the_deadline(
    harness: Harness, parameters: dict[str, int]
) -> None:
    del parameters["period"]
    config = scheduled(harness, {"policy": "SCHED_DEADLINE", **parameters})
    seen = harness.run(config).of_kernel("scheduler")
    check(seen, {"policy": POLICIES["SCHED_DEADLINE"]}, without=PLAIN)
    assert seen["period_ns"] == parameters["deadline"]
