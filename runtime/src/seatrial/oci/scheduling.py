"""When the process gets the CPU and the disk (config.md, "Linux Process")."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from seatrial.oci.errors import ConfigError
from seatrial.oci.operations import Kind, Op, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Process, Scheduler

#: sched_setattr(2).
POLICIES = {
    "SCHED_OTHER": 0,
    "SCHED_FIFO": 1,
    "SCHED_RR": 2,
    "SCHED_BATCH": 3,
    "SCHED_ISO": 4,
    "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}
FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 1,
    "SCHED_FLAG_RECLAIM": 2,
    "SCHED_FLAG_DL_OVERRUN": 4,
    "SCHED_FLAG_KEEP_POLICY": 8,
    "SCHED_FLAG_KEEP_PARAMS": 16,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 32,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 64,
}
#: ioprio_set(2).
IO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
REAL_TIME = {"SCHED_FIFO", "SCHED_RR"}
#: sched(7)
_NICE, _PRIORITIES, _LEAST_RUNTIME_NS = range(-20, 20), range(1, 100), 1024
BASE = "/process/scheduler"


def check(process: Process) -> None:
    """Refuse what sched_setattr(2) and ioprio_set(2) would not take on any host."""
    scheduler, priority = process.scheduler, process.io_priority
    if priority is not None and priority.class_ not in IO_CLASSES:
        raise ConfigError("/process/ioPriority/class", f"unknown class {priority.class_!r}")
    if scheduler is None:
        return
    policy = scheduler.policy
    if policy not in POLICIES:
        raise ConfigError(f"{BASE}/policy", f"unknown policy {policy!r}")
    if policy == "SCHED_ISO":
        raise ConfigError(f"{BASE}/policy", "SCHED_ISO is reserved: no Linux kernel has it")
    for number, name in enumerate(scheduler.flags):
        if name not in FLAGS:
            raise ConfigError(f"{BASE}/flags/{number}", f"unknown flag {name!r}")
    if scheduler.nice not in _NICE:
        raise ConfigError(f"{BASE}/nice", f"{scheduler.nice} is not between -20 and 19")
    if policy in REAL_TIME and scheduler.priority not in _PRIORITIES:
        raise ConfigError(f"{BASE}/priority", f"{policy} has the priorities 1 to 99")
    if policy not in REAL_TIME and scheduler.priority:
        raise ConfigError(f"{BASE}/priority", f"{policy} has no priorities")
    _check_deadline(scheduler)


def _check_deadline(scheduler: Scheduler) -> None:
    if scheduler.policy != "SCHED_DEADLINE":
        for name in ("runtime", "deadline", "period"):
            if getattr(scheduler, name):
                what = f"is for SCHED_DEADLINE, not {scheduler.policy}"
                raise ConfigError(f"{BASE}/{name}", what)
        return
    period = scheduler.period or scheduler.deadline
    if not _LEAST_RUNTIME_NS <= scheduler.runtime <= scheduler.deadline <= period < 2**63:
        raise ConfigError(
            BASE, "SCHED_DEADLINE needs 1024 ≤ runtime ≤ deadline ≤ period, in nanoseconds"
        )


def compile(process: Process, *, stage: Stage, foreign: bool) -> Iterator[Op]:  # noqa: A001
    """Yield what is set in ``stage``; ``foreign`` says that the container has a user namespace.

    What takes a capability of the host's user namespace is set by the runtime there.  All else, and
    a deadline, with which a process cannot fork, is set by the process itself shortly before exec.
    """
    scheduler, priority = process.scheduler, process.io_priority
    if scheduler is not None:
        privileged = scheduler.policy in REAL_TIME or scheduler.nice < 0
        if stage == (Stage.ADOPT if foreign and privileged else Stage.START):
            yield _scheduler(scheduler, stage)
    if priority is not None:
        privileged = priority.class_ == "IOPRIO_CLASS_RT"
        if stage == (Stage.ADOPT if foreign and privileged else Stage.START):
            yield Op(
                Kind.IO_PRIORITY,
                stage,
                f"set the I/O priority of the process group to {priority.class_} "
                f"{priority.priority}",
                "/process/ioPriority",
                numbers=(IO_CLASSES[priority.class_] << 13 | priority.priority,),
            )


def _scheduler(scheduler: Scheduler, stage: Stage) -> Op:
    flags = 0
    for name in scheduler.flags:
        flags |= FLAGS[name]
    if scheduler.policy in REAL_TIME:
        how = f" with priority {scheduler.priority}"
    elif scheduler.policy == "SCHED_DEADLINE":
        how = f" with {scheduler.runtime} ns in every {scheduler.period or scheduler.deadline} ns"
    else:
        how = f" with nice value {scheduler.nice}"
    return Op(
        Kind.SCHEDULER,
        stage,
        f"be scheduled by {scheduler.policy}{how}",
        BASE,
        flags=POLICIES[scheduler.policy],
        blob=struct.pack("<ii", scheduler.nice, scheduler.priority),
        numbers=(flags, scheduler.runtime, scheduler.deadline, scheduler.period),
    )
