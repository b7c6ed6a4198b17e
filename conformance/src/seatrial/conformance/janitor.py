"""Cleans up after a run that was killed: waits until the run is gone, then removes what is left.

Started as a program of its own before the run makes anything, with the run's name, its work
folder and the read end of a pipe whose other end only the run holds: when the run ends, however
it ends, the pipe ends.  Imports nothing of the harness, so that it starts fast and needs nothing.
"""

import contextlib
import os
import signal
import sys
import time

PARENT = "seatrial"


def _ours(pid: str, name: str) -> bool:
    for file, mark in (("environ", f"SEATRIAL_RUN={name}"), ("cgroup", f"/{PARENT}/{name}/")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/{file}", "rb") as content:
            if mark.encode() in content.read():
                return True
    return False


def _processes(name: str) -> list[int]:
    return [
        int(pid)
        for pid in os.listdir("/proc")
        if pid.isdigit() and int(pid) != os.getpid() and _ours(pid, name)
    ]


def _remove_cgroups(name: str) -> None:
    root = "/sys/fs/cgroup"
    tops = [root, *(os.path.join(root, entry) for entry in os.listdir(root))]
    for top in tops:
        own = os.path.join(top, PARENT, name)
        for folder, _, _ in os.walk(own, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.join(top, PARENT))


def main(name: str, work: str, descriptor: int) -> None:
    """Wait for the end of the run, then kill its processes and remove its cgroups and folder."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.read(descriptor, 1)
    deadline = time.monotonic() + 10
    while (left := _processes(name)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        os.sched_yield()
    _remove_cgroups(name)
    with contextlib.suppress(OSError):
        os.rmdir(work)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
