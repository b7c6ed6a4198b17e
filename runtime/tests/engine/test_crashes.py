"""Killed at any moment, the engine loses nothing and leaves nothing; make engine-crashes: more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from daemons import image
from daemons.crashes import Crashes, moments
from daemons.room import Room, remove_cgroups
from daemons.seatriald import COMMAND, Seatriald

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, engine: Seatriald) -> Iterator[Seatriald]:
    """Return an engine that is no other test's: it is spoiled here."""
    folder = tmp_path_factory.mktemp("crashes")
    layer = folder / "layer.tar"
    image.write_layer(layer)
    with Room(folder) as room:
        made = Seatriald(room, engine.runtime, layer)
        yield made
    made.daemon.close()
    remove_cgroups(made.cgroup)


def test_what_was_told_is_so_whatever_was_killed(own: Seatriald) -> None:
    crashes = Crashes(own)
    assert {each: wrong for each in moments(3, 8) if (wrong := crashes.at(each))} == {}
    assert crashes.left() == []


def test_a_check_finds_what_does_not_agree(own: Seatriald) -> None:
    check = [COMMAND, "check", f"--host=unix://{own.socket}"]
    assert own.room.run(*check).stdout == "clean\n"
    name = own.begin_container("sleep", "1000", options=("--volume=stores:/x",))
    identifier = own.inspect(name)["Id"]
    root, exec_root = f"{own.room.store}/seatriald", "/run/seatriald"
    assert own.room.run(*check).stdout == "clean\n"
    for command, told in (
        (f"mkdir {root}/containers/{'0' * 64}", f"folder of no container: {'0' * 64}"),
        (f"mkdir {exec_root}/{'1' * 64}", f"folder of a supervisor, and nothing runs: {'1' * 64}"),
        (f"mkdir {root}/volumes/nobody", "folder of no volume: nobody"),
        (f"mv {root}/volumes/stores {root}/stores", "volume without a folder: stores"),
        (f"umount -l {root}/containers/{identifier}/rootfs", "not mounted, and it runs"),
    ):
        own.room.run("/bin/busybox", *command.split())
        done = own.room.run(*check)
        assert (done.status, told in done.stdout) == (1, True), (command, done.stdout)
    # What is swept when the next daemon begins is no complaint then.
    own.kill_daemon()
    own.room.must("/bin/busybox", "mv", f"{root}/stores", f"{root}/volumes/stores")
    own.begin_again()
    assert own.room.run(*check).lines == [
        f"root filesystem of {identifier}: not mounted, and it runs"
    ]
    assert own("rm", "--force", name).status == 0
    assert own.room.run(*check).stdout == "clean\n"


def test_a_check_that_nobody_answers_says_so(own: Seatriald) -> None:
    done = own.room.run(COMMAND, "check", "--host=unix:///nowhere.sock")
    assert (done.status, "cannot ask /nowhere.sock" in done.stderr) == (1, True)
