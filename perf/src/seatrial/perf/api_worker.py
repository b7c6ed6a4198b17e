"""Makes containers by a runtime's Python API in this one process, and says how long each took.

Started by the runtime's own Python, with the module that has ``Container``, megabytes to hold and
the number of perf's tracepoint.  Takes orders on stdin, a line of JSON each, and answers each by a
line of JSON as the stopwatch does.  Imports nothing of the package.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import importlib
import json
import os
import platform
import resource
import struct
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The first that ``preserve_fds`` passes on.
PAYLOAD_FD = 3
_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
_TRACEPOINT, _DISABLED, _INHERIT, _ENABLE = 2, 1, 2, 0x2400
_CLOCKS = struct.Struct("=4q")


def _used() -> dict[str, int]:
    """Return what this process and those that it waited for have used."""
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "user_ns": sum(round(part.ru_utime * 1e9) for part in parts),
        "system_ns": sum(round(part.ru_stime * 1e9) for part in parts),
        "minor_faults": sum(part.ru_minflt for part in parts),
        "major_faults": sum(part.ru_majflt for part in parts),
        "voluntary_switches": sum(part.ru_nvcsw for part in parts),
        "involuntary_switches": sum(part.ru_nivcsw for part in parts),
    }


def _counter(tracepoint: int) -> int:
    """Return a counter of the system calls of this process and of those that it will start."""
    flags = _DISABLED | _INHERIT
    attributes = struct.pack("=IIQQQQQ16x", _TRACEPOINT, 64, tracepoint, 0, 0, 0, flags)
    number = _PERF_EVENT_OPEN.get(platform.machine())
    if not tracepoint or number is None:
        return -1
    return int(ctypes.CDLL(None).syscall(number, attributes, 0, -1, -1, 8))


def _take(container: Any, null: int, tracepoint: int, *, count: bool) -> dict[str, Any]:  # noqa: ANN401 - another room's
    """Return one sample: the whole life of a container that has not been created yet."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.dup2(writer, PAYLOAD_FD)
    counter = _counter(tracepoint) if count else -1
    before = _used()
    if counter >= 0:
        fcntl.ioctl(counter, _ENABLE)
    start = time.monotonic_ns()
    container.create(preserve_fds=1)
    container.start()
    status = container.wait()
    container.delete()
    end = time.monotonic_ns()
    # The counter's own reading is one of the calls.
    counted = struct.unpack("=q", os.read(counter, 8))[0] - 1 if counter >= 0 else None
    after = _used()
    os.close(writer)
    os.dup2(null, PAYLOAD_FD, inheritable=False)
    clocks = os.read(reader, _CLOCKS.size)
    os.close(reader)
    if counter >= 0:
        os.close(counter)
    if status != 0 or len(clocks) != _CLOCKS.size:
        unheard = "the payload ended without saying when it began"
        return {"error": f"run: {f'exit status {status}' if status else unheard}"}
    seconds, nanoseconds, real_seconds, real_nanoseconds = _CLOCKS.unpack(clocks)
    used = {name: after[name] - before[name] for name in after}
    return {
        "steps": [{"name": "run", "start": start, "end": end, "status": status, **used}],
        "payload": {
            "monotonic": seconds * 10**9 + nanoseconds,
            "realtime": real_seconds * 10**9 + real_nanoseconds,
            "read": end,
        },
        "strays": {"count": 0},
        "clock_difference": time.time_ns() - time.monotonic_ns(),
        **({"counters": {"syscalls": counted, "instructions": None}} if count else {}),
    }


@contextlib.contextmanager
def _told(answer: dict[str, Any]) -> Iterator[None]:
    """Put whatever the API raises into the answer."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - it is the contender's
        answer["error"] = f"run: {type(error).__name__}: {error}"


def main(module: str, megabytes: int, tracepoint: int) -> None:
    """Do what the lines on stdin say."""
    null = fcntl.fcntl(os.open(os.devnull, os.O_RDWR), fcntl.F_DUPFD_CLOEXEC, 16)
    # So that nothing else that is opened is at the payload's descriptor.
    os.dup2(null, PAYLOAD_FD, inheritable=False)
    make = importlib.import_module(module).Container
    heap = [bytes(1000) for _ in range(megabytes * 1000)]
    gc.collect()
    for line in sys.stdin:
        order = json.loads(line)
        answer: dict[str, Any] = {"stderr": ""}
        with _told(answer):
            container = make(order["id"], bundle=order["bundle"], root=order["root"])
            answer |= _take(container, null, tracepoint, count=order["count"])
        if "error" in answer:
            with _told({}):
                make(order["id"], root=order["root"]).delete(force=True)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    del heap


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
