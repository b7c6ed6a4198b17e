"""A room for engines: namespaces in which nothing that they leave reaches the host.

Mounts, network (with its firewall rules) and processes end with the room, whatever happens to us;
/run, /dev/shm and what engines write to below /etc, /var/lib and /opt are the room's own. The
cgroups are the host's, below one of our own, and are removed in the end.
"""

from __future__ import annotations

import errno
import os
import select
import subprocess
import threading
import time
from typing import IO, TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from pathlib import Path

#: One timeout for what hangs because of a defect; nothing waits for it otherwise.
TIMEOUT_S = 30.0
#: Debian's own commands, whatever else is on PATH.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
#: First on the host's /proc, which knows us by our pid there; then all is made private. A shell is
#: the room's init, because it reaps what daemons leave.
_SETUP = r"""
set -e
read -r pid rest < /proc/self/stat
mount -t proc proc /proc
/bin/busybox ip link set lo up
mkdir -p "$1"
mount -t tmpfs -o mode=755 tmpfs "$1"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/lock
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
for folder in /etc /var/lib /opt; do
    [ -d "$folder" ] || continue
    mkdir -p "$1/over$folder/upper" "$1/over$folder/work"
    mount -t overlay overlay \
        -o "lowerdir=$folder,upperdir=$1/over$folder/upper,workdir=$1/over$folder/work" "$folder"
done
echo "$pid"
cat
exit 0
"""


class Outcome(NamedTuple):
    """What came of a command; an assertion that fails shows the ends of all of it."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    def __repr__(self) -> str:
        command = " ".join(self.argv[-5:])
        return f"{command} -> {self.status}: {self.stdout[-60:]!r}, {self.stderr[-90:]!r}"

    @property
    def lines(self) -> list[str]:
        """The lines of its output."""
        return self.stdout.splitlines()

    @property
    def text(self) -> str:
        """Its output without white space around it."""
        return self.stdout.strip()


class Follower:
    """A command that goes on telling something, such as ``logs --follow``, until it is ended."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.said = ""

    def expect(self, text: str) -> None:
        """Read until ``text`` is there; what was read before it is forgotten."""
        assert self._process.stdout is not None
        while text not in self.said:
            ready = select.select([self._process.stdout], [], [], TIMEOUT_S)[0]
            data = os.read(self._process.stdout.fileno(), 1 << 16) if ready else b""
            assert data, f"no {text!r} but {self.said!r}"
            self.said += data.decode(errors="replace")
        self.said = self.said.partition(text)[2]

    def end(self) -> int:
        """Return its exit status, once it ends by itself."""
        self._process.communicate(timeout=TIMEOUT_S)
        return self._process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()
        self._process.wait(TIMEOUT_S)


class Room:
    """The namespaces; as a context they end with it. ``store`` is a tmpfs that only they see."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: Those whose end is waited for when the room has ended.
        self.daemons: list[Daemon] = []
        self.store = folder / "store"
        #: Above all cgroups of its containers.
        self.cgroup = f"/seatrial-engines-{os.getpid()}-{folder.name}"
        self.environment = {
            "PATH": PATH,
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm",
        }
        self._init = subprocess.Popen(
            [
                *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"),
                *("--propagation", "private", "sh", "-c", _SETUP, "sh", str(self.store)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            text=True,
        )
        assert self._init.stdout is not None
        said = self._init.stdout.readline()
        if not said:
            _, stderr = self._init.communicate()
            raise AssertionError(f"cannot make a room for engines: {stderr}")
        self.pid = int(said)

    def entering(self, *argv: str) -> list[str]:
        """Return the command that runs ``argv`` in the room."""
        return ["nsenter", "--target", str(self.pid), "--net", "--mount", "--pid", "--", *argv]

    def start(self, *argv: str, **streams: IO[bytes] | int) -> subprocess.Popen[bytes]:
        """Start a command in the room."""
        chosen: dict[str, IO[bytes] | int] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **streams,
        }
        return subprocess.Popen(self.entering(*argv), env=self.environment, **chosen)  # type: ignore[call-overload,no-any-return]

    def run(self, *argv: str, stdin: bytes | None = None) -> Outcome:
        """Run a command in the room to its end."""
        process = self.start(*argv, **({} if stdin is None else {"stdin": subprocess.PIPE}))
        try:
            stdout, stderr = process.communicate(stdin, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"no end after {TIMEOUT_S:g} s: {' '.join(argv)}") from None
        return Outcome(
            argv,
            process.returncode,
            stdout.decode(errors="replace"),
            stderr.decode(errors="replace"),
        )

    def follow(self, *argv: str) -> Follower:
        """Start a command in the room that goes on telling something."""
        return Follower(self.start(*argv))

    def must(self, *argv: str) -> Outcome:
        """Run what has to succeed for there to be anything to try."""
        done = self.run(*argv)
        assert done.status == 0, done
        return done

    def close(self) -> None:
        """End every process of the room, and with them the room; remove the cgroups."""
        assert self._init.stdin is not None
        self._init.stdin.close()
        self._init.wait(TIMEOUT_S)
        for stream in (self._init.stdout, self._init.stderr):
            assert stream is not None
            stream.close()
        for daemon in self.daemons:
            daemon.close()
        remove_cgroups(self.cgroup)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class Daemon:
    """A daemon in a room, started once it has logged ``ready``; its log is kept for failures."""

    def __init__(self, room: Room, *argv: str, ready: str) -> None:
        self.name = os.path.basename(argv[0])
        self.log: list[str] = []
        self._seen = threading.Event()
        self._process = room.start(*argv, stdout=subprocess.DEVNULL)
        room.daemons.append(self)
        self._reader = threading.Thread(target=self._read, args=(ready,), daemon=True)
        self._reader.start()
        if not self._seen.wait(TIMEOUT_S) or not any(ready in line for line in self.log):
            self._process.kill()
            raise AssertionError(f"{self.name} does not start:\n{''.join(self.log[-30:])}")

    def _read(self, ready: str) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.log.append(line.decode(errors="replace"))
            if ready in self.log[-1]:
                self._seen.set()
        self._seen.set()

    def close(self) -> None:
        """Wait for its end, which comes with the end of its room."""
        self._process.wait(TIMEOUT_S)
        self._reader.join(TIMEOUT_S)
        assert self._process.stderr is not None
        self._process.stderr.close()


def hierarchies() -> list[str]:
    """Return where the host's cgroup hierarchies are mounted."""
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        return [line.split(" ")[4] for line in lines if line.partition(" - ")[2][:6] == "cgroup"]


def remove_cgroups(parent: str) -> None:
    """Remove a cgroup and all below it, from every hierarchy."""
    for mounted in hierarchies():
        for where, _, _ in os.walk(mounted + parent, topdown=False):
            _remove_cgroup(where)


def _remove_cgroup(path: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return
        except OSError as error:
            # A killed process leaves its cgroup a moment after its end is seen.
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            os.sched_yield()
        else:
            return
