"""seatriald, our own engine, with docker's client."""

from __future__ import annotations

import sys
from pathlib import Path

from daemons.engine import Engine
from daemons.room import Daemon

#: As it is installed beside this Python.
COMMAND = str(Path(sys.executable).parent / "seatriald")


class Seatriald(Engine):
    """The daemon with its state in the room, and docker's client."""

    def begin(self) -> None:
        """Start the daemon."""
        self.socket = f"{self.room.folder}/seatriald.sock"
        self.daemon = self.start()

    def start(self) -> Daemon:
        """Start a daemon, the first or one that finds what another has left."""
        return Daemon(
            self.room,
            *(COMMAND, f"--host=unix://{self.socket}", f"--data-root={self.room.store}/seatriald"),
            *(f"--runtime=under-test={self.runtime}", f"--cgroup-parent={self.cgroup}"),
            ready="seatriald: listening on",
        )

    def command(self, verb: str, *words: str) -> list[str]:
        """Return its command line for a verb."""
        return ["docker", f"--host=unix://{self.socket}", verb, *words]

    def options(self) -> list[str]:
        """Return what every new container is given: nothing."""
        return []
