"""The mounts that Docker, containerd and podman ask for; cgroup mounts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mounting import V2_VIEW, Container, Create, entry

SHM = "/dev/shm"  # noqa: S108 - a place to mount
Mounts = list[dict[str, Any]]
USER: dict[str, Any] = {
    name: [{"containerID": 0, "hostID": 100000, "size": 65536}]
    for name in ("uidMappings", "gidMappings")
}
FLAGS = {"ro", "nosuid", "noexec", "nodev", "relatime"}


def of(destination: str, kind: str, options: str, source: str = "") -> dict[str, Any]:
    """Return a mount."""
    return {
        "destination": destination, "type": kind, "source": source or kind,
        "options": options.split(),
    }  # fmt: skip


CONTAINERD = [
    of("/proc", "proc", "nosuid noexec nodev"),
    of("/dev", "tmpfs", "nosuid strictatime mode=755 size=65536k"),
    of("/dev/pts", "devpts", "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5"),
    of(SHM, "tmpfs", "nosuid noexec nodev mode=1777 size=65536k", "shm"),
    of("/dev/mqueue", "mqueue", "nosuid noexec nodev"),
    of("/sys", "sysfs", "nosuid noexec nodev ro"),
    of("/run", "tmpfs", "nosuid strictatime mode=755 size=65536k"),
]
DOCKER = [
    of("/proc", "proc", "nosuid noexec nodev"),
    of("/dev", "tmpfs", "nosuid strictatime mode=755 size=65536k"),
    of("/dev/pts", "devpts", "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5"),
    of("/sys", "sysfs", "nosuid noexec nodev ro"),
    of("/sys/fs/cgroup", "cgroup", "ro nosuid noexec nodev"),
    of("/dev/mqueue", "mqueue", "nosuid noexec nodev"),
    of(SHM, "tmpfs", "nosuid noexec nodev mode=1777 size=67108864", "shm"),
    of("/etc/resolv.conf", "bind", "rbind rprivate", "/etc/passwd"),
    of("/etc/hostname", "bind", "rbind rprivate", "/etc/passwd"),
]
PODMAN = [
    of("/proc", "proc", "nosuid noexec nodev"),
    of("/dev", "tmpfs", "nosuid strictatime mode=755 size=65536k"),
    of("/sys", "sysfs", "nosuid noexec nodev ro"),
    of("/dev/pts", "devpts", "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5"),
    of("/dev/mqueue", "mqueue", "nosuid noexec nodev"),
    of("/etc/hosts", "bind", "bind rprivate", "/etc/passwd"),
    of("/run/.containerenv", "bind", "bind rprivate", "/etc/passwd"),
    of(SHM, "bind", "bind rprivate nosuid noexec nodev", SHM),
    of("/sys/fs/cgroup", "cgroup", "rprivate nosuid noexec nodev relatime ro"),
]
#: podman with the host's network in a user namespace has no right to a sysfs of its own.
PODMAN_SYS = of("/sys", "bind", "rprivate nosuid noexec nodev ro rbind", "/sys")


@pytest.mark.parametrize("view", [(), V2_VIEW], ids=["as-it-is", "v2"])
@pytest.mark.parametrize("user", [False, True], ids=["host-ids", "user-namespace"])
@pytest.mark.parametrize(
    "mounts", [CONTAINERD, DOCKER, PODMAN], ids=["containerd", "docker", "podman"]
)
def test_the_mounts_of_an_engine_are_all_there(
    create: Create,
    rootfs: Path,
    mounts: Mounts,
    user: bool,  # noqa: FBT001
    view: tuple[str, ...],
) -> None:
    rootfs.chmod(0o777)
    more: dict[str, Any] = {"namespaces": ("uts", "cgroup")}
    if user:
        more = {"namespaces": ("uts", "cgroup", "user"), **USER}
    container = create(*mounts, view=view, **more)
    for mount in mounts:
        found = container.mount(mount["destination"])
        cgroups = "cgroup2" if view else "tmpfs"
        if not {"bind", "rbind"} & set(mount["options"]):
            assert found.type == {"cgroup": cgroups}.get(mount["type"], mount["type"])
        assert set(mount["options"]) & FLAGS <= found.options


def own_cgroup(container: Container, version: int) -> str:
    """Return the path of the container's cgroup in the first hierarchy of a version."""
    for line in Path(f"/proc/{container.pid}/cgroup").read_text("ascii").splitlines():
        number, controllers, path = line.split(":")
        if (version == 2) == (number == "0" and not controllers):
            return path
    raise AssertionError(version)


@pytest.mark.parametrize("namespaces", [(), ("cgroup",)])
@pytest.mark.parametrize("option", ["ro", "rw"])
def test_on_v1_each_hierarchy_shows_the_containers_own_cgroup(
    create: Create, namespaces: tuple[str, ...], option: str
) -> None:
    container = create(of("/sys/fs/cgroup", "cgroup", f"{option} nosuid"), namespaces=namespaces)
    hierarchies = [
        line.split(" ")[4]
        for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
        if " - cgroup" in line
    ]
    for target in hierarchies:
        found = container.mount(target)
        assert {option, "nosuid"} <= found.options
        assert found.root.endswith(own_cgroup(container, 1 if found.type == "cgroup" else 2))
        pids = (container.path(target) / "cgroup.procs").read_text("ascii").split()
        assert str(container.pid) in pids
    assert option in container.mount("/sys/fs/cgroup").options


@pytest.mark.parametrize("namespaces", [(), ("cgroup",)])
def test_on_v2_a_cgroup_namespace_shows_the_containers_own_cgroup(
    create: Create, namespaces: tuple[str, ...]
) -> None:
    container = create(
        of("/sys/fs/cgroup", "cgroup", "ro nosuid"), namespaces=namespaces, view=V2_VIEW
    )
    found = container.mount("/sys/fs/cgroup")
    assert (found.type, found.options & {"ro", "nosuid"}) == ("cgroup2", {"ro", "nosuid"})
    below = container.path("/sys/fs/cgroup")
    path = "" if namespaces else own_cgroup(container, 2).lstrip("/")
    assert str(container.pid) in (below / path / "cgroup.procs").read_text("ascii").split()


def test_the_hosts_sys_can_be_bound_in_a_user_namespace(create: Create, rootfs: Path) -> None:
    rootfs.chmod(0o777)
    container = create(
        of("/proc", "proc", "nosuid"), PODMAN_SYS, namespaces=("user",),
        namespace_paths={"network": ""}, **USER,
    )  # fmt: skip
    assert {"ro", "nosuid", "noexec", "nodev"} <= container.mount("/sys").options
    assert container.path("/sys/fs/cgroup").is_dir()


def test_a_proc_of_the_hosts_pid_namespace(create: Create) -> None:
    container = create(of("/proc", "proc", "ro"), namespace_paths={"pid": ""})
    assert container.path(f"/proc/{container.pid}").exists()


def test_masks_hold_in_what_an_engine_mounts(create: Create) -> None:
    container = create(
        *DOCKER,
        entry("/volume", "/etc", "rbind", "rro"),
        root={"readonly": True},
        namespaces=("cgroup",),
        maskedPaths=["/proc/kcore", "/proc/keys", "/sys/firmware", "/proc/scsi"],
        readonlyPaths=["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    )
    assert container.path("/proc/keys").read_bytes() == b""
    assert "ro" in container.mount("/proc/sys").options
    assert "ro" in container.mount("/volume").options
