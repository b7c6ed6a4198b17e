"""Engines: what is above a runtime, from the command to the container and back."""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.perf import daemons
from seatrial.perf.configs import PAYLOAD
from seatrial.perf.contenders import MissingError
from seatrial.perf.programs import program
from seatrial.perf.stopwatch import ENVIRON, Step

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.perf.bundle import Bundle
    from seatrial.perf.cgroups import OwnCgroups
    from seatrial.perf.contenders import Contender
    from seatrial.perf.daemons import Daemon

_IMAGE = "seatrial-perf"
_TIMEOUT_S = 60
#: What podman sets by default may be more than a restricted host allows.
_LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096")


@dataclass(frozen=True)
class _Client:
    """Docker's client and the daemon that it talks to."""

    path: str
    host: str
    #: Unless it is the user's.
    daemon: Daemon | None = None

    def __call__(self, *words: str, content: bytes = b"") -> None:
        """Run one of its commands; raises ``MissingError`` when it fails."""
        try:
            done = subprocess.run(
                [self.path, "--host", self.host, *words],
                input=content,
                capture_output=True,
                env=ENVIRON,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise MissingError(f"docker {words[0]}: {error}") from None
        if done.returncode != 0:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            raise MissingError(f"docker {words[0]}: {lines[-1] if lines else 'it failed'}")


class Engines:
    """The engines of a run: podman with its storage in memory, the others by daemons."""

    def __init__(self, work: Path, cgroups: OwnCgroups, docker_host: str | None) -> None:
        """Prepare them below ``work``; with ``docker_host`` docker is timed by that daemon."""
        self._work = work
        self._cgroups = cgroups
        self._docker_host = docker_host
        self._clients: dict[str, _Client] = {}

    def prepare(self, contender: Contender) -> None:
        """Have an engine ready, with an image; raises ``MissingError`` with the reason."""
        name = contender.runtime
        if not contender.is_engine or name in self._clients:
            return
        for folder in self._cgroups.folders(name):
            self._cgroups.make(folder)
        if name == "podman":
            return
        client = self._begin(contender)
        self._clients[name] = client
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as archive:
            archive.add(program("payload"), PAYLOAD)
        client("import", "-", _IMAGE, content=content.getvalue())

    def _begin(self, contender: Contender) -> _Client:
        name = contender.runtime
        if name == "docker" and self._docker_host is not None:
            return _Client(contender.path, self._docker_host)
        accounting = {self._cgroups.accounting(), self._cgroups.finding()}
        joined = [self._cgroups.folder(each, f"{name}/daemon") for each in accounting if each]
        for folder in joined:
            self._cgroups.make(folder)
        cgroup = f"{self._cgroups.path}/{name}"
        folder = self._work / name
        folder.mkdir()
        host = f"unix://{folder}/docker.sock"
        if name == "docker":
            return _Client(contender.path, host, daemons.dockerd(folder, joined, host, cgroup))
        path = shutil.which("docker", path=ENVIRON["PATH"])
        if path is None:
            raise MissingError("docker's client, which it is timed by, is not on this machine")
        return _Client(path, host, daemons.seatriald(contender.path, folder, joined, host, cgroup))

    def close(self) -> None:
        """End the daemons; remove the image from the one that was asked for."""
        for client in self._clients.values():
            if client.daemon:
                client.daemon.close()
            else:
                with contextlib.suppress(MissingError):
                    client("image", "rm", _IMAGE)

    def step(self, contender: Contender, bundle: Bundle) -> Step:
        """Return the step that runs one container, removed at its end, without a network."""
        if contender.runtime == "podman":
            words = (*self._podman(contender), "--rootfs", str(bundle.path / "rootfs"))
        else:
            client = self._clients[contender.runtime]
            options = ("--rm", "--network", "none")
            words = (client.path, "--host", client.host, "run", *options, _IMAGE)
        return Step("run", (*words, *bundle.config["process"]["args"]), "po")

    def _podman(self, contender: Contender) -> tuple[str, ...]:
        # In memory, as the bundles of the runtimes are, and apart from the user's containers.
        # The name is short because podman allows its --runroot 50 characters.
        store = self._work / "pod"
        return (
            contender.path,
            *("--root", f"{store}/root", "--runroot", f"{store}/run"),
            *("--tmpdir", f"{store}/temporary", "--storage-driver", "vfs"),
            *("--events-backend", "none", "--cgroup-manager", "cgroupfs"),
            *("run", "--rm", "--network", "none", *_LIMITS, "--log-driver", "none"),
            *("--cgroup-parent", f"{self._cgroups.path}/podman"),
        )

    def used_ns(self, contender: Contender) -> int | None:
        """Return the processor time that an engine has used beside its command so far.

        That of its daemon, monitors and containers, by the cgroup that they are below; ``None``
        where the host does not say, or the daemon is another's.
        """
        client = self._clients.get(contender.runtime)
        if client and client.daemon is None:
            return None
        return self._cgroups.used_ns(contender.runtime)
