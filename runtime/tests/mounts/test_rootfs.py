"""config.md, "Root"; config-linux.md: propagation, paths, default filesystems."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from mounting import Create, Failed, entry

from seatrial.oci import host
from seatrial.oci import rootfs as root_of
from seatrial.oci.config import Config, Root

USER: dict[str, Any] = {
    name: [{"containerID": 0, "hostID": 100000, "size": 65536}]
    for name in ("uidMappings", "gidMappings")
}
DEFAULT_FILESYSTEMS = {"/proc": "proc", "/sys": "sysfs", "/dev/pts": "devpts", "/dev/shm": "tmpfs"}  # noqa: S108


@pytest.fixture(scope="module")
def shared(rootfs: Path) -> Path:
    """Make the bundle a shared mount of the host, as every mount of a systemd host is."""
    bundle = rootfs.parent
    subprocess.run(["mount", "--bind", bundle, bundle], check=True)
    subprocess.run(["mount", "--make-shared", bundle], check=True)
    (rootfs / "later").mkdir()
    return rootfs


@pytest.mark.parametrize(
    ("value", "propagation"),
    [
        ("", set()),
        ("private", set()),
        ("rprivate", set()),
        ("slave", {"master"}),
        ("rslave", {"master"}),
        ("shared", {"shared"}),
        ("rshared", {"shared"}),
        ("unbindable", {"unbindable"}),
        ("runbindable", {"unbindable"}),
    ],
)
def test_the_root_has_the_propagation_that_is_asked_for(
    create: Create, shared: Path, value: str, propagation: set[str]
) -> None:
    container = create(
        entry("/t", "tmpfs"), entry("/own", "tmpfs", "slave"), rootfsPropagation=value
    )
    assert container.mount("/").propagation == propagation
    recursive = value in {"rshared", "runbindable"}
    assert container.mount("/t").propagation == (propagation if recursive else set())
    if value != "runbindable":
        assert container.mount("/own").propagation == set()
    # Only a slave hears of the host's mounts, and the host never of the container's.
    subprocess.run(["mount", "-t", "tmpfs", "later", shared / "later"], check=True)
    heard = "/later" in [each.target for each in container.mounts()]
    subprocess.run(["umount", shared / "later"], check=True)
    assert heard == ("slave" in value)
    assert Path("/proc/self/mountinfo").read_text("utf-8").count(f" {shared}") == 0


def test_an_unknown_propagation_is_an_error(create: Create) -> None:
    with pytest.raises(Failed, match=r"config\.json#/linux/rootfsPropagation:"):
        create(rootfsPropagation="public")


@pytest.mark.parametrize(
    ("root", "option", "host_hears"),
    [("rshared", "rshared", True), ("", "rshared", False), ("shared", "rslave", False)],
)
def test_a_mount_is_shared_with_the_host_where_root_and_mount_are(
    create: Create,
    folder: Path,
    root: str,
    option: str,
    host_hears: bool,  # noqa: FBT001
) -> None:
    source = folder / f"volume-{root}-{option}"
    source.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "volume", source], check=True)
    subprocess.run(["mount", "--make-shared", source], check=True)
    container = create(entry("/v", source, "rbind", option), rootfsPropagation=root)
    table = Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
    own = next(line for line in table if f" {source} " in line)
    group = next(word for word in own.split() if word.startswith("shared:"))
    lines = Path(f"/proc/{container.pid}/mountinfo").read_text("utf-8").splitlines()
    theirs = next(line for line in lines if " /v " in line)
    assert (group in theirs.split()) == host_hears


def test_a_read_only_root_has_writable_mounts(create: Create) -> None:
    container = create(
        entry("/w", "tmpfs"),
        entry("/dev", "tmpfs"),
        entry("/dev/pts", "tmpfs"),
        root={"readonly": True},
    )
    assert "ro" in container.mount("/").options
    assert "rw" in container.mount("/w").options
    assert "rw" in container.mount("/dev").options


def test_a_mount_that_the_host_has_in_the_root_is_read_only_with_it(
    create: Create, rootfs: Path
) -> None:
    for name in ("part", "covered"):
        (rootfs / name).mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "part", rootfs / name], check=True)
    container = create(entry("/covered", "tmpfs"), root={"readonly": True})
    for name in ("part", "covered"):
        subprocess.run(["umount", rootfs / name], check=True)
    assert "ro" in container.mount("/part").options
    assert "rw" in container.mount("/covered").options


def test_a_read_only_root_that_cannot_be_looked_at_is_not_taken_to_have_no_mounts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(path: str) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    monkeypatch.setattr(host, "real", fail)
    config = Config(oci_version="1.3.0", root=Root(path="/usr", readonly=True))
    with pytest.raises(OSError, match="Input/output error: '/usr'"):
        list(root_of.close(config, "/bundle"))


@pytest.mark.parametrize("namespaces", [(), ("user",)])
def test_masked_and_read_only_paths(
    create: Create, rootfs: Path, namespaces: tuple[str, ...]
) -> None:
    rootfs.chmod(0o777)
    secret = rootfs / "secret"
    secret.mkdir(exist_ok=True)
    (secret / "file").write_text("text", "utf-8")
    (rootfs / "file").write_text("text", "utf-8")
    more: dict[str, Any] = USER if namespaces else {}
    container = create(
        {"destination": "/proc", "type": "proc"},
        entry("/r", "tmpfs"),
        entry("/r/below", "tmpfs"),
        maskedPaths=["/secret", "/file", "/proc/keys", "/not/there", "/file/not"],
        readonlyPaths=["/r", "/proc/sys", "/not/there"],
        namespaces=namespaces,
        **more,
    )
    assert list(container.path("/secret").iterdir()) == []
    assert container.path("/file").read_bytes() == b""
    assert container.path("/proc/keys").read_bytes() == b""
    for target in ("/secret", "/file", "/r", "/r/below", "/proc/sys"):
        assert "ro" in container.mount(target).options


def test_a_closed_folder_on_the_way_does_not_matter_to_a_user_namespace(
    create: Create, rootfs: Path, folder: Path
) -> None:
    closed = folder / "closed"
    (closed / "source").mkdir(parents=True)
    (closed / "source" / "file").touch()
    closed.chmod(0o700)
    rootfs.chmod(0o777)
    rootfs.parent.chmod(0o700)
    try:
        container = create(entry("/s", closed / "source", "bind"), namespaces=("user",), **USER)
    finally:
        rootfs.parent.chmod(0o755)
    assert container.path("/s/file").exists()


def test_options_take_effect_in_a_user_namespace(
    create: Create, rootfs: Path, folder: Path
) -> None:
    rootfs.chmod(0o777)
    source = folder / "locked"
    source.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,nosuid,noatime", "l", source], check=True)
    container = create(
        entry("/l", source, "bind", "rw", "suid", "relatime"), namespaces=("user",), **USER
    )
    assert {"rw", "relatime"} <= container.mount("/l").options
    assert not {"nosuid", "noatime"} & container.mount("/l").options


def test_the_default_filesystems_are_there_without_being_listed(create: Create) -> None:
    container = create()
    for target, kind in DEFAULT_FILESYSTEMS.items():
        assert container.mount(target).type == kind


def test_a_configured_mount_is_not_covered_by_a_default_one(create: Create) -> None:
    container = create(
        entry("/proc", "tmpfs"), entry("/sys/fs/cgroup", "tmpfs"), entry("/dev", "/dev", "bind")
    )
    targets = [each.target for each in container.mounts()]
    assert targets.count("/proc") == 1
    assert "/sys" not in targets
    assert "/dev/shm" not in targets  # noqa: S108
