"""Real engines on a real runtime: ``make engines``, or pytest on this folder as root.

``--runtime-under-test=runc`` runs the same tests on another runtime, to see that they are fair.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from daemons import image
from daemons.containerd import Containerd
from daemons.docker import Docker
from daemons.podman import Podman
from daemons.room import PATH, Room, hierarchies, remove_cgroups

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemons.engine import Engine

#: As it is installed beside this Python.
REFERENCE = str(Path(sys.executable).parent / "seatrial-oci")
#: By Debian package.
COMMANDS = {
    "busybox-static": "busybox",
    "podman": "podman",
    "conmon": "conmon",
    "docker.io": "dockerd",
    "containerd": "containerd-shim-runc-v2",
}
#: Where engines leave things, were it not for the room.
WATCHED = (
    *("/dev/shm", "/etc/cni", "/etc/containers", "/etc/docker", "/opt", "/root/.docker"),  # noqa: S108 - looked at
    *("/run/containerd", "/run/containers", "/run/docker", "/run/libpod", "/run/lock", "/run/runc"),
    *("/run/seatrial-oci", "/var/lib/cni", "/var/lib/containerd", "/var/lib/containers"),
    *("/var/lib/docker", "/var/tmp"),  # noqa: S108 - the same
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the runtime."""
    parser.addoption(
        "--runtime-under-test",
        default=REFERENCE,
        metavar="RUNTIME",
        help="what the engines call to make containers, by name or path (default: seatrial-oci)",
    )


@pytest.fixture(scope="session")
def runtime(pytestconfig: pytest.Config) -> str:
    """Return the path of the runtime under test; without it and the engines nothing can be said."""
    if os.geteuid() != 0:
        pytest.exit("the engines' daemons need root", returncode=2)
    missing = [
        package for package, name in COMMANDS.items() if shutil.which(name, path=PATH) is None
    ]
    if missing:
        pytest.exit(
            f"not installed: {' '.join(missing)} (hint: make engines, or apt-get install)",
            returncode=2,
        )
    name = pytestconfig.getoption("runtime_under_test")
    found = shutil.which(name)
    if found is None:
        pytest.exit(f"there is no runtime {name}", returncode=2)
    return os.path.abspath(found)


@pytest.fixture(scope="session")
def nothing_left(runtime: str) -> Iterator[None]:
    """Fail if anything is left on the host in the end."""
    del runtime
    _remove_what_was_left()
    before = _host()
    yield
    left = {name: sorted(found - before[name]) for name, found in _host().items()}
    assert not any(left.values()), {name: found for name, found in left.items() if found}


def _remove_what_was_left() -> None:
    """Remove the cgroups of a run that was killed; all else of it ended with it."""
    for mounted in hierarchies():
        for name in os.listdir(mounted):
            pid = name.removeprefix("seatrial-engines-").partition("-")[0]
            if pid != name and pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
                remove_cgroups(f"/{name}")


def _host() -> dict[str, set[str]]:
    mounts = Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
    ours = f"seatrial-engines-{os.getpid()}"
    return {
        "mounts": {line.split(" ")[4] for line in mounts},
        "network": set(os.listdir("/sys/class/net")),
        "cgroups": {
            f"{mounted}/{name}"
            for mounted in hierarchies()
            for name in os.listdir(mounted)
            if name.startswith(("machine", "libpod", "docker", "default", "user.slice:", ours))
        },
        "files": {
            os.path.join(where, name)
            for folder in WATCHED
            for where, folders, files in os.walk(folder)
            for name in (*folders, *files)
        },
    }


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tar archive of the image's root filesystem."""
    path = tmp_path_factory.mktemp("image") / "layer.tar"
    image.write_layer(path)
    return path


def _room(tmp_path_factory: pytest.TempPathFactory, name: str) -> Room:
    folder = tmp_path_factory.mktemp(name)
    return Room(folder)


@pytest.fixture(scope="session")
def podman(
    tmp_path_factory: pytest.TempPathFactory, runtime: str, layer: Path, nothing_left: None
) -> Iterator[Podman]:
    """Return podman."""
    del nothing_left
    with _room(tmp_path_factory, "podman") as room:
        engine = Podman(room, runtime, layer)
        yield engine
    remove_cgroups(engine.cgroup)


@pytest.fixture(scope="session")
def docker(
    tmp_path_factory: pytest.TempPathFactory, runtime: str, layer: Path, nothing_left: None
) -> Iterator[Docker]:
    """Return docker."""
    del nothing_left
    with _room(tmp_path_factory, "docker") as room:
        engine = Docker(room, runtime, layer)
        yield engine
    engine.daemon.close()
    remove_cgroups(engine.cgroup)


@pytest.fixture(scope="session")
def containerd(
    tmp_path_factory: pytest.TempPathFactory, runtime: str, layer: Path, nothing_left: None
) -> Iterator[Containerd]:
    """Return containerd."""
    del nothing_left
    with _room(tmp_path_factory, "containerd") as room:
        engine = Containerd(room, runtime, layer)
        yield engine
    engine.daemon.close()
    remove_cgroups(engine.cgroup)


@pytest.fixture(params=["podman", "docker"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Return each engine in turn."""
    chosen: Engine = request.getfixturevalue(request.param)
    return chosen
