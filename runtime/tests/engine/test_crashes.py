"""Killed at any moment, the engine loses nothing and leaves nothing; make engine-crashes: more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemons.crashes import Crashes, moments
from daemons.seatriald import COMMAND

if TYPE_CHECKING:
    from daemons.seatriald import Seatriald


def test_what_was_told_is_so_whatever_was_killed(spare: Seatriald) -> None:
    crashes = Crashes(spare)
    assert {each: wrong for each in moments(3, 8) if (wrong := crashes.at(each))} == {}
    assert crashes.left() == []


def test_a_check_finds_what_does_not_agree(spare: Seatriald) -> None:
    check = [COMMAND, "check", f"--host=unix://{spare.socket}"]
    assert spare.room.run(*check).stdout == "clean\n"
    name = spare.begin_container("sleep", "1000", options=("--volume=stores:/x",))
    identifier = spare.inspect(name)["Id"]
    root, exec_root = f"{spare.room.store}/seatriald", "/run/seatriald"
    assert spare.room.run(*check).stdout == "clean\n"
    for command, told in (
        (f"mkdir {root}/containers/{'0' * 64}", f"folder of no container: {'0' * 64}"),
        (f"mkdir {exec_root}/{'1' * 64}", f"folder of a supervisor, and nothing runs: {'1' * 64}"),
        (f"mkdir {root}/volumes/nobody", "folder of no volume: nobody"),
        (f"mv {root}/volumes/stores {root}/stores", "volume without a folder: stores"),
        (f"umount -l {root}/containers/{identifier}/rootfs", "not mounted, and it runs"),
    ):
        spare.room.run("/bin/busybox", *command.split())
        done = spare.room.run(*check)
        assert (done.status, told in done.stdout) == (1, True), (command, done.stdout)
    # What is swept when the next daemon begins is no complaint then.
    spare.kill_daemon()
    spare.room.must("/bin/busybox", "mv", f"{root}/stores", f"{root}/volumes/stores")
    spare.begin_again()
    assert spare.room.run(*check).lines == [
        f"root filesystem of {identifier}: not mounted, and it runs"
    ]
    assert spare("rm", "--force", name).status == 0
    assert spare.room.run(*check).stdout == "clean\n"


def test_a_check_that_nobody_answers_says_so(spare: Seatriald) -> None:
    done = spare.room.run(COMMAND, "check", "--host=unix:///nowhere.sock")
    assert (done.status, "cannot ask /nowhere.sock" in done.stderr) == (1, True)
