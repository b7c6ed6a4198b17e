"""Engines: what is above a runtime, from the command to the container and back."""

from __future__ import annotations

import contextlib
import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

from seatrial.perf.configs import PAYLOAD
from seatrial.perf.contenders import MissingError
from seatrial.perf.dockerd import Dockerd
from seatrial.perf.programs import program
from seatrial.perf.stopwatch import ENVIRON, Step

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from seatrial.perf.bundle import Bundle
    from seatrial.perf.cgroups import OwnCgroups
    from seatrial.perf.contenders import Contender

_IMAGE = "seatrial-perf"
_TIMEOUT_S = 60
#: What podman sets by default may be more than a restricted host allows.
_LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096")


class Engines:
    """The engines of a run: podman with its storage in memory, docker with a daemon of its own."""

    def __init__(self, work: Path, cgroups: OwnCgroups, docker_host: str | None) -> None:
        """Prepare them below ``work``; with ``docker_host`` that daemon is used and no other."""
        self._work = work
        self._cgroups = cgroups
        self._asked = docker_host
        self._host = docker_host or ""
        self._daemon: Dockerd | None = None
        self._image_of: Contender | None = None

    def prepare(self, contender: Contender) -> None:
        """Have an engine ready, docker with an image; raises ``MissingError`` with the reason."""
        if not contender.is_engine:
            return
        for folder in self._cgroups.folders(contender.runtime):
            self._cgroups.make(folder)
        if contender.runtime != "docker":
            return
        if self._asked is None:
            accounting = {self._cgroups.accounting(), self._cgroups.finding()}
            joined = [self._cgroups.folder(each, "docker/daemon") for each in accounting if each]
            for folder in joined:
                self._cgroups.make(folder)
            cgroup = f"{self._cgroups.path}/docker"
            self._daemon = Dockerd(self._work / "docker", cgroup, joined)
            self._host = self._daemon.host
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as archive:
            archive.add(program("payload"), PAYLOAD)
        self._docker(contender, ["import", "-", _IMAGE], content.getvalue())
        self._image_of = contender

    def close(self) -> None:
        """End the daemon, or remove the image from the one that was asked for."""
        if self._daemon:
            self._daemon.close()
        elif self._image_of:
            with contextlib.suppress(MissingError):
                self._docker(self._image_of, ["image", "rm", _IMAGE])

    def step(self, contender: Contender, bundle: Bundle) -> Step:
        """Return the step that runs one container, removed at its end, without a network."""
        if contender.runtime == "podman":
            # In memory, as the bundles of the runtimes are, and apart from the user's containers.
            # The name is short because podman allows its --runroot 50 characters.
            store = self._work / "pod"
            words: tuple[str, ...] = (
                *("--root", f"{store}/root", "--runroot", f"{store}/run"),
                *("--tmpdir", f"{store}/temporary", "--storage-driver", "vfs"),
                *("--events-backend", "none", "--cgroup-manager", "cgroupfs"),
                *("run", "--rm", "--network", "none", *_LIMITS, "--log-driver", "none"),
                *("--cgroup-parent", f"{self._cgroups.path}/podman"),
                *("--rootfs", str(bundle.path / "rootfs")),
            )
        else:
            words = ("--host", self._host, "run", "--rm", "--network", "none", _IMAGE)
        return Step("run", (contender.path, *words, *bundle.config["process"]["args"]), "po")

    def used_ns(self, contender: Contender) -> int | None:
        """Return the processor time that an engine has used beside its command so far.

        That of its daemon, monitors and containers, by the cgroup that they are below; ``None``
        where the host does not say, or the daemon is another's.
        """
        if contender.runtime == "docker" and self._daemon is None:
            return None
        return self._cgroups.used_ns(contender.runtime)

    def _docker(self, contender: Contender, words: Sequence[str], content: bytes = b"") -> None:
        try:
            done = subprocess.run(
                [contender.path, "--host", self._host, *words],
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
