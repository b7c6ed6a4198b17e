"""What a test did with a runtime, step by step: enough to do it again without the harness."""

from __future__ import annotations

import base64
import json
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

#: What is kept of one text, of one file and of one folder; more is not needed to do it again.
_TEXT_CHARACTERS = 1000
_FILE_BYTES = 1 << 20
_ENTRIES = 200
_MEMBER_CHARACTERS = 2000

_KINDS = {
    stat.S_IFDIR: "directory",
    stat.S_IFREG: "file",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
}


@dataclass(frozen=True)
class Step:
    """One thing that was done: a command, a wait, a bundle as create was to find it.

    ``members`` are the step's own, as they stand in a results file (``trace`` in its schema);
    ``later`` returns those that are only known once the test is over.
    """

    do: str
    members: dict[str, Any] = field(default_factory=dict)
    later: Callable[[], dict[str, Any]] = dict

    def as_dict(self) -> dict[str, Any]:
        """Return all members but those that are None."""
        found = {"do": self.do, **self.members, **self.later()}
        return {name: value for name, value in found.items() if value is not None}


def text(content: bytes) -> str:
    """Return what a stream carried, cut, as a text that JSON can hold."""
    return cut(content.decode(errors="backslashreplace"))


def cut(shown: str) -> str:
    """Return the beginning of a text, which is whole if it is not long."""
    return shown if len(shown) <= _TEXT_CHARACTERS else shown[:_TEXT_CHARACTERS] + "…"


def files(folder: Path, probe: Path) -> list[dict[str, Any]]:
    """Return all below ``folder``, parents first: path, type, mode, owner, content.

    A copy of the probe is only named as such.  Without what cannot be looked at.
    """
    found: list[dict[str, Any]] = []
    size = probe.stat().st_size
    pending = [""]
    while pending and len(found) < _ENTRIES:
        below = pending.pop(0)
        try:
            names = sorted(os.listdir(folder / below))
        except OSError:
            continue
        for name in names[:_ENTRIES]:
            path = f"{below}/{name}" if below else name
            entry = _entry(folder / path, size)
            if entry is not None:
                found.append({"path": path, **entry})
                pending += [path] if entry["type"] == "directory" else []
    return found


def given(words: Iterable[str], work: Path, probe: Path) -> list[dict[str, Any]]:
    """Return the files in ``work`` that a command line names, by their whole paths."""
    size = probe.stat().st_size
    inside = [word for word in words if word.startswith(f"{work}/") and os.path.isfile(word)]
    entries = ((path, _entry(path, size)) for path in inside)
    return [{"path": path, **entry} for path, entry in entries if entry is not None]


def _entry(path: str | Path, probe_bytes: int) -> dict[str, Any] | None:
    try:
        seen = os.lstat(path)
        kind = _KINDS.get(stat.S_IFMT(seen.st_mode), "other")
        if kind == "file" and seen.st_size == probe_bytes:
            kind = "probe"
        entry: dict[str, Any] = {"type": kind, "mode": stat.S_IMODE(seen.st_mode)}
        if seen.st_uid or seen.st_gid:
            entry["owner"] = [seen.st_uid, seen.st_gid]
        if kind == "symlink":
            entry["target"] = os.readlink(path)
        if kind == "file" and seen.st_size > _FILE_BYTES:
            entry["type"] = "other"
        elif kind == "file":
            with open(path, "rb") as stream:
                entry |= _content(stream.read(_FILE_BYTES))
    except OSError:
        return None
    return entry


def _content(content: bytes) -> dict[str, str]:
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def member(line: str, name: str, value: object) -> str:
    """Return the text by which a JSON line says ``name``: ``"umask":18``; empty if it does not."""
    start = -1
    decoder = json.JSONDecoder()
    while (start := line.find(f'"{name}":', start + 1)) >= 0:
        begin = start + len(name) + 3
        try:
            found, end = decoder.raw_decode(line, begin)
        except ValueError:
            continue
        if found == value and end - start <= _MEMBER_CHARACTERS:
            return line[start:end]
    return ""
