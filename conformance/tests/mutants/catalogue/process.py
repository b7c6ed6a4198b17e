"""Mutants for config.md: members of process, hooks and names that do not what they say."""

from __future__ import annotations

from typing import Any

from conformance.tests.mutants.mutation import (
    altered,
    edited,
    ignoring,
    objects,
    of,
    plan,
    replacing,
)

from seatrial.oci import scheduling
from seatrial.oci.operations import Kind, Op

PROCESS = "/process"
#: Member, what is taken for it (nothing: it is left out), and its row.
for member, value, row in (
    ("cwd", "/", "cwd-applied"),
    ("env", None, "env-applied"),
    ("noNewPrivileges", None, "no-new-privileges.true"),
    ("ioPriority", None, "io-priority.applied"),
    ("user/uid", 0, "user.uid-applied"),
    ("user/gid", 0, "user.gid-applied"),
    ("user/umask", None, "user.umask-applied"),
    ("user/additionalGids", None, "user.additional-gids-applied"),
    ("scheduler/nice", None, "scheduler.nice"),
    ("scheduler/flags", None, "scheduler.flag.reset-on-fork"),
):
    name = f"ignores-{member.replace('/', '-')}".lower()
    if value is None:
        ignoring(name, f"{PROCESS}/{member}", f"config.process.{row}")
    else:
        says = f"does not look at {PROCESS}/{member}"
        replacing(name, f"{PROCESS}/{member}", value, f"config.process.{row}", says=says)

# Of the effective set exec leaves nothing: for another user than root it is the ambient one then.
for kind, *more in (
    ("bounding",), ("inheritable",), ("permitted",), ("ambient", "effective"),
):  # fmt: skip
    replacing(
        f"{kind}-capabilities-are-fewer",
        f"{PROCESS}/capabilities/{kind}",
        lambda names: names[1:] if isinstance(names, list) else names,
        *(f"config.process.capabilities.{each}-applied" for each in (kind, *more)),
        says=f"leaves out the first of the {kind} capabilities",
    )


def _without_scheduler(policy: str) -> Any:
    def edit(document: Any) -> None:
        for process in objects(document, PROCESS):
            for scheduler in objects(process, "/scheduler"):
                if scheduler.get("policy") == policy:
                    del process["scheduler"]

    return edit


for policy in ("FIFO", "RR", "BATCH", "IDLE", "DEADLINE"):
    edited(
        f"does-not-schedule-by-{policy.lower()}",
        f"ignores a scheduler of the policy SCHED_{policy}",
        f"config.process.scheduler.policy.{policy.lower()}",
        edit=_without_scheduler(f"SCHED_{policy}"),
    )
replacing(
    "schedules-by-a-lower-priority",
    f"{PROCESS}/scheduler/priority",
    lambda value: value - 1 if value > 1 else value + 1,
    "config.process.scheduler.priority",
)
replacing(
    "schedules-by-a-longer-period",
    f"{PROCESS}/scheduler/period",
    lambda value: value * 2,
    "config.process.scheduler.deadline-parameters",
)


def _known_scheduler(document: Any) -> None:
    for process in objects(document, PROCESS):
        for scheduler in objects(process, "/scheduler"):
            if scheduler.get("policy") not in scheduling.POLICIES:
                del process["scheduler"]


edited(
    "ignores-unknown-schedulers",
    "ignores a scheduler of a policy that it does not know",
    "config.process.scheduler.unknown-value-errors",
    edit=_known_scheduler,
)
replacing(
    "drops-the-last-argument",
    f"{PROCESS}/args",
    lambda value: value[:-1] if len(value) > 1 else value,
    "config.process.args-applied",
)
replacing(
    "ignores-console-sizes",
    f"{PROCESS}/consoleSize",
    {"height": 24, "width": 80},
    "config.process.console-size-applied",
)
ignoring("ignores-domainname", "/domainname", "config.domainname.applied")


def _masked(ops: list[Op]) -> list[Op]:
    (last,) = [op for op in ops if op.kind == Kind.EXEC]
    if any(op.kind == Kind.UMASK for op in ops):
        return ops
    mask = Op(Kind.UMASK, last.stage, "set a umask", numbers=(0o27,))
    return [each for op in ops for each in ([mask, op] if op is last else [op])]


plan(
    "sets-a-umask-of-its-own",
    "sets a umask where none is said",
    "config.process.user.umask-unset-unchanged",
    change=_masked,
)

# Hooks

ignoring("calls-hooks-without-env", "/hooks/startContainer/*/env", "config.hooks.env-as-environ")
replacing(
    "calls-hooks-by-another-name",
    "/hooks/createRuntime/*/args",
    lambda value: ["hook", *value[1:]],
    "config.hooks.args-as-argv",
)
plan(
    "waits-for-hooks-for-ever",
    "ignores timeouts of hooks.createRuntime",
    "config.hooks.timeout-aborts",
    change=altered(of(Kind.HOOK, at="/hooks/createRuntime"), numbers=lambda op: (op.numbers[0], 0)),
)

# The root

replacing(
    "absolute-roots-are-of-the-bundle",
    "/root/path",
    lambda value: value.lstrip("/") if isinstance(value, str) else value,
    "config.root.path-absolute-or-bundle-relative",
    says="takes an absolute root.path from the bundle",
)
replacing(
    "makes-every-root-read-only",
    "/root",
    lambda value: {**value, "readonly": True} if isinstance(value, dict) else value,
    "config.root.readonly-default-false",
)
