"""What a mutant is, and the ways to make one: from the config, the plan, or a verb."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from seatrial.oci import compiler, config
from seatrial.oci.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.oci.operations import Kind, Op, Stage

    Which = Callable[[Op], bool]

#: The verbs that compile a config; a mutant of these leaves the others to the launcher.
COMPILING = ("create", "run")
ALL = (*COMPILING, "start", "state", "kill", "delete", "exec", "features", "update")


@dataclass(frozen=True)
class Mutant:
    """A runtime with one thing wrong.

    ``rows`` are the requirements whose tests have to notice, ``apply`` makes it wrong in this
    process, ``verbs`` are those that differ from the runtime's own.
    """

    name: str
    says: str
    rows: tuple[str, ...]
    apply: Callable[[], None]
    verbs: tuple[str, ...] = COMPILING


MUTANTS: dict[str, Mutant] = {}


def add(mutant: Mutant) -> None:
    """Put a mutant into the catalogue."""
    assert mutant.name not in MUTANTS, mutant.name
    MUTANTS[mutant.name] = mutant


def verb(
    name: str, says: str, *rows: str, verbs: tuple[str, ...] = ALL
) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Decorate a function that makes the runtime wrong by replacing some of its functions."""

    def decorate(apply: Callable[[], None]) -> Callable[[], None]:
        add(Mutant(name, says, rows, apply, verbs))
        return apply

    return decorate


def plan(
    name: str, says: str, *rows: str, change: Callable[[list[Op]], list[Op]], namespaces: int = -1
) -> None:
    """Add a mutant whose plan differs: ``change`` gets the operations and returns what is done.

    ``namespaces`` are the clone(2) flags that are kept.
    """

    def apply() -> None:
        whole = compiler.compile_plan

        def compile_plan(*arguments: Any, **options: Any) -> Plan:
            right = whole(*arguments, **options)
            ops = sorted(change(list(right.ops)), key=lambda op: op.stage)
            return Plan(right.namespaces & namespaces, ops)

        compiler.compile_plan = compile_plan

    add(Mutant(name, says, rows, apply))


def without(which: Which) -> Callable[[list[Op]], list[Op]]:
    """Drop the operations."""
    return lambda ops: [op for op in ops if not which(op)]


def altered(which: Which, **members: Any) -> Callable[[list[Op]], list[Op]]:
    """Give the operations other members; a member that is a function gets the operation."""

    def change(op: Op) -> Op:
        new = {name: value(op) if callable(value) else value for name, value in members.items()}
        return msgspec.structs.replace(op, **new)

    return lambda ops: [change(op) if which(op) else op for op in ops]


def moved(which: Which, stage: Stage, *, first: bool = False) -> Callable[[list[Op]], list[Op]]:
    """Do the operations in another stage, at its end or as its first."""

    def change(ops: list[Op]) -> list[Op]:
        those = [msgspec.structs.replace(op, stage=stage) for op in ops if which(op)]
        rest = [op for op in ops if not which(op)]
        return [*those, *rest] if first else [*rest, *those]

    return change


def backwards(which: Which) -> Callable[[list[Op]], list[Op]]:
    """Do the operations in the opposite order, each where another one of them was."""

    def change(ops: list[Op]) -> list[Op]:
        those = [op for op in ops if which(op)]
        return [those.pop() if which(op) else op for op in ops]

    return change


def of(*kinds: Kind, at: str = "", path: str = "") -> Which:
    """Choose operations of some kinds that come from ``at``, a beginning of the JSON pointer."""
    return lambda op: (
        (not kinds or op.kind in kinds)
        and op.pointer.startswith(at)
        and (not path or op.path == path)
    )


def ignoring(name: str, member: str, *rows: str, says: str = "") -> None:
    """Add a mutant that does not look at a member of the config, given as ``/process/cwd``.

    A part ``*`` stands for every element.
    """

    def edit(document: Any) -> None:
        above, _, last = member.rpartition("/")
        for each in reach(document, above):
            if isinstance(each, dict):
                each.pop(last, None)

    edited(name, says or f"does not look at {member}", *rows, edit=edit)


def edited(name: str, says: str, *rows: str, edit: Callable[[Any], None]) -> None:
    """Add a mutant that reads another config than the bundle's: ``edit`` changes the document."""

    def apply() -> None:
        right = config.decode

        def decode(content: bytes, *arguments: Any) -> Any:
            try:
                document = msgspec.json.decode(content)
            except msgspec.DecodeError:
                return right(content, *arguments)
            edit(document)
            return right(msgspec.json.encode(document), *arguments)

        config.decode = decode

    add(Mutant(name, says, rows, apply))


def replacing(name: str, member: str, value: Any, *rows: str, says: str = "") -> None:
    """Add a mutant that takes ``value`` for a member; a function gets the config's value.

    A member that is not there stays so; ``*`` is as with ``ignoring``.
    """

    def edit(document: Any) -> None:
        above, _, last = member.rpartition("/")
        for each in reach(document, above):
            if isinstance(each, dict) and last in each:
                each[last] = value(each[last]) if callable(value) else value

    edited(name, says or f"takes another {member} than is said", *rows, edit=edit)


def reach(document: Any, path: str) -> list[Any]:
    """Return what is at a path like ``/linux/devices/*``; a ``*`` stands for every element."""
    found = [document]
    for part in path.strip("/").split("/") if path.strip("/") else ():
        below: list[Any] = []
        for each in found:
            if part == "*" and isinstance(each, list):
                below += each
            elif isinstance(each, dict) and part in each:
                below.append(each[part])
        found = below
    return found


def objects(document: Any, path: str) -> list[dict[str, Any]]:
    """Return the objects at a path, and nothing of what should be one and is none."""
    return [each for each in reach(document, path) if isinstance(each, dict)]


def around(module: Any, name: str, wrong: Callable[..., Any]) -> None:
    """Replace a function of the runtime: ``wrong`` gets the right one first."""
    right = getattr(module, name)
    everywhere(right, lambda *arguments, **options: wrong(right, *arguments, **options))


def everywhere(right: Any, wrong: Any) -> None:
    """Replace a function in all modules of the runtime that know it."""
    for module in [*sys.modules.values()]:
        if module.__name__.startswith("seatrial.oci"):
            for name in [name for name, value in vars(module).items() if value is right]:
                setattr(module, name, wrong)
