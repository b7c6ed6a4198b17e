"""Real engines on a real runtime: ``make engines``, or pytest on this folder as root.

``--runtime-under-test=runc`` runs the same tests on another runtime, to see that they are fair.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import pytest
from daemons import image
from daemons.containerd import Containerd
from daemons.docker import Docker
from daemons.podman import Podman
from daemons.room import PATH, Room, hierarchies, remove_cgroups
from daemons.seatriald import Seatriald

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemons.engine import Engine

    AnEngine = TypeVar("AnEngine", Podman, Docker, Containerd, Seatriald)

    class Begin(Protocol):
        """Begins an engine of a kind."""

        def __call__(self, kind: type[AnEngine]) -> AnEngine: ...


#: As it is installed beside this Python.
REFERENCE = str(Path(sys.executable).parent / "seatrial-oci")
#: By Debian package.
COMMANDS = {
    "busybox-static": "busybox",
    "podman": "podman",
    "conmon": "conmon",
    "docker.io": "dockerd",
    "docker-registry": "docker-registry",
    "containerd": "containerd-shim-runc-v2",
}
#: Where engines leave things, were it not for the room; others of the host may be in use.
WATCHED = (
    *("/dev/shm/libpod_lock", "/etc/cni", "/etc/docker", "/opt/containerd", "/root/.docker"),
    *("/run/containerd", "/run/containers", "/run/docker", "/run/docker.sock", "/run/libpod"),
    *("/run/xtables.lock", "/var/lib/cni", "/var/lib/containerd", "/var/lib/containers"),
    *("/var/lib/docker",),
)
#: What engines call their cgroups unless told otherwise.
CGROUPS = {"conmon", "default", "docker", "libpod_parent", "machine.slice", "moby"}


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
    name: str = pytestconfig.getoption("runtime_under_test")
    found = shutil.which(name)
    if found is None:
        pytest.exit(f"there is no runtime {name}", returncode=2)
    return os.path.abspath(found)


@pytest.fixture(scope="session")
def nothing_left(runtime: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail if anything is left on the host in the end."""
    del runtime
    _remove_what_was_left()
    folder = str(tmp_path_factory.getbasetemp())
    before = _host(folder)
    yield
    assert sorted(_host(folder) - before) == []


def _remove_what_was_left() -> None:
    """Remove the cgroups of a run that was killed; all else of it ended with it."""
    for mounted in hierarchies():
        for name in os.listdir(mounted):
            pid = name.removeprefix("seatrial-engines-").partition("-")[0]
            if pid != name and pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
                remove_cgroups(f"/{name}")


def _host(folder: str) -> set[str]:
    """Return what there is of all that might be left: files, cgroups, mounts, processes."""
    mounts = Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
    ours = f"seatrial-engines-{os.getpid()}-"
    return {
        *filter(os.path.lexists, WATCHED),
        *(
            f"{mounted}/{name}"
            for mounted in hierarchies()
            for name in os.listdir(mounted)
            if name in CGROUPS or name.startswith(ours)
        ),
        *(line for line in mounts if folder in line),
        *(
            f"process {pid}: {command}"
            for pid in filter(str.isdigit, os.listdir("/proc"))
            if folder in (command := _command_line(pid)) and int(pid) != os.getpid()
        ),
    }


def _command_line(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:  # it has ended meanwhile
        return ""


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tar archive of the image's root filesystem."""
    path = tmp_path_factory.mktemp("image") / "layer.tar"
    image.write_layer(path)
    return path


@pytest.fixture(scope="session")
def begin(
    tmp_path_factory: pytest.TempPathFactory, runtime: str, layer: Path, nothing_left: None
) -> Iterator[Begin]:
    """Return what begins an engine, in a room of its own; it ends with the session."""
    del nothing_left
    with contextlib.ExitStack() as end:

        def begun(kind: type[AnEngine]) -> AnEngine:
            room = Room(tmp_path_factory.mktemp(kind.__name__.lower()))
            return kind(end.enter_context(room), runtime, layer)

        yield begun


@pytest.fixture(scope="session")
def podman(begin: Begin) -> Podman:
    """Return podman."""
    return begin(Podman)


@pytest.fixture(scope="session")
def docker(begin: Begin) -> Docker:
    """Return docker."""
    return begin(Docker)


@pytest.fixture(scope="session")
def containerd(begin: Begin) -> Containerd:
    """Return containerd."""
    return begin(Containerd)


@pytest.fixture(scope="session")
def seatriald(begin: Begin) -> Seatriald:
    """Return our own engine."""
    return begin(Seatriald)


@pytest.fixture(params=["podman", "docker", "seatriald"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Return each engine in turn."""
    chosen: Engine = request.getfixturevalue(request.param)
    return chosen
