"""config-linux.md, "Devices", "Default Devices"; runtime-linux.md, "Dev symbolic links"."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from mounting import Container, Create, Failed, entry

FIRST = 100000
USER: dict[str, Any] = {
    name: [{"containerID": 0, "hostID": FIRST, "size": 65536}]
    for name in ("uidMappings", "gidMappings")
}
DEFAULTS = {
    "null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9),
    "tty": (5, 0),
}  # fmt: skip
DEVICES = [
    {"path": "/dev/a", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600, "uid": 3, "gid": 4},
    {"path": "/opt/b", "type": "u", "major": 1, "minor": 5},
    {"path": "/dev/c", "type": "b", "major": 7, "minor": 200, "fileMode": 0o660},
    {"path": "/dev/d", "type": "p", "fileMode": 0o622, "uid": 5},
]
EXPECTED: dict[str, Any] = {
    "/dev/a": (stat.S_IFCHR | 0o600, os.makedev(1, 3), 3, 4),
    "/opt/b": (stat.S_IFCHR | 0o666, os.makedev(1, 5), 0, 0),
    "/dev/c": (stat.S_IFBLK | 0o660, os.makedev(7, 200), 0, 0),
    "/dev/d": (stat.S_IFIFO | 0o622, 0, 5, 0),
}


def look(container: Container, path: str, first: int) -> tuple[int, int, int, int]:
    """Return mode, device, uid and gid of a node, ids as the container knows them."""
    found = container.path(path).stat()
    return found.st_mode, found.st_rdev, found.st_uid - first, found.st_gid - first


@pytest.fixture(scope="module", params=["host's ids", "user namespace"])
def first(request: pytest.FixtureRequest) -> int:
    """Return the container's first id on the host."""
    return FIRST if request.param == "user namespace" else 0


@pytest.fixture(scope="module")
def container(create: Create, rootfs: Path, first: int) -> Container:
    """Return a container with devices, made under a narrow umask."""
    rootfs.chmod(0o777)
    before = os.umask(0o077)
    try:
        return create(
            entry("/dev", "tmpfs", "mode=755", "nosuid"),
            entry("/opt", "tmpfs"),
            namespaces=("user",) if first else (),
            **(USER if first else {}),
            devices=DEVICES,
        )
    finally:
        os.umask(before)


@pytest.mark.parametrize("path", EXPECTED)
def test_a_device_has_its_type_numbers_mode_and_owner(
    container: Container, first: int, path: str
) -> None:
    assert look(container, path, first) == EXPECTED[path]


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_default_devices_are_there(container: Container, first: int, name: str) -> None:
    expected = (stat.S_IFCHR | 0o666, os.makedev(*DEFAULTS[name]), 0, 0)
    assert look(container, f"/dev/{name}", first) == expected


def test_devices_can_be_opened(container: Container) -> None:
    for path in ("/dev/zero", "/opt/b"):
        with container.path(path).open("rb") as device:
            assert device.read(3) == bytes(3)


@pytest.mark.parametrize(
    ("link", "text"),
    [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ],
)
def test_the_links_are_there(container: Container, link: str, text: str) -> None:
    assert str(container.path(f"/dev/{link}").readlink()) == text


def test_the_filesystem_for_nodes_is_gone(container: Container) -> None:
    targets = [each.target for each in container.mounts() if each.source == "nodes"]
    assert all(target in {*EXPECTED, *(f"/dev/{name}" for name in DEFAULTS)} for target in targets)


@pytest.mark.parametrize("namespaces", [(), ("user",)])
def test_another_file_at_the_path_is_an_error(
    create: Create, rootfs: Path, namespaces: tuple[str, ...]
) -> None:
    (rootfs / "taken").touch()
    rootfs.chmod(0o777)
    device = {"path": "/taken", "type": "c", "major": 1, "minor": 3}
    with pytest.raises(Failed, match=r"file exists.*config.json#/linux/devices/0"):
        create(
            entry("/dev", "tmpfs"),
            namespaces=namespaces,
            devices=[device],
            **(USER if namespaces else {}),
        )


def test_the_same_device_at_the_path_gets_the_configured_mode(create: Create, rootfs: Path) -> None:
    os.mknod(rootfs / "same", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    device = {"path": "/same", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "gid": 9}
    container = create(entry("/dev", "tmpfs"), devices=[device])
    found = container.path("/same").stat()
    assert (found.st_mode & 0o777, found.st_gid) == (0o640, 9)


def test_a_link_at_the_path_is_not_followed(create: Create, rootfs: Path) -> None:
    (rootfs / "link").symlink_to("/dev/null")
    with pytest.raises(Failed, match="file exists"):
        create(devices=[{"path": "/link", "type": "c", "major": 1, "minor": 3}])


def test_in_a_bound_dev_nothing_is_made(create: Create, folder: Path) -> None:
    theirs = folder / "dev"
    theirs.mkdir()
    os.mknod(theirs / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (theirs / "null").chmod(0o666)
    create(
        entry("/dev", theirs, "bind"),
        devices=[{"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600}],
    )
    assert sorted(path.name for path in theirs.iterdir()) == ["null"]
    assert (theirs / "null").stat().st_mode & 0o777 == 0o666
    with pytest.raises(Failed, match="linux/devices/0"):
        create(
            entry("/dev", theirs, "bind"),
            devices=[{"path": "/dev/zero", "type": "c", "major": 1, "minor": 5}],
        )


def test_the_hosts_dev_can_be_bound(create: Create) -> None:
    before = sorted(Path("/dev").iterdir())
    container = create(entry("/dev", "/dev", "rbind", "rprivate"))
    assert container.path("/dev/null").stat().st_rdev == os.makedev(1, 3)
    assert sorted(Path("/dev").iterdir()) == before


def test_ptmx_of_an_image_gives_way_to_the_containers_own(create: Create, rootfs: Path) -> None:
    (rootfs / "dev").mkdir(exist_ok=True)
    (rootfs / "dev" / "ptmx").unlink(missing_ok=True)
    os.mknod(rootfs / "dev" / "ptmx", stat.S_IFCHR | 0o666, os.makedev(5, 2))
    container = create()
    assert str(container.path("/dev/ptmx").readlink()) == "pts/ptmx"


@pytest.mark.parametrize(("name", "value"), [("major", -1), ("major", 4096), ("minor", 1 << 20)])
def test_numbers_that_no_device_has_are_an_error(create: Create, name: str, value: int) -> None:
    device = {"path": "/dev/x", "type": "c", "major": 1, "minor": 3, name: value}
    with pytest.raises(Failed, match=rf"config\.json#/linux/devices/0/{name}:"):
        create(devices=[device])


def test_a_mode_may_have_the_type_in_it(create: Create) -> None:
    device = {"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": 0o20640}
    container = create(entry("/dev", "tmpfs"), devices=[device])
    assert container.path("/dev/x").stat().st_mode == 0o20640


@pytest.mark.parametrize("mode", [0o60640, 0o200000])
def test_a_mode_of_another_type_is_an_error(create: Create, mode: int) -> None:
    device = {"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": mode}
    with pytest.raises(Failed, match=r"config\.json#/linux/devices/0/fileMode: "):
        create(devices=[device])
