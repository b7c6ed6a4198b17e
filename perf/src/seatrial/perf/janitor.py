"""Cleans up after a run that was killed: kills what is in its cgroups, then removes these.

Started as a program of its own before the run makes anything, with the name of its cgroups, its
work folder and the read end of a pipe whose other end only the run holds: when the run ends,
however it ends, the pipe ends.  Imports nothing of the package.
"""

import contextlib
import os
import signal
import sys
import time

ROOT = "/sys/fs/cgroup"
_PATIENCE_S = 10


def _tops(name: str) -> list[str]:
    found = [os.path.join(ROOT, name)]
    with contextlib.suppress(OSError):
        found += [os.path.join(ROOT, entry, name) for entry in os.listdir(ROOT)]
    return [top for top in found if os.path.isdir(top)]


def sweep(name: str) -> bool:
    """Kill what is there and remove what can be, once; return whether nothing is left."""
    for top in _tops(name):
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                with open(os.path.join(folder, "cgroup.procs"), encoding="ascii") as content:
                    pids = [int(line) for line in content]
                for pid in pids:
                    if pid not in {0, os.getpid()}:
                        os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                os.rmdir(folder)
    return not _tops(name)


def main(name: str, work: str, descriptor: int) -> None:
    """Wait for the end of the run, then clean up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.read(descriptor, 1)
    deadline = time.monotonic() + _PATIENCE_S
    while not sweep(name) and time.monotonic() < deadline:
        os.sched_yield()
    with contextlib.suppress(OSError):
        os.rmdir(work)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
