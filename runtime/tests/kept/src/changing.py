"""Changes of what a plan was made of: after each of them it holds no more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.oci import _core

if TYPE_CHECKING:
    from keeping import Bundle


def same_size(bundle: Bundle) -> None:
    path = bundle.folder / "config.json"
    before, content = path.stat(), path.read_bytes()
    path.write_bytes(content.replace(b'"kept"', b'"Kept"'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def longer(bundle: Bundle) -> None:
    path = bundle.folder / "config.json"
    path.write_bytes(path.read_bytes() + b"\n")


def without_config(bundle: Bundle) -> None:
    (bundle.folder / "config.json").unlink()


def moved(bundle: Bundle) -> None:
    bundle.folder = bundle.folder.rename(bundle.folder.with_name("elsewhere"))


def without_root(bundle: Bundle) -> None:
    (bundle.folder / "rootfs").rename(bundle.folder / "away")


def file_as_root(bundle: Bundle) -> None:
    without_root(bundle)
    (bundle.folder / "rootfs").touch()


def used_cgroup(bundle: Bundle) -> None:
    for hierarchy in Path("/sys/fs/cgroup").iterdir():
        if (hierarchy / "cgroup.procs").exists():
            (hierarchy / bundle.groups[1:] / "one").mkdir(parents=True)
            return


def another_state_root(bundle: Bundle) -> None:
    other = bundle.root.with_name("other")
    other.mkdir()
    plans = bundle.plans
    bundle.root = other
    plans.rename(bundle.plans)


def another_build(bundle: Bundle) -> None:
    path = Path(bundle.alone)
    content = path.read_bytes()
    name = _core.build().encode() + b"\0"
    assert content.count(name) == 1
    path.write_bytes(content.replace(name, b"0" * (len(name) - 1) + b"\0"))


def changed(answer: bytes) -> bytes:
    return bytes([answer[0] ^ 1]) + answer[1:] if answer else b"more"
