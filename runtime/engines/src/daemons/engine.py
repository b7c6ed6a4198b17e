"""What podman and docker have in common: their command line."""

from __future__ import annotations

import abc
import itertools
import json
from typing import TYPE_CHECKING, Any

from daemons import image
from daemons.limits import Limits
from daemons.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from daemons.room import Follower, Outcome, Room

_numbers = itertools.count(1)


class Engine(abc.ABC):
    """An engine in a room, whose containers the runtime under test makes."""

    def __init__(self, room: Room, runtime: str, layer: Path) -> None:
        self.room, self.runtime = room, runtime
        self.cgroup = room.cgroup
        self.begin()
        self.room.must(*self.command("import", str(layer), image.NAME))

    @abc.abstractmethod
    def begin(self) -> None:
        """Make what it needs before its first command."""

    @abc.abstractmethod
    def command(self, verb: str, *words: str) -> list[str]:
        """Return its command line for a verb."""

    @abc.abstractmethod
    def options(self) -> list[str]:
        """Return what every new container is given."""

    def __call__(self, verb: str, *words: str, stdin: bytes | None = None) -> Outcome:
        """Run one of its commands to the end."""
        return self.room.run(*self.command(verb, *words), stdin=stdin)

    def new(self, *options: str, program: tuple[str, ...], verb: str = "run") -> list[str]:
        """Return the command line for a new container; without a network, unless one is given."""
        given = [option.partition("=")[0] for option in options]
        network = [] if "--network" in given else ["--network=none"]
        return self.command(verb, *self.options(), *network, *options, image.NAME, *program)

    def run(
        self, *program: str, options: tuple[str, ...] = (), stdin: bytes | None = None
    ) -> Outcome:
        """Run a program in a container that is removed afterwards."""
        return self.room.run(*self.new("--rm", *options, program=program), stdin=stdin)

    def begin_container(self, *program: str, options: tuple[str, ...] = ()) -> str:
        """Run a program in the background; return its container's name."""
        name = f"c{next(_numbers)}"
        self.room.must(*self.new("--detach", f"--name={name}", *options, program=program))
        return name

    def terminal(self, *command: str, rows: int = 24, columns: int = 80) -> Terminal:
        """Return a terminal with one of its commands in it."""
        return Terminal(self.room, *command, rows=rows, columns=columns)

    def follow(self, verb: str, *words: str) -> Follower:
        """Start a command that goes on telling something, such as ``logs --follow``."""
        return self.room.follow(*self.command(verb, *words))

    def begin_ready(self, *program: str, options: tuple[str, ...] = ()) -> str:
        """Run a program in the background that says "ready" when it is; return its container."""
        name = self.begin_container(*program, options=options)
        with self.follow("logs", "--follow", name) as log:
            log.expect("ready")
        return name

    def inspect(self, name: str) -> dict[str, Any]:
        """Return all that it tells of a container."""
        found: list[dict[str, Any]] = json.loads(
            self.room.must(*self.command("inspect", "--type=container", name)).stdout
        )
        return found[0]

    def state(self, name: str) -> dict[str, Any]:
        """Return a container's state as it tells it."""
        state: dict[str, Any] = self.inspect(name)["State"]
        return state

    def limits(self, name: str) -> Limits:
        """Return the cgroups of a container."""
        return Limits(self.cgroup, self.inspect(name)["Id"])
