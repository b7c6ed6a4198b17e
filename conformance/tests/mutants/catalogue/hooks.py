"""Mutants for hooks: config.md and runtime.md."""

from __future__ import annotations

from typing import Any

from conformance.tests.mutants.mutation import (
    ALL,
    COMPILING,
    MUTANTS,
    altered,
    around,
    backwards,
    everywhere,
    moved,
    of,
    plan,
    verb,
    without,
)

from seatrial.oci import deletion, log, states
from seatrial.oci.errors import OCIError
from seatrial.oci.hooks import IN_CONTAINER, ONLY_WARN
from seatrial.oci.operations import Kind, Op, Stage

#: name in rows, member
KINDS = {
    "prestart": "prestart",
    "create-runtime": "createRuntime",
    "create-container": "createContainer",
    "start-container": "startContainer",
    "poststart": "poststart",
    "poststop": "poststop",
}


def those(member: str) -> Any:
    """Choose the hooks of a kind."""
    return of(Kind.HOOK, at=f"/hooks/{member}/")


def _forgive(op: Op) -> int:
    return op.flags | ONLY_WARN


for row, member in KINDS.items():
    plan(
        f"calls-no-{row}-hooks",
        f"does not call hooks.{member}",
        f"config.hooks.{row}.invoked",
        change=without(those(member)),
    )
    if row != "poststop":
        plan(
            f"forgives-{row}-hooks",
            f"does not mind a failure of hooks.{member}",
            f"config.hooks.{row}.failure-errors",
            f"config.hooks.{row}.failure-stops-container",
            f"config.hooks.{row}.failure-destroys-and-poststops",
            change=altered(those(member), flags=_forgive),
        )


@verb(
    "a-failing-hook-leaves-the-container",
    "keeps a container whose hook fails at start",
    "config.hooks.start-container.failure-destroys-and-poststops",
    "config.hooks.poststart.failure-stops-container",
    "config.hooks.poststart.failure-destroys-and-poststops",
    verbs=("start",),
)
def _() -> None:
    everywhere(deletion.destroy, lambda *_: None)


@verb(
    "a-failing-hook-calls-no-poststop",
    "calls no poststop hooks when a hook of create fails",
    "config.hooks.prestart.failure-destroys-and-poststops",
    "config.hooks.create-runtime.failure-destroys-and-poststops",
    "config.hooks.create-container.failure-destroys-and-poststops",
    verbs=COMPILING,
)
def _() -> None:
    around(deletion, "undo", lambda right, *a, **k: right(*a, **{**k, "hooks": False}))


plan(
    "ends-with-the-first-poststop-hook-that-fails",
    "calls no further poststop hooks after one that failed, and removes nothing",
    "config.hooks.poststop.failure-continues",
    change=altered(those("poststop"), flags=0),
)


@verb(
    "a-failing-poststop-hook-is-an-error",
    "fails to delete a container if a poststop hook fails",
    "config.hooks.poststop.failure-warns",
    "runtime.warnings.flow-unchanged",
    verbs=(*COMPILING, "delete"),
)
def _() -> None:
    def warn(message: str) -> None:
        raise OCIError(message)

    MUTANTS["ends-with-the-first-poststop-hook-that-fails"].apply()
    everywhere(log.warn, warn)


@verb(
    "warns-of-nothing",
    "never warns",
    "config.process.capabilities.unmappable-warns",
)
def _() -> None:
    everywhere(log.warn, lambda message: None)


def _elsewhere(op: Op) -> int:
    return op.flags ^ IN_CONTAINER


def _move(row: str, stage: Stage, *rows: str, first: bool = False, other: bool = False) -> None:
    member = KINDS[row]

    def change(ops: list[Op]) -> list[Op]:
        changed = moved(those(member), stage, first=first)(ops)
        return altered(those(member), flags=_elsewhere)(changed) if other else changed

    plan(
        f"calls-{row}-hooks-in-{stage.name.lower()}",
        f"calls hooks.{member} in the stage {stage.name}",
        *(f"config.hooks.{each}" for each in rows),
        change=change,
    )


for row in ("prestart", "create-runtime"):
    _move(
        row,
        Stage.ENTER,
        f"{row}.path-in-runtime-namespace",
        f"{row}.executes-in-runtime-namespace",
        f"{row}.before-pivot-root",
        other=True,
    )
_move("prestart", Stage.STARTED, "prestart.before-create-runtime")
_move(
    "create-container",
    Stage.CREATING,
    "create-container.executes-in-container-namespace",
    "create-container.after-create-runtime",
    first=True,
    other=True,
)
_move(
    "create-container",
    Stage.START,
    "create-container.path-in-runtime-namespace",
    "create-container.before-pivot-root",
)
_move(
    "start-container",
    Stage.ENTER,
    "start-container.path-in-container-namespace",
    first=True,
)
_move(
    "start-container",
    Stage.STARTED,
    "start-container.executes-in-container-namespace",
    "start-container.before-program",
    other=True,
)
_move(
    "poststart",
    Stage.START,
    "poststart.path-in-runtime-namespace",
    "poststart.executes-in-runtime-namespace",
    "poststart.after-program-before-return",
    other=True,
)
_move("poststop", Stage.STARTED, "poststop.after-delete-before-return")
_move(
    "poststop",
    Stage.START,
    "poststop.path-in-runtime-namespace",
    "poststop.executes-in-runtime-namespace",
    other=True,
)


def _create_runtime_first(ops: list[Op]) -> list[Op]:
    early, late = those("createRuntime"), those("prestart")
    rest = [op for op in ops if not early(op) and not late(op)]
    return [*filter(early, ops), *filter(late, ops), *rest]


plan(
    "calls-create-runtime-hooks-before-prestart",
    "calls hooks.createRuntime before hooks.prestart",
    "config.hooks.prestart.before-create-runtime",
    "config.hooks.prestart.before-create-runtime-conditional",
    change=_create_runtime_first,
)


def _all_backwards(ops: list[Op]) -> list[Op]:
    for member in KINDS.values():
        ops = backwards(those(member))(ops)
    return ops


plan(
    "calls-hooks-backwards",
    "calls the hooks of each kind from the last to the first",
    "config.hooks.listed-order",
    change=_all_backwards,
)


@verb(
    "tells-hooks-another-id",
    "gives hooks a state with another id",
    "config.hooks.state-on-stdin",
    verbs=ALL,
)
def _() -> None:
    def names(right: Any, *arguments: Any) -> Any:
        _, bundle, extra = right(*arguments)
        return b'"another"', bundle, extra

    around(states, "names_of", names)
