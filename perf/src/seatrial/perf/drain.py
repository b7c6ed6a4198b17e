"""What the kernel still has to clear away: dying cgroups and network namespaces."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

_STEP_S = 0.005


def left() -> int:
    """Return how many cgroups and network namespaces the kernel has, dying ones included."""
    count = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/cgroups").read_text().splitlines()[1:]:
            count += int(line.split()[2])
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/sys/fs/cgroup/cgroup.stat").read_text().splitlines():
            count += int(line.split()[1]) if line.startswith("nr_") else 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/slabinfo").read_text().splitlines():
            if line.startswith("net_namespace "):
                count += int(line.split()[1])
    return count


def drain(level: int, *, most_s: float) -> float:
    """Wait until no more is left than ``level``, or nothing goes any more; return the seconds.

    The kernel has no event for the end of a dying cgroup or network namespace.
    """
    start = time.monotonic()
    lowest, since = left(), start
    while lowest > level and time.monotonic() - start < most_s:
        time.sleep(_STEP_S)
        now = left()
        if now < lowest:
            lowest, since = now, time.monotonic()
        elif time.monotonic() - since > most_s / 4:
            break
    return time.monotonic() - start
