"""The log: errors and warnings in the form that containerd and conmon read (--log)."""

from __future__ import annotations

import os
from contextvars import ContextVar

_heard: ContextVar[list[str] | None] = ContextVar("heard", default=None)
_path: str | None = None
_form = "text"


def open_file(path: str | None = None, *, form: str = "text") -> None:
    """Write to ``path`` from now on; ``form`` is text or json."""
    global _path, _form
    _path, _form = path, form


def hear(warnings: list[str] | None) -> None:
    """Collect the warnings that this thread gives from now on; with ``None`` no more."""
    _heard.set(warnings)


def write(level: str, message: str) -> None:
    """Append one line to the log, if there is one."""
    if _path is None:
        return
    import json
    from datetime import UTC, datetime

    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    line = f'time="{now}" level={level} msg={json.dumps(message)}\n'
    if _form == "json":
        line = json.dumps({"level": level, "msg": message, "time": now}) + "\n"
    fd = os.open(_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.write(fd, line.encode(errors="surrogateescape"))
    finally:
        os.close(fd)


def warn(message: str) -> None:
    """Log a warning, on stderr if there is no log; it changes nothing (runtime.md, "Warnings").

    Engines give us the container's own stderr, in which only what the container says belongs.
    """
    heard = _heard.get()
    if heard is not None:
        heard.append(message)
    if _path is None:
        os.write(2, f"seatrial-oci: warning: {message}\n".encode(errors="surrogateescape"))
    write("warning", message)
