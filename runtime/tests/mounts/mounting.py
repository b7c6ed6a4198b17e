"""Containers whose mounts are looked at from outside; nothing has to run in them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple, Protocol

#: The command as it is installed beside this Python.
COMMAND = str(Path(sys.executable).parent / "seatrial-oci")
NEW_MOUNT_NAMESPACE = 0x20000
#: Runs a command where /sys/fs/cgroup is cgroup2, as on a pure v2 host.
V2_VIEW = (
    "unshare", "--mount", "--propagation", "private", "sh", "-c",
    'umount -l /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"', "sh",
)  # fmt: skip


class Mounted(NamedTuple):
    """A line of mountinfo (proc_pid_mountinfo(5))."""

    root: str
    target: str
    options: set[str]
    propagation: set[str]
    type: str
    source: str
    filesystem_options: set[str]


class Container:
    """A created container."""

    def __init__(
        self, state_root: Path, identifier: str, pid: int, view: tuple[str, ...] = ()
    ) -> None:
        self.pid, self._state_root, self._id, self._view = pid, state_root, identifier, view

    def mounts(self) -> list[Mounted]:
        """Return all mounts, in the order in which they were made."""
        found = []
        for line in Path(f"/proc/{self.pid}/mountinfo").read_text("utf-8").splitlines():
            left, _, right = line.partition(" - ")
            _, _, _, root, target, options, *tags = left.split(" ")
            kind, source, more = right.split(" ")
            propagation = {tag.split(":")[0] for tag in tags}
            found.append(
                Mounted(
                    root, target, set(options.split(",")), propagation, kind, source,
                    set(more.split(",")),
                )
            )  # fmt: skip
        return found

    def mount(self, target: str) -> Mounted:
        """Return the mount on top at a path."""
        return [each for each in self.mounts() if each.target == target][-1]

    def path(self, name: str) -> Path:
        """Return a path in the container, reached from outside."""
        return Path(f"/proc/{self.pid}/root") / name.lstrip("/")

    def delete(self) -> None:
        """Remove it."""
        run("--root", str(self._state_root), "delete", "--force", self._id, view=self._view)


class Failed(Exception):  # noqa: N818 - an outcome, not an error of the test
    """The runtime refused."""


def run(*arguments: str, view: tuple[str, ...] = ()) -> None:
    # A file: a container holds its stderr open, and a pipe would be read until it ends.
    with tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(
            [*view, COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=said, check=False,
        )  # fmt: skip
        said.seek(0)
        if done.returncode:
            raise Failed(said.read())


class Create(Protocol):
    """Create a container with these mounts, members of the config and of its linux object."""

    def __call__(
        self,
        *mounts: dict[str, Any],
        namespaces: tuple[str, ...] = (),
        root: dict[str, Any] | None = None,
        namespace_paths: dict[str, str] | None = None,
        view: tuple[str, ...] = (),
        console: Path | None = None,
        **linux: Any,
    ) -> Container: ...


def entry(destination: str, source: str | Path, *options: str, **more: Any) -> dict[str, Any]:
    """Return a mount; of a tmpfs where the source is "tmpfs"."""
    kind = "tmpfs" if source == "tmpfs" else "none"
    return {
        "destination": destination, "type": kind, "source": str(source), "options": [*options],
        **more,
    }  # fmt: skip
