"""Mounts of a container with a user namespace: what stays the host's, what it may not mount."""

from __future__ import annotations

import ctypes
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from mounting import NEW_MOUNT_NAMESPACE, V2_VIEW, entry

if TYPE_CHECKING:
    from pathlib import Path

    from mounting import Container, Create

MAPPING = [
    {"containerID": 0, "hostID": 0, "size": 1},
    {"containerID": 1, "hostID": 100001, "size": 1000},
]
USER: dict[str, Any] = {"uidMappings": MAPPING, "gidMappings": MAPPING}
NEW_USER_NAMESPACE = 0x10000000
REMOUNT, BIND = 1 << 5, 1 << 12


def remounted(container: Container, target: str) -> int:
    """Take away all attributes of a mount, with all power of the container; return the errno."""
    child = os.fork()
    if child == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        fds = [os.open(f"/proc/{container.pid}/ns/{kind}", os.O_RDONLY) for kind in ("user", "mnt")]
        for fd, kind in zip(fds, (NEW_USER_NAMESPACE, NEW_MOUNT_NAMESPACE), strict=True):
            if libc.setns(fd, kind) != 0:
                os._exit(255)
        done = libc.mount(b"none", target.encode(), None, REMOUNT | BIND, None)
        os._exit(ctypes.get_errno() if done else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture(scope="module")
def careful(folder: Path) -> Path:
    """Return a folder of the host's that is mounted read-only and without programs of others."""
    source = folder / "careful"
    source.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "careful", source], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro,nosuid", source], check=True)
    return source


@pytest.mark.parametrize("options", [("bind",), ("rbind",), ("bind", "noexec")])
def test_what_the_host_has_forbidden_stays_forbidden(
    create: Create, careful: Path, options: tuple[str, ...]
) -> None:
    container = create(entry("/l", careful, *options), namespaces=("user",), **USER)
    assert {"ro", "nosuid"} <= container.mount("/l").options
    assert remounted(container, "/l") == 1  # EPERM
    assert {"ro", "nosuid"} <= container.mount("/l").options


def test_what_the_config_allows_is_allowed(create: Create, careful: Path) -> None:
    container = create(entry("/l", careful, "bind", "rw"), namespaces=("user",), **USER)
    assert "rw" in container.mount("/l").options
    assert "nosuid" in container.mount("/l").options


@pytest.mark.parametrize("namespaces", [("user",), ("user", "cgroup")], ids=["host's", "own"])
def test_a_cgroup_mount_needs_no_power_over_the_hosts_cgroups(
    create: Create, namespaces: tuple[str, ...]
) -> None:
    container = create(
        entry("/sys/fs/cgroup", "cgroup", "ro", type="cgroup"),
        namespaces=namespaces, view=V2_VIEW, **USER,
    )  # fmt: skip
    found = container.mount("/sys/fs/cgroup")
    assert found.type == "cgroup2"
    assert "ro" in found.options
