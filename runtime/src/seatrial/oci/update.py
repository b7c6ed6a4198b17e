"""New limits for a container that exists (the ``update`` command)."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import msgspec

from seatrial.oci import _core, cgroup_files, cgroups, resources, systemd
from seatrial.oci.errors import OCIError, WrongStatus
from seatrial.oci.failures import failed
from seatrial.oci.operations import Kind, Op, Stage
from seatrial.oci.plan import Plan
from seatrial.oci.states import names_of, status_of
from seatrial.oci.store import Folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Resources


def update(
    identifier: str, wanted: Resources, *, root: str, schemata: list[str] | None = None
) -> None:
    """Set what is given in ``wanted`` and leave the rest; after an ``OCIError`` all is as before.

    ``schemata`` are lines for the container's resctrl group.
    """
    folder = Folder(root, identifier)
    lock = folder.lock()
    try:
        record = folder.record()
        status = status_of(folder, record)
        if status == "stopped":
            raise WrongStatus(f"container {identifier} is stopped")
        stored = folder.plan()
        plan = Plan(0, list(compile_plan(stored, meant(wanted), schemata or [])))
        before = _present(plan)
        names = names_of(identifier, record.bundle, record.annotations)
        binary = plan.encode()
        failure = _core.run_stage(
            binary, Stage.BEFORE, record.pid, names[0], names[1], status.encode(), names[2]
        )
        if failure is not None:
            _restore(plan, before, failure[1])
            raise failed(binary, failure)
    finally:
        os.close(lock)


def meant(wanted: Resources) -> Resources:
    """Return ``wanted`` without sizes of 0: dockerd sends all members, 0 for what is to stay."""
    memory = wanted.memory
    if memory is None:
        return wanted
    sizes = ("limit", "reservation", "swap", "kernel", "kernel_tcp")
    unset = {name: None for name in sizes if getattr(memory, name) == 0}
    return msgspec.structs.replace(wanted, memory=msgspec.structs.replace(memory, **unset))


def compile_plan(stored: Plan, wanted: Resources, schemata: list[str]) -> Iterator[Op]:
    """Yield the writes, for a container with this plan."""
    groups = cgroups.stored_groups(stored)
    chosen = cgroup_files.Groups(groups)
    writes = list(resources.compile(wanted, chosen, stage=Stage.BEFORE, update=True))
    units = [op.text for op in stored.ops if op.kind == Kind.SYSTEMD and op.text]
    if units:
        told = systemd.update(units[0], wanted, unified=cgroups.is_unified(groups))
        yield from [told] if told else []
    for group in groups:
        if group == chosen.unified:
            yield from cgroups.enable(group, chosen.used, Stage.BEFORE)
    yield from writes
    rdt = [op.path.removesuffix("/tasks") for op in stored.ops if op.kind == Kind.ATTACH_TASK]
    if schemata and not rdt:
        raise OCIError("the container has no resctrl group: linux.intelRdt was not configured")
    for line in schemata:
        yield Op(
            Kind.WRITE,
            Stage.BEFORE,
            f"write {line} to {rdt[0]}/schemata",
            "/linux/intelRdt",
            path=f"{rdt[0]}/schemata",
            text=line + "\n",
        )


def _present(plan: Plan) -> dict[str, str]:
    found = {}
    for op in plan.ops:
        if op.kind == Kind.WRITE:
            with contextlib.suppress(OSError), open(op.path, encoding="ascii") as file:
                found[op.path] = file.read().strip()
    return found


def _restore(plan: Plan, before: dict[str, str], failed: int) -> None:
    for op in reversed(plan.ops[:failed]):
        value = before.get(op.path, "")
        # Files of several lines hold what is set per device: those take no list back.
        if op.kind == Kind.WRITE and value and "\n" not in value:
            with contextlib.suppress(OSError), open(op.path, "w", encoding="ascii") as file:
                file.write(value)
