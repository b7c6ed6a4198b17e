"""Shares of cache and memory bandwidth (config-linux.md, "IntelRdt")."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from seatrial.oci import host
from seatrial.oci.errors import ConfigError
from seatrial.oci.operations import Kind, Op, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Config, IntelRdt

BASE = "/linux/intelRdt"
#: Flag of REMOVE_CGROUP (runtime/csrc/cgroups.c): not at the end of a container that was made.
ONLY_FAILED = 4
#: Where it is mounted, if it is (resctrl.rst).
USUAL = "/sys/fs/resctrl"


def mounted() -> str | None:
    """Return where the resctrl filesystem is."""
    host.beyond("where a resctrl filesystem is mounted")
    for line in host.mounts("/"):
        left, _, right = line.decode("utf-8", "surrogateescape").partition(" - ")
        if right.split(" ", 1)[0] == "resctrl":
            return left.split(" ")[4]
    return None


def _schemata(rdt: IntelRdt) -> list[tuple[str, str]]:
    """Return the lines to be written, in the spec's order, with their pointers."""
    lines = []
    if rdt.l3_cache_schema:
        lines.append((f"{BASE}/l3CacheSchema", rdt.l3_cache_schema))
    if rdt.mem_bw_schema:
        if not rdt.mem_bw_schema.startswith("MB:"):
            raise ConfigError(f"{BASE}/memBwSchema", "has to start with MB:")
        lines.append((f"{BASE}/memBwSchema", rdt.mem_bw_schema))
    lines += [(f"{BASE}/schemata/{number}", line) for number, line in enumerate(rdt.schemata)]
    for pointer, line in lines:
        if "\n" in line or "\0" in line:
            raise ConfigError(pointer, "is one line and has no newline in it")
    return lines


def _fields(line: str) -> dict[str, str]:
    """Split ``L3:0=7f0;1=1f`` so that spaces and leading zeros do not count."""
    kind, _, values = line.partition(":")
    found = {}
    for value in values.split(";"):
        name, _, number = value.partition("=")
        found[f"{kind.strip()}:{name.strip().lstrip('0')}"] = number.strip().lstrip("0")
    return found


def _agrees(folder: str, line: str) -> bool:
    present: dict[str, str] = {}
    for each in host.lines(f"{folder}/schemata"):
        present |= _fields(each.strip())
    return all(present.get(name) == value for name, value in _fields(line).items())


def compile(config: Config, identifier: str) -> Iterator[Op]:  # noqa: A001 - the compiler's verb
    """Yield what makes the group, fills it and puts the process there, and what removes it."""
    rdt = config.linux.intel_rdt
    if rdt is None:
        return
    lines = _schemata(rdt)
    name = rdt.clos_id
    if name is not None and name != "/" and (not name or "/" in name or name in {".", ".."}):
        raise ConfigError(f"{BASE}/closID", f"{name!r} is no name for a folder")
    top = mounted()
    if top is None:
        host.refuse(BASE, f"no resctrl filesystem is mounted (mount -t resctrl resctrl {USUAL})")
    yield from _group(rdt, lines, top or USUAL, identifier)


def _group(rdt: IntelRdt, lines: list[tuple[str, str]], top: str, identifier: str) -> Iterator[Op]:
    name = identifier if rdt.clos_id is None else rdt.clos_id
    pointer = BASE if rdt.clos_id is None else f"{BASE}/closID"
    folder = top if name == "/" else f"{top}/{name}"
    exists = host.is_folder(folder)
    if rdt.clos_id is not None and exists:
        for line_pointer, line in lines:
            if not _agrees(folder, line):
                host.refuse(line_pointer, f"{line} is not what {folder}/schemata has")
        lines = []
    elif rdt.clos_id is not None and not lines:
        host.refuse(pointer, f"there is no {folder}, and nothing to set it up with")
    if not exists:
        yield _make(folder, pointer)
    for line_pointer, line in lines:
        yield Op(
            Kind.WRITE,
            Stage.BEFORE,
            f"write {line} to {folder}/schemata",
            line_pointer,
            path=f"{folder}/schemata",
            text=line + "\n",
        )
    yield _join(folder, pointer)
    if rdt.enable_monitoring:
        monitor = f"{folder}/mon_groups/{identifier}"
        yield _make(monitor, f"{BASE}/enableMonitoring")
        yield _join(monitor, f"{BASE}/enableMonitoring")
        yield _remove(monitor)
    if not exists:
        # One that has a name of its own is there for others too, once a container is made.
        yield _remove(folder, only_failed=rdt.clos_id is not None)


def _make(folder: str, pointer: str) -> Op:
    what = f"make {folder}"
    return Op(Kind.MAKE_DIRECTORIES, Stage.BEFORE, what, pointer, path=folder, numbers=(0o755,))


def _join(folder: str, pointer: str) -> Op:
    # Not ATTACH: by that a container's processes are found at its end, and these may be others'.
    what = f"put the process into {folder}"
    return Op(Kind.ATTACH_TASK, Stage.ADOPT, what, pointer, path=f"{folder}/tasks")


def _remove(folder: str, *, only_failed: bool = False) -> Op:
    return Op(
        Kind.REMOVE_CGROUP,
        Stage.DELETED,
        f"remove {folder}" + (", if create fails and nobody is in it" if only_failed else ""),
        path=folder,
        flags=ONLY_FAILED if only_failed else 0,
    )


def undone(ops: list[Op]) -> list[Op]:
    """Return what is done at the end of a create that failed: a new group goes, if it is free."""
    found = []
    for op in ops:
        if op.kind == Kind.REMOVE_CGROUP and op.flags & ONLY_FAILED:
            if _is_used(op.path):
                continue
            found.append(msgspec.structs.replace(op, flags=op.flags & ~ONLY_FAILED))
        else:
            found.append(op)
    return found


def _is_used(folder: str) -> bool:
    try:
        return bool(host.read(f"{folder}/tasks"))
    except OSError:
        return False  # not made, so there is nothing to remove either
