"""config-linux.md, "Devices": wrong entries, and files that are at a path already."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.config import without
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.strategies.devices import Device

_ZERO: Device = {"type": "c", "path": "/node", "major": 1, "minor": 5}
_WANTED: dict[str, Device] = {
    "a character device": _ZERO,
    "a block device": _ZERO | {"type": "b", "major": 7, "minor": 77},
    "a fifo": {"type": "p", "path": "/node"},
}


def _node(kind: int, major: int, minor: int) -> Callable[[Path], None]:
    return lambda path: os.mknod(path, kind | 0o666, os.makedev(major, minor))


#: What is at the path before the container, and which device that is, if any.
_FOUND: dict[str, Callable[[Path], None]] = {
    "a regular file": lambda path: path.open("w").close(),
    "a folder": lambda path: path.mkdir(),
    "a character device": _node(stat.S_IFCHR, 1, 5),
    "another character device": _node(stat.S_IFCHR, 1, 3),
    "a character device with the numbers of the block device": _node(stat.S_IFCHR, 7, 77),
    "a block device": _node(stat.S_IFBLK, 7, 77),
    "a block device with the numbers of the character device": _node(stat.S_IFBLK, 1, 5),
    "a fifo": os.mkfifo,
}


def with_device(harness: Harness, device: Device) -> Config:
    """Return a config with one device."""
    config = harness.config("stat-target", "/node")
    config["linux"]["devices"] = [device]
    return config


@requirement("linux.devices.mismatch-errors")
@pytest.mark.parametrize("wanted", _WANTED)
@given(found=st.sampled_from(sorted(_FOUND)))
@settings(max_examples=9)
def test_a_file_that_is_not_the_device_generates_an_error(
    harness: Harness, wanted: str, found: str
) -> None:
    config = with_device(harness, _WANTED[wanted])
    with harness.bundle(config) as bundle:
        _FOUND[found](bundle.rootfs / "node")
        result = harness.attempt(config, bundle=bundle)
        if found == wanted:
            assert result.ok
        elif result.ok:
            raise Ignored(f"{found} is accepted for {wanted}")


@requirement("linux.devices.type-present")
@given(kind=st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=4))
@settings(max_examples=5)
def test_an_unknown_type_generates_an_error(harness: Harness, kind: str) -> None:
    for name in {kind, "z", "d", "char", ""} - {"c", "b", "u", "p"}:
        if harness.attempt(with_device(harness, _ZERO | {"type": name})).ok:
            raise Ignored(f"a device of type {name!r} is accepted")


@requirement(
    "linux.devices.type-present",
    "linux.devices.path-present",
    "linux.devices.major-minor-present",
)
def test_devices_without_one_of_their_members_are_recorded(harness: Harness) -> None:
    said = []
    for name in _ZERO:
        config = without(with_device(harness, _ZERO), "linux", "devices", 0, name)
        said.append(f"without {name} {_outcome(harness, config)}")
    harness.note(f"a device {', '.join(said)}")


def _outcome(harness: Harness, config: Config) -> str:
    with harness.container(config) as container:
        result = container.create()
        result = container.start() if result.ok else result
        if result.failed:
            return "refused"
        seen = container.read_line()
        if not seen["ok"]:
            return "accepted, nothing there"
        return f"accepted as {seen['type']} {seen['major']}:{seen['minor']}"
