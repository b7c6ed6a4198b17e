"""seatriald, our own engine, with docker's client."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from daemons import image
from daemons.engine import Engine
from daemons.room import Daemon, Follower, Room

if TYPE_CHECKING:
    from collections.abc import Iterator

#: As it is installed beside this Python.
COMMAND = str(Path(sys.executable).parent / "seatriald")


class Seatriald(Engine):
    """The daemon with its state in the room, and docker's client."""

    @classmethod
    @contextmanager
    def in_a_room(cls, folder: Path, runtime: str) -> Iterator[Self]:
        """Begin the engine in a room of its own, with an image of busybox; both end with this."""
        layer = folder / "layer.tar"
        image.write_layer(layer)
        with Room(folder) as room:
            yield cls(room, runtime, layer)

    def begin(self) -> None:
        """Start the daemon."""
        self.socket = f"{self.room.folder}/seatriald.sock"
        self._root = f"{self.room.store}/seatriald"
        self._mounts = os.readlink(f"/proc/{self.room.pid}/ns/mnt")
        self.daemon = self.start()

    def start(self) -> Daemon:
        """Start a daemon, the first or one that finds what another has left."""
        return Daemon(
            self.room,
            *(COMMAND, f"--host=unix://{self.socket}", f"--data-root={self._root}"),
            *(f"--runtime=under-test={self.runtime}", f"--cgroup-parent={self.cgroup}"),
            ready="seatriald: listening on",
        )

    def kill_daemon(self) -> None:
        """Kill the daemon, as kill -9 does."""
        pid = self.outside(self.room.must("/bin/busybox", "cat", f"{self._root}/pid").text)
        os.kill(pid, signal.SIGKILL)
        self.daemon.close()

    def begin_again(self) -> None:
        """Start another daemon in the place of one that was killed."""
        self.daemon = self.start()

    def outside(self, pid: str) -> int:
        """Return what a process of the room is called outside of it (proc(5), NSpid)."""
        for each in filter(str.isdigit, os.listdir("/proc")):
            try:
                lines = Path(f"/proc/{each}/status").read_text("utf-8").splitlines()
                same = os.readlink(f"/proc/{each}/ns/mnt") == self._mounts
            except OSError:  # it has ended meanwhile
                continue
            numbers = next((line.split()[1:] for line in lines if line[:6] == "NSpid:"), [])
            if len(numbers) > 1 and pid in numbers[1:2] and (same or len(numbers) > 2):
                return int(each)
        raise AssertionError(f"there is no process {pid} in the room")

    def pid_outside(self, name: str) -> int:
        """Return a container's process."""
        return self.outside(str(self.state(name)["Pid"]))

    def within(self, name: str, *argv: str) -> Follower:
        """Start a program of the room in a container's network."""
        pid = str(self.state(name)["Pid"])
        return self.room.follow("nsenter", "--net", "--target", pid, "--", *argv)

    def supervisor_outside(self, name: str) -> int:
        """Return a container's supervisor: the parent of its process."""
        status = Path(f"/proc/{self.pid_outside(name)}/status").read_text("utf-8")
        return next(int(line.split()[1]) for line in status.splitlines() if line[:5] == "PPid:")

    def explaining(self, name: str) -> list[str]:
        """Return the command that explains a container."""
        return [COMMAND, "explain", f"--host=unix://{self.socket}", name]

    def command(self, verb: str, *words: str) -> list[str]:
        """Return its command line for a verb."""
        return ["docker", f"--host=unix://{self.socket}", verb, *words]

    def options(self) -> list[str]:
        """Return what every new container is given: nothing."""
        return []
