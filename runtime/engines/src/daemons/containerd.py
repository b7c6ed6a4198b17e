"""containerd and its client ctr: a shim for each container calls the runtime (BinaryName)."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

from daemons import image
from daemons.limits import Limits
from daemons.room import Daemon, Outcome, Room

if TYPE_CHECKING:
    from pathlib import Path

_numbers = itertools.count(1)
_CONFIGURATION = """\
version = 2
root = "{store}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "/run/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "{store}/opt"
"""


class Containerd:
    """containerd in a room."""

    def __init__(self, room: Room, runtime: str, layer: Path) -> None:
        self.room, self.runtime = room, runtime
        # ctr puts a container's cgroup below the name of its containerd namespace.
        self.cgroup = room.cgroup
        self._namespace = self.cgroup.removeprefix("/")
        configuration = room.folder / "containerd.toml"
        configuration.write_text(_CONFIGURATION.format(store=room.store), "utf-8")
        self.daemon = Daemon(
            room, "containerd", f"--config={configuration}", ready="successfully booted"
        )
        archive = room.folder / "image.tar"
        image.write_archive(archive, layer)
        room.must(*self.command("image", "import", str(archive)))

    def command(self, *words: str) -> list[str]:
        """Return ctr's command line."""
        return ["ctr", "--address=/run/containerd.sock", f"--namespace={self._namespace}", *words]

    def __call__(self, *words: str, stdin: bytes | None = None) -> Outcome:
        """Run one of ctr's commands to the end."""
        return self.room.run(*self.command(*words), stdin=stdin)

    def new(self, *options: str, program: tuple[str, ...]) -> list[str]:
        """Return the command line for a new container."""
        chosen = ("--runtime=io.containerd.runc.v2", f"--runc-binary={self.runtime}")
        return self.command("run", *chosen, *options, f"{image.NAME}:latest", *program)

    def name(self) -> str:
        """Return a name that no container has had."""
        return f"c{next(_numbers)}"

    def run(self, *program: str, options: tuple[str, ...] = ()) -> Outcome:
        """Run a program in a container that is removed afterwards."""
        return self.room.run(*self.new("--rm", *options, program=(self.name(), *program)))

    def begin_container(self, *program: str, options: tuple[str, ...] = ()) -> str:
        """Run a program in the background; return its container's name."""
        name = self.name()
        self.room.must(*self.new("--detach", *options, program=(name, *program)))
        return name

    def status(self, name: str) -> str:
        """Return the status of a container's task, or nothing if it has none."""
        for line in self.room.must(*self.command("task", "list")).lines[1:]:
            task, _, status = line.split()
            if task == name:
                return status
        return ""

    def metrics(self, name: str) -> dict[str, Any]:
        """Return what a container uses."""
        found: dict[str, Any] = json.loads(
            self.room.must(*self.command("task", "metrics", "--format=json", name)).stdout
        )
        return found

    def limits(self, name: str) -> Limits:
        """Return the cgroups of a container."""
        return Limits(self.cgroup, f"/{name}")
