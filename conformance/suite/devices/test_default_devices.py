"""config-linux.md, "Default Devices"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from seatrial.conformance import consoles
from seatrial.conformance.marks import requirement
from seatrial.conformance.report import raw

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

_NUMBERS = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}
#: Where /dev comes from.
_FOLDERS = ["a file system of its own", "the root file system"]


def config_for(harness: Harness, folder: str, *act: str) -> Config:
    """Return a config with /dev from somewhere, and a program that does ``act``."""
    config = harness.config(*act)
    if folder != _FOLDERS[0]:
        config["mounts"] = [each for each in config["mounts"] if each["destination"] != "/dev"]
    return config


def did(harness: Harness, folder: str, *act: str) -> list[dict[str, Any]]:
    """Run a container, and return what its program said of each of its acts."""
    with harness.created(config_for(harness, folder, *act)) as container:
        assert container.start().ok
        return [container.read_line() for word in ("+", *act) if word == "+"]


def check(seen: dict[str, Any], name: str) -> None:
    """Compare what is at the path of a default device with what is to be there."""
    assert seen["ok"], seen
    assert seen["type"] == "char"
    assert (seen["major"], seen["minor"]) == _NUMBERS[name]


for_each_folder = pytest.mark.parametrize("folder", _FOLDERS)


@requirement("linux.default-devices.null")
@for_each_folder
def test_null_is_empty_and_takes_everything(harness: Harness, folder: str) -> None:
    act = ("read", "/dev/null", "+", "write", "/dev/null", "text")
    seen, read, written = did(harness, folder, "stat-target", "/dev/null", "+", *act)
    check(seen, "null")
    assert (read["content"], written["ok"]) == ("", True)


@requirement("linux.default-devices.zero")
@for_each_folder
def test_zero_is_full_of_zeros(harness: Harness, folder: str) -> None:
    act = ("stat-target", "/dev/zero", "+", "read", "/dev/zero")
    seen, read = did(harness, folder, *act)
    check(seen, "zero")
    assert set(raw(read["content"])) == {0}


@requirement("linux.default-devices.full")
@for_each_folder
def test_full_has_no_space(harness: Harness, folder: str) -> None:
    act = ("stat-target", "/dev/full", "+", "write", "/dev/full", "text")
    seen, written = did(harness, folder, *act)
    check(seen, "full")
    assert written.get("errno") == "ENOSPC"


@requirement("linux.default-devices.random")
@for_each_folder
def test_random_is_random(harness: Harness, folder: str) -> None:
    _is_random(harness, folder, "random")


@requirement("linux.default-devices.urandom")
@for_each_folder
def test_urandom_is_random(harness: Harness, folder: str) -> None:
    _is_random(harness, folder, "urandom")


def _is_random(harness: Harness, folder: str, name: str) -> None:
    path = f"/dev/{name}"
    act = ("stat-target", path, "+", "read", path, "+", "read", path)
    seen, one, other = did(harness, folder, *act)
    check(seen, name)
    assert one["ok"]
    assert one["content"] != other["content"]


@requirement("linux.default-devices.tty")
@for_each_folder
def test_tty_is_there(harness: Harness, folder: str) -> None:
    act = ("stat-target", "/dev/tty", "+", "open", "/dev/tty", "rw")
    seen, opened = did(harness, folder, *act)
    check(seen, "tty")
    # The device works, and there is no terminal (tty(4)); other kernels than Linux say EIO.
    assert opened.get("errno") in {"ENXIO", "EIO"}


@requirement("linux.default-devices.tty")
def test_tty_is_the_programs_terminal(harness: Harness) -> None:
    config = with_terminal(harness, "open", "/dev/tty", "rw")
    with consoles.created(harness, config) as (container, console):
        assert container.start().ok
        assert console.read_line()["ok"]


def with_terminal(harness: Harness, *act: str) -> Config:
    """Return a config with a terminal, and with what a bundle mounts for it."""
    config = harness.config(*act)
    config["process"]["terminal"] = True
    config["mounts"].append(consoles.DEVPTS)
    return config


@requirement("linux.default-devices.console")
@pytest.mark.parametrize("uid", [0, 1000])
def test_the_programs_terminal_is_bound_at_console(harness: Harness, uid: int) -> None:
    config = with_terminal(harness)
    config["process"]["user"] = {"uid": uid, "gid": uid}
    report = consoles.run(harness, config)
    consoles_seen = [
        (each["type"], f"{each['major']}:{each['minor']}")
        for each in report["devices"]
        if each["path"] == "/dev/console"
    ]
    assert consoles_seen == [("char", report["terminals"]["0"]["device"])]
    mounted = [each.fstype for each in report.mounts if each.target == "/dev/console"]
    assert mounted == ["devpts"]


@requirement("linux.default-devices.ptmx")
@pytest.mark.parametrize("terminal", [False, True], ids=["without a terminal", "with a terminal"])
def test_ptmx_is_that_of_the_containers_pseudoterminals(
    harness: Harness, *, terminal: bool
) -> None:
    act = ("stat-target", "/dev/ptmx", "+", "stat-target", "/dev/pts/ptmx")
    config = with_terminal(harness, *act)
    config["process"]["terminal"] = terminal
    if terminal:
        with consoles.created(harness, config) as (container, console):
            assert container.start().ok
            seen, wanted = console.read_line(), console.read_line()
    else:
        with harness.created(config) as container:
            assert container.start().ok
            seen, wanted = container.read_line(), container.read_line()
    assert wanted["ok"]
    assert {**seen, "act": ""} == {**wanted, "act": ""}


@requirement("linux.default-devices.ptmx")
def test_ptmx_without_pseudoterminals_is_recorded(harness: Harness) -> None:
    with harness.created(harness.config("stat", "/dev/ptmx")) as container:
        assert container.start().ok
        seen = container.read_line()
        found = seen["type"] if seen["ok"] else "not there"
    harness.note(f"without a devpts /dev/ptmx is {found}")
