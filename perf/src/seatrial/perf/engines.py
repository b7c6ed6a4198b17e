"""Engines: what is above a runtime, from the command to the container and back."""

from __future__ import annotations

import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

from seatrial.perf.configs import PAYLOAD
from seatrial.perf.contenders import MissingError
from seatrial.perf.programs import program
from seatrial.perf.stopwatch import ENVIRON, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.perf.bundles import Bundle
    from seatrial.perf.contenders import Contender
    from seatrial.perf.place import Place

_IMAGE = "seatrial-perf"
_TIMEOUT_S = 60
#: What podman sets by default may be more than a restricted host allows.
_LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096")


def step(place: Place, contender: Contender, bundle: Bundle) -> Step:
    """Return the step that runs one container, removed at its end, without a network."""
    if contender.name == "podman":
        # In memory, as the bundles of the runtimes are, and apart from the user's containers.
        store = place.work / "podman"
        words: tuple[str, ...] = (
            *("--root", f"{store}/root", "--runroot", f"{store}/run", "--storage-driver", "vfs"),
            *("--cgroup-manager", "cgroupfs", "run", "--rm", "--network", "none", *_LIMITS),
            *("--log-driver", "none", "--cgroup-parent", f"{place.cgroups.path}/podman"),
            *("--rootfs", str(bundle.path / "rootfs")),
        )
    else:
        words = ("run", "--rm", "--network", "none", _IMAGE)
    return Step("run", (contender.path, *words, *bundle.config["process"]["args"]), "po")


def prepare(contender: Contender) -> None:
    """Give docker an image with nothing but the payload; raises ``MissingError``."""
    if contender.name != "docker":
        return
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(program("payload"), PAYLOAD)
    _docker(contender, ["import", "-", _IMAGE], content.getvalue())


def forget(contender: Contender) -> None:
    """Remove docker's image."""
    if contender.name == "docker":
        _docker(contender, ["image", "rm", _IMAGE])


def _docker(contender: Contender, words: Sequence[str], content: bytes = b"") -> None:
    try:
        done = subprocess.run(
            [contender.path, *words],
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
