"""Daemons of the run's own: in namespaces, with their state in memory, below the run's cgroup."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.perf.contenders import MissingError
from seatrial.perf.stopwatch import ENVIRON

if TYPE_CHECKING:
    from collections.abc import Sequence

_TIMEOUT_S = 30.0
#: Joins the cgroups whose files are named, up to --; then in namespaces whose end is that of all
#: that is started in them. What a daemon writes outside of its folder, it writes into memory.
_JOIN = """
while [ "$1" != -- ]; do echo $$ >"$1" || exit 1; shift; done
shift
exec unshare --net --mount --pid --fork --kill-child --propagation private "$@"
"""
_SETUP = """
set -e
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
for folder in /etc /var/lib /opt; do
    [ -d $folder ] || continue
    mkdir -p "$1/over$folder/upper" "$1/over$folder/work"
    mount -t overlay overlay \
        -o "lowerdir=$folder,upperdir=$1/over$folder/upper,workdir=$1/over$folder/work" $folder
done
shift
exec "$@"
"""


class Daemon:
    """A daemon in namespaces of its own; raises ``MissingError`` where it cannot be started."""

    def __init__(self, folder: Path, joined: Sequence[Path], *words: str) -> None:
        """Start it: ``words``, once it is in the cgroups ``joined``; its state is in ``folder``."""
        self._name = Path(words[0]).name
        self._log = folder / "log"
        files = [str(each / "cgroup.procs") for each in joined]
        with (
            self._log.open("wb") as log,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices,
        ):
            notices.bind(f"{folder}/ready")
            self._process = subprocess.Popen(
                [
                    *("/bin/sh", "-c", _JOIN, "sh", *files, "--"),
                    *("/bin/sh", "-c", _SETUP, "sh", str(folder), *words),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=ENVIRON | {"TMPDIR": str(folder), "NOTIFY_SOCKET": notices.getsockname()},
                start_new_session=True,
            )
            self._wait(notices)

    def _wait(self, notices: socket.socket) -> None:
        """Wait until it says that it is ready, as sd_notify(3) has it, or ends."""
        ended = os.pidfd_open(self._process.pid)
        try:
            ready = select.select([notices.fileno(), ended], [], [], _TIMEOUT_S)[0]
        finally:
            os.close(ended)
        if notices.fileno() not in ready:
            lines = self._said().strip().splitlines() or ["it says nothing"]
            self.close()
            raise MissingError(f"{self._name} does not start: {lines[-1]}")

    def _said(self) -> str:
        with contextlib.suppress(OSError):
            return self._log.read_text(encoding="utf-8", errors="replace")
        return ""

    def close(self) -> None:
        """End it and all that it has started."""
        if self._process.poll() is None:
            # The first of the pid namespace: unshare(1) waits for it, and so nobody else has to.
            pid = self._process.pid
            ended = [pid]
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
                ended = [int(word) for word in children.split()] or ended
            for each in ended:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
        self._process.wait()


def dockerd(folder: Path, joined: Sequence[Path], host: str, cgroup: str) -> Daemon:
    """Start Docker's daemon; its containers go below ``cgroup``."""
    path = shutil.which("dockerd", path=ENVIRON["PATH"])
    if path is None:
        raise MissingError("dockerd is not on this machine")
    settings = {
        "hosts": [host],
        "data-root": f"{folder}/data",
        "exec-root": "/run/docker",
        "pidfile": f"{folder}/docker.pid",
        "cgroup-parent": cgroup,
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "bridge": "none",
        "iptables": False,
        "ip-forward": False,
        "userland-proxy": False,
    }
    configuration = folder / "daemon.json"
    configuration.write_text(json.dumps(settings), encoding="utf-8")
    return Daemon(folder, joined, path, f"--config-file={configuration}")


def seatriald(path: str, folder: Path, joined: Sequence[Path], host: str, cgroup: str) -> Daemon:
    """Start our own daemon; its containers go below ``cgroup``."""
    root = f"--data-root={folder}/data"
    return Daemon(folder, joined, path, f"--host={host}", root, f"--cgroup-parent={cgroup}")
