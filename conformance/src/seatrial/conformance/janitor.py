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
_PATIENCE_S = 10


def _ours(pid: str, name: str) -> bool:
    # A zombie still shows its cgroup, which can be removed all the same.
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as content:
        if content.read().rpartition(b")")[2].split()[:1] == [b"Z"]:
            return False
    # A runtime's command carries the run's name; a container is in one of the run's cgroups, or
    # at least sees the run's tmpfs, which the host does not.
    for file, marks in (
        ("environ", (f"SEATRIAL_RUN={name}\0",)),
        ("cgroup", (f"/{PARENT}/{name}/", f"/{PARENT}/{name}\n")),
        ("mountinfo", (f" - tmpfs {PARENT}-{name} ",)),
    ):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/{file}", "rb") as content:
            text = content.read()
            if any(mark.encode() in text for mark in marks):
                return True
    return False


def _processes(name: str) -> list[int]:
    # Never the run itself, should it be there still, nor who else has become our parent.
    spared = (os.getpid(), os.getppid())
    return [
        int(pid)
        for pid in os.listdir("/proc")
        if pid.isdigit() and int(pid) not in spared and _ours(pid, name)
    ]


def _remove_cgroups(name: str) -> bool:
    root = "/sys/fs/cgroup"
    tops = [root]
    with contextlib.suppress(OSError):
        tops += [os.path.join(root, entry) for entry in os.listdir(root)]
    left = False
    for top in tops:
        own = os.path.join(top, PARENT, name)
        _remove(own)
        left = left or os.path.isdir(own)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.join(top, PARENT))
    # What a path that leads out of a hierarchy has made in the tmpfs beside it.
    for top in tops[1:]:
        if name in os.path.basename(top):
            _remove(top)
    return not left


def _remove(top: str) -> None:
    # The files of a cgroup stay, and go with it.
    with contextlib.suppress(OSError):
        os.unlink(top)
    for folder, _, files in os.walk(top, topdown=False):
        for file in files:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, file))
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def main(name: str, work: str, descriptor: int) -> None:
    """Wait for the end of the run, then kill its processes and remove its cgroups and folder."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.read(descriptor, 1)
    deadline = time.monotonic() + _PATIENCE_S
    while (left := _processes(name)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        os.sched_yield()
    # A killed task leaves its cgroup a moment after it has gone, without an event on v1.
    while not _remove_cgroups(name) and time.monotonic() < deadline:
        os.sched_yield()
    with contextlib.suppress(OSError):
        os.rmdir(work)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
