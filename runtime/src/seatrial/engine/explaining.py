"""The chain of one container, from what the client sent to what the kernel holds."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from seatrial.engine.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.engine.engine import Engine
    from seatrial.engine.records import Record

#: What the client sent, kept beside the config that was made of it.
PAYLOAD = "payload.json"
_NOTHING: tuple[object, ...] = ("", [], {}, None, 0, False)


async def chain(engine: Engine, record: Record) -> str:
    """Return the chain as text for people."""
    folder = engine.folder(record)
    plan = await _plan(engine, record, folder)
    return await asyncio.to_thread(_written, engine, record, folder, plan)


async def _plan(engine: Engine, record: Record, folder: str) -> str:
    if not os.path.exists(f"{folder}/config.json"):
        return "it was never started, so there is no config.json yet"
    runtime = engine.runtime(record)
    if record.state.running:
        # What the plan would say of a mounted root is said of the one that there is.
        with suppress(EngineError):
            return (await runtime("plan", "--bundle", folder)).decode()
        return f"{runtime.path} does not tell what it does (hint: seatrial-oci does)"
    return "it does not run: its root filesystem is not mounted"


def _written(engine: Engine, record: Record, folder: str, plan: str) -> str:
    parts = {
        f"container  {record.name}  {record.id}  {record.state.status}": _settings(engine, record),
        "payload, as the client sent it (members that say something)": _json(f"{folder}/{PAYLOAD}"),
        f"config.json, made of it for the runtime ({folder}/config.json)": _json(
            f"{folder}/config.json"
        ),
        f"plan of the runtime ({engine.runtime(record).path})": plan.rstrip().splitlines(),
        "kernel": _kernel(record),
    }
    lines: list[str] = []
    for title, held in parts.items():
        lines += [title, *(f"  {line}" for line in held), ""]
    return "\n".join(lines)


def _settings(engine: Engine, record: Record) -> list[str]:
    return [
        f"image      {record.image}  {record.image_id}",
        *(f"layer      {engine.images.layers.path(each)}" for each in record.layers),
        f"changes    {engine.folder(record)}/upper",
        f"log        {engine.log_path(record) or 'none'}",
        f"supervisor {engine.settings.exec_folder(record.id)}/supervisor.sock",
        f"cgroup     {engine.cgroup(record)}",
    ]


def _json(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except (OSError, ValueError):
        return ["there is none"]
    return json.dumps(_saying(document), indent=1).splitlines()


def _saying(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Leave out what is empty: a client sends every member that there is."""
    if isinstance(value, dict):
        kept = {name: _saying(held) for name, held in value.items()}
        return {name: held for name, held in kept.items() if held not in _NOTHING}
    if isinstance(value, list):
        return [_saying(each) for each in value]
    return value


def _kernel(record: Record) -> list[str]:
    if not record.state.running:
        return ["nothing: it does not run"]
    pid = record.state.pid
    return [f"pid {pid}", *_supervisor(pid), *_namespaces(pid), *_cgroups(pid), *_mounts(pid)]


def _supervisor(pid: int) -> Iterator[str]:
    for line in _lines(f"/proc/{pid}/status"):
        if line.startswith("PPid:"):
            yield f"supervisor's pid {line.split()[1]}"


def _namespaces(pid: int) -> Iterator[str]:
    for name in ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"):
        with suppress(OSError):
            theirs, ours = (os.readlink(f"/proc/{each}/ns/{name}") for each in (pid, "self"))
            shared = "  (the daemon's too)" if theirs == ours else ""
            yield f"namespace {theirs}{shared}"


def _cgroups(pid: int) -> Iterator[str]:
    yield from (f"cgroup {line}" for line in _lines(f"/proc/{pid}/cgroup"))


def _mounts(pid: int) -> Iterator[str]:
    for line in _lines(f"/proc/{pid}/mountinfo"):
        before, _, after = line.partition(" - ")
        words, kind = before.split(" "), after.split(" ")
        yield f"mount {words[4]}  {kind[0]}  {words[5]}"


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:  # it has ended meanwhile
        return []
