"""Where containers live by the dozen: a folder, a pid namespace, what is compared at the end."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

PROGRAM = "int main(void) { return 7; }"
#: What a process that is killed still holds is gone by then.
PATIENCE_S = 10.0


class Place:
    """Where it happens: a folder with the bundles and the state root, and cgroups."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "state"
        # As the folder's, a name that nobody else has.
        self.cgroup = f"/{folder.name}"

    def name(self, number: int) -> str:
        """Return a container's id, which nobody else on the machine has."""
        return f"{self.cgroup[1:]}-{number}"

    def prepare(self) -> None:
        """Compile the program that the containers execute."""
        self.folder.chmod(0o755)
        self.root.mkdir()
        command = ["cc", "-static", "-x", "c", "-", "-o", str(self.folder / "program")]
        subprocess.run(command, input=PROGRAM, text=True, check=True)


def lines(path: str) -> set[str]:
    """Return the lines of a file."""
    return set(Path(path).read_text("utf-8", errors="replace").splitlines())


def namespaces(but: Collection[int] = ()) -> set[str]:
    """Return all namespaces that a process is in, in our pid namespace, without those ``but``."""
    found = set()
    for pid in set(filter(str.isdigit, os.listdir("/proc"))) - set(map(str, but)):
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/ns"):
                with contextlib.suppress(OSError):
                    found.add(os.readlink(f"/proc/{pid}/ns/{name}"))
    return found


def processes() -> set[str]:
    """Return all processes but this; those that ended and came to us, as to an init, are reaped."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    found = set()
    for pid in _pids():
        with contextlib.suppress(OSError):
            found.add(f"{pid} {Path(f'/proc/{pid}/cmdline').read_bytes()!r}")
    return found


def _pids() -> list[int]:
    own = os.getpid()
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != own]


def cgroups(place: Place) -> set[str]:
    """Return our cgroups, and all that the host has at the top."""
    found = set()
    for hierarchy in Path("/sys/fs/cgroup").iterdir():
        ours = Path(f"{hierarchy}{place.cgroup}")
        if ours.is_dir():
            found |= {str(each) for each in (ours, *ours.rglob("*")) if each.is_dir()}
    return found


def inventory(place: Place) -> dict[str, set[str]]:
    """Return what there is that a container could leave behind."""
    found = {
        "mounts": {line for line in lines("/proc/self/mountinfo") if str(place.folder) in line},
        "cgroups": cgroups(place),
        "processes": processes(),
        "namespaces": namespaces(),
        "state": set(os.listdir(place.root)),
        "keys": {line for line in lines("/proc/keys") if place.cgroup[1:] in line},
        "descriptors": set(os.listdir("/proc/self/fd")),
    }
    for folder in ("/dev/shm", "/dev/mqueue"):  # noqa: S108 - looked at only
        if os.path.isdir(folder):
            found[folder] = set(os.listdir(folder))
    found["files beside the bundles"] = {
        each for each in os.listdir(place.folder) if not each.startswith("bundle-")
    }
    return found


def wait_for_end(pid: int, timeout_s: float) -> bool:
    """Return whether a process has ended in time; raises ``ProcessLookupError`` for none."""
    pidfd = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        return bool(poller.poll(max(0.0, timeout_s) * 1000))
    finally:
        os.close(pidfd)


def settle(place: Place, before: dict[str, set[str]]) -> list[str]:
    """Return what is left once what is dying has ended."""
    deadline = time.monotonic() + PATIENCE_S
    for pid in _pids():
        with contextlib.suppress(ProcessLookupError):
            wait_for_end(pid, deadline - time.monotonic())
    while True:
        after = inventory(place)
        left = [f"left behind: {what}: {sorted(after[what] - before[what])[:10]}"
                for what in after if after[what] - before[what]]  # fmt: skip
        # Keyrings go when the kernel finds the time, and it tells nobody.
        if not left or time.monotonic() > deadline:
            return left
        os.sched_yield()


class Outcome(NamedTuple):
    """What a trial has done, in words, and what it complains of."""

    said: str
    wrong: list[str]


def attempt(script: str, act: Callable[[Place], Outcome]) -> int:
    """Do a script's trial in a place of its own, say what came of it; return an exit status.

    The script is executed once more, in a pid namespace of its own: every process in there is of
    this, and the last is the end.
    """
    if os.getpid() != 1:
        view = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
        command = [*view, sys.executable, script, *sys.argv[1:]]
        return subprocess.run(command, check=False).returncode
    name = Path(script).stem
    with tempfile.TemporaryDirectory(prefix=f"seatrial-{name}-") as folder:
        place = Place(Path(folder))
        place.prepare()
        before = inventory(place)
        start = time.monotonic()
        said, wrong = act(place)
        seconds = time.monotonic() - start
        wrong += settle(place, before)
    for each in wrong[:40]:
        print(each)  # noqa: T201 - a command's output
    print(f"{seconds:.1f} s: {said}; {len(wrong)} complaints")  # noqa: T201
    return int(bool(wrong))
