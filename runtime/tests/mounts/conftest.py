"""Fixtures for the tests of mounts."""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from mounting import NEW_MOUNT_NAMESPACE, Container, Create, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_numbers = itertools.count()


@pytest.fixture(scope="session", autouse=True)
def own_mounts() -> None:
    """Keep what the tests mount from the host."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(NEW_MOUNT_NAMESPACE) == 0, os.strerror(ctypes.get_errno())
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, own_mounts: None) -> Path:
    """Return a folder that every user can get to."""
    del own_mounts
    path = tmp_path_factory.mktemp("mounts")
    for each in (path, *path.parents[:2]):
        each.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def rootfs(folder: Path) -> Path:
    """Return a root filesystem with a program that nobody starts, and nothing else."""
    path = folder / f"bundle{next(_numbers)}" / "rootfs"
    path.mkdir(parents=True)
    (path / "program").touch(0o755)
    return path


@pytest.fixture(scope="module")
def create(rootfs: Path) -> Iterator[Create]:
    """Return what creates containers; they are deleted in the end."""
    made: list[Container] = []
    state_root = rootfs.parent / "state"

    def make(
        *mounts: dict[str, Any],
        namespaces: tuple[str, ...] = (),
        root: dict[str, Any] | None = None,
        namespace_paths: dict[str, str] | None = None,
        view: tuple[str, ...] = (),
        console: Path | None = None,
        **linux: Any,
    ) -> Container:
        identifier = f"m{os.getpid()}-{next(_numbers)}"
        paths = namespace_paths or {}
        kinds = [
            {"type": kind}
            for kind in ("mount", "pid", "network", "ipc", *namespaces)
            if kind not in paths
        ]
        kinds += [{"type": kind, "path": path} for kind, path in paths.items() if path]
        config = {
            "ociVersion": "1.3.0",
            "root": {"path": "rootfs", **(root or {})},
            "process": {"cwd": "/", "args": ["/program"], "terminal": console is not None},
            "mounts": mounts,
            "linux": {
                "cgroupsPath": f"/seatrial-mounts/{identifier}",
                "namespaces": kinds,
                **linux,
            },
        }
        (rootfs.parent / "config.json").write_text(json.dumps(config), "utf-8")
        pid_file = rootfs.parent / "pid"
        run(
            "--root", str(state_root), "create", "--bundle", str(rootfs.parent),
            "--pid-file", str(pid_file),
            *(["--console-socket", str(console)] if console else []), identifier, view=view,
        )  # fmt: skip
        made.append(Container(state_root, identifier, int(pid_file.read_text("ascii")), view))
        return made[-1]

    yield make
    for container in made:
        container.delete()
