"""config.md, "Linux mount options": idmap and ridmap; uidMappings and gidMappings of mounts."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from mounting import Create, Failed, entry

if TYPE_CHECKING:
    from pathlib import Path

MAPPING = [{"containerID": 0, "hostID": 7000, "size": 1000}]
OWN = {"uidMappings": MAPPING, "gidMappings": MAPPING}
OF_CONTAINER = {"containerID": 0, "hostID": 100000, "size": 65536}
USER: dict[str, Any] = {"uidMappings": [OF_CONTAINER], "gidMappings": [OF_CONTAINER]}


@pytest.fixture(scope="module")
def tree(folder: Path) -> Path:
    """Return a tree of two mounts whose files belong to 0 and 5."""
    path = folder / "mapped"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tree", path], check=True)
    (path / "below").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tree", path / "below"], check=True)
    for name in ("file", "below/file"):
        (path / name).touch()
        os.chown(path / name, 0, 5)
    return path


def owner(path: Path) -> tuple[int, int]:
    """Return uid and gid, as the host knows them."""
    stat = path.stat()
    return stat.st_uid, stat.st_gid


@pytest.mark.parametrize(("option", "of_below"), [("idmap", (0, 5)), ("ridmap", (7000, 7005))])
def test_idmap_is_for_the_mount_and_ridmap_for_those_below_too(
    create: Create, tree: Path, option: str, of_below: tuple[int, int]
) -> None:
    container = create(entry("/m", tree, "rbind", option, **OWN))
    assert owner(container.path("/m/file")) == (7000, 7005)
    assert owner(container.path("/m/below/file")) == of_below
    assert "idmapped" in container.mount("/m").options


def test_mappings_alone_are_applied(create: Create, tree: Path) -> None:
    container = create(entry("/m", tree, "rbind", **OWN))
    assert owner(container.path("/m/file")) == (7000, 7005)


def test_in_a_user_namespace_the_mounts_own_mappings_count(
    create: Create, tree: Path, rootfs: Path
) -> None:
    rootfs.chmod(0o777)
    container = create(entry("/m", tree, "bind", "idmap", **OWN), namespaces=("user",), **USER)
    assert owner(container.path("/m/file")) == (7000, 7005)


def test_without_own_mappings_it_is_that_of_the_user_namespace(
    create: Create, tree: Path, rootfs: Path
) -> None:
    rootfs.chmod(0o777)
    container = create(entry("/m", tree, "rbind", "ridmap"), namespaces=("user",), **USER)
    assert owner(container.path("/m/file")) == (100000, 100005)
    assert owner(container.path("/m/below/file")) == (100000, 100005)


def test_the_user_namespace_may_be_one_that_exists(
    create: Create, tree: Path, rootfs: Path
) -> None:
    rootfs.chmod(0o777)
    first = create(namespaces=("user",), **USER)
    container = create(
        entry("/m", tree, "bind", "idmap"),
        namespaces=(),
        namespace_paths={"user": f"/proc/{first.pid}/ns/user"},
    )
    assert owner(container.path("/m/file")) == (100000, 100005)
    assert owner(container.path("/dev/null")) == (100000, 100000)


def test_a_new_filesystem_takes_a_mapping_too(create: Create) -> None:
    container = create(entry("/m", "tmpfs", "idmap", **OWN))
    assert "idmapped" in container.mount("/m").options
    assert owner(container.path("/m")) == (7000, 7000)


@pytest.mark.parametrize(
    ("options", "members", "pointer"),
    [
        (("bind", "idmap"), {}, "/mounts/0/options"),
        (("rbind", "ridmap"), {}, "/mounts/0/options"),
        (("bind", "idmap"), {"uidMappings": MAPPING}, "/mounts/0/gidMappings"),
        (("bind",), {"gidMappings": MAPPING}, "/mounts/0/uidMappings"),
        (
            ("bind", "idmap"),
            {"uidMappings": [{**MAPPING[0], "size": 0}], "gidMappings": MAPPING},
            "/mounts/0/uidMappings/0/size",
        ),
    ],
)
def test_half_a_mapping_or_none_is_an_error(
    create: Create, tree: Path, options: tuple[str, ...], members: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(Failed, match=rf"config\.json#{pointer}:"):
        create(entry("/m", tree, *options, **members))
