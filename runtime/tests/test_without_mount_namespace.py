"""A container in the runtime's mount namespace: what it sees, what it leaves.

All is done in a mount namespace of the test's, which stands for the host's.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = str(Path(sys.executable).parent / "seatrial-oci")
NEW_MOUNT_NAMESPACE = 0x20000
BUSYBOX = shutil.which("busybox")


@pytest.fixture(scope="module", autouse=True)
def own_mounts() -> None:
    """Keep what the tests mount from the host; shared, as a host's mounts mostly are."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(NEW_MOUNT_NAMESPACE) == 0, os.strerror(ctypes.get_errno())
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "--make-rshared", "/"], check=True)


@pytest.fixture
def bundle(tmp_path: Path) -> Iterator[Path]:
    """Return a bundle with a shell in it; a container of it is deleted in the end."""
    if BUSYBOX is None:
        pytest.skip("there is no busybox to run")
    binaries = tmp_path / "rootfs" / "bin"
    binaries.mkdir(parents=True)
    shutil.copy(BUSYBOX, binaries / "busybox")
    (binaries / "sh").symlink_to("busybox")
    (tmp_path / "rootfs" / "inside").write_text("from the image\n")
    yield tmp_path
    call(tmp_path, "delete", "--force", "x")


def call(bundle: Path, *words: str) -> subprocess.CompletedProcess[str]:
    # Files: a created container holds its output open, and a pipe would be read until it ends.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(
            [COMMAND, "--root", str(bundle / "state"), *words],
            stdin=subprocess.DEVNULL, stdout=out, stderr=said, check=False, timeout=60,
        )  # fmt: skip
        out.seek(0)
        said.seek(0)
        return subprocess.CompletedProcess(words, done.returncode, out.read(), said.read())


def configure(bundle: Path, script: str, *, namespaces: list[dict[str, str]], **more: Any) -> None:
    config = {
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs", "readonly": True},
        "process": {"cwd": "/", "args": ["/bin/sh", "-c", script]},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
        ],
        "linux": {"cgroupsPath": "/seatrial-gaps/x", "namespaces": namespaces},
    } | more
    (bundle / "config.json").write_text(json.dumps(config))


def mounts() -> list[str]:
    return Path("/proc/self/mountinfo").read_text("utf-8").splitlines()


def peak(bundle: Path) -> list[str]:
    return [line for line in mounts() if str(bundle) in line]


BY_PATH = [{"type": "mount", "path": "/proc/self/ns/mnt"}]


@pytest.mark.parametrize("namespaces", [[], [{"type": "pid"}], BY_PATH], ids=["none", "pid", "own"])
def test_it_has_its_root_and_leaves_no_mount(
    bundle: Path, namespaces: list[dict[str, str]]
) -> None:
    before = mounts()
    script = "busybox cat /inside; busybox ls /; busybox touch /new || echo read-only"
    configure(bundle, f"cd /bin; {script}", namespaces=namespaces)
    done = call(bundle, "run", "--bundle", str(bundle), "x")
    found = "from the image bin dev inside proc sys read-only"
    assert done.stdout.split() == found.split()
    assert done.returncode == 0
    assert mounts() == before
    assert not list((bundle / "state").iterdir())
    assert (bundle / "rootfs" / "inside").exists()


def test_its_mounts_are_in_a_place_of_its_own(bundle: Path) -> None:
    configure(bundle, "busybox sleep 100", namespaces=[])
    assert call(bundle, "create", "--bundle", str(bundle), "x").returncode == 0
    place = f"{bundle}/state/x@root"
    targets = [line.split(" ")[4] for line in peak(bundle)]
    assert targets[:3] == [place, f"{place}/proc", f"{place}/dev"]
    assert not any(target.startswith(f"{bundle}/rootfs") for target in targets)
    # Nothing is told of them to others, and the host's mounts are what they were.
    inner = [line.partition(" - ")[0] for line in peak(bundle)[1:]]
    assert not any("shared:" in line for line in inner)
    assert "shared:" in mounts()[0]
    listed = json.loads(call(bundle, "list", "--format", "json").stdout)
    assert [each["id"] for each in listed] == ["x"]
    assert call(bundle, "delete", "--force", "x").returncode == 0
    assert not peak(bundle)


def test_a_further_process_has_the_same_root(bundle: Path) -> None:
    configure(bundle, "busybox sleep 100", namespaces=[{"type": "pid"}])
    assert call(bundle, "create", "--bundle", str(bundle), "x").returncode == 0
    assert call(bundle, "start", "x").returncode == 0
    done = call(bundle, "exec", "x", "/bin/busybox", "cat", "/inside")
    assert (done.stdout, done.returncode) == ("from the image\n", 0)


def test_a_create_that_fails_leaves_no_mount_and_no_mount_point(bundle: Path) -> None:
    before = mounts()
    configure(
        bundle, "true", namespaces=[],
        mounts=[
            {"destination": "/made/for/this", "type": "tmpfs", "source": "tmpfs"},
            {"destination": "/x", "type": "none", "source": "/nonexistent", "options": ["bind"]},
        ],
    )  # fmt: skip
    done = call(bundle, "create", "--bundle", str(bundle), "x")
    assert "config.json#/mounts/1" in done.stderr
    assert mounts() == before
    assert sorted(path.name for path in (bundle / "rootfs").iterdir()) == ["bin", "inside"]
    assert not list((bundle / "state").iterdir())


def test_paths_are_masked_in_its_own_mounts_only(bundle: Path) -> None:
    configure(
        bundle, "busybox cat /proc/cmdline; echo $?", namespaces=[],
        linux={
            "cgroupsPath": "/seatrial-gaps/x", "namespaces": [], "maskedPaths": ["/proc/cmdline"],
        },
    )  # fmt: skip
    assert call(bundle, "run", "--bundle", str(bundle), "x").stdout == "0\n"
    assert Path("/proc/cmdline").read_text()


def test_a_user_namespace_needs_a_mount_namespace(bundle: Path) -> None:
    mapping = [{"containerID": 0, "hostID": 100000, "size": 1000}]
    linux = {"namespaces": [{"type": "user"}], "uidMappings": mapping, "gidMappings": mapping}
    configure(bundle, "true", namespaces=[], linux=linux)
    done = call(bundle, "create", "--bundle", str(bundle), "x")
    assert done.returncode == 1
    assert (
        "config.json#/linux/namespaces: a user namespace needs a mount namespace: it has no power"
        in done.stderr
    )
