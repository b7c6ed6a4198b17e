"""What ``seatriald`` says to who starts it."""

from __future__ import annotations

import os
import select
import socket
import subprocess
from importlib import metadata
from typing import TYPE_CHECKING

import pytest
from daemons.room import TIMEOUT_S
from daemons.seatriald import COMMAND

if TYPE_CHECKING:
    from pathlib import Path

    from daemons.seatriald import Seatriald


def run(*words: str, user: int | None = None) -> tuple[int, str, str]:
    """Run the daemon's command to its end; return its exit status and what it said."""
    done = subprocess.run(
        [COMMAND, *words], capture_output=True, text=True, timeout=TIMEOUT_S, check=False, user=user
    )
    return done.returncode, done.stdout, done.stderr


def test_it_tells_its_version() -> None:
    assert run("--version") == (0, f"seatriald version {metadata.version('seatrial')}\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--host=tcp://0.0.0.0:2375"],
            "--host tcp://0.0.0.0:2375: want unix:// and an absolute path",
        ),
        (["--host=unix://here.sock"], "--host unix://here.sock: want unix:// and an absolute path"),
        (["--runtime=nowhere"], "--runtime nowhere: there is no such command"),
        (["--runtime=ours=/no/where"], "--runtime ours=/no/where: there is no such command"),
    ],
)
def test_a_setting_without_a_meaning_is_an_error(words: list[str], said: str) -> None:
    assert run(*words) == (2, "", f"seatriald: {said}\n")


def test_two_daemons_do_not_share_a_folder(engine: Seatriald) -> None:
    root = f"{engine.room.store}/seatriald"
    done = engine.room.run(COMMAND, f"--data-root={root}", f"--host=unix://{root}/other.sock")
    assert (done.status, done.stderr) == (1, f"seatriald: another daemon uses {root}\n")


def test_two_daemons_do_not_share_a_network_namespace(engine: Seatriald) -> None:
    root = f"{engine.room.store}/other"
    done = engine.room.run(COMMAND, f"--data-root={root}", f"--host=unix://{root}.sock")
    assert done.status == 1
    assert done.stderr == (
        "seatriald: another daemon has this network namespace, with its bridges and rules (hint:"
        " unshare --net)\n"
    )


def test_it_tells_who_asked_that_it_is_ready(engine: Seatriald, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind(str(tmp_path / "ready"))
        root = f"{engine.room.store}/second"
        words = (f"--data-root={root}", f"--exec-root={root}/exec", f"--host=unix://{root}.sock")
        process = engine.room.start(
            *("unshare", "--net", "env", f"NOTIFY_SOCKET={tmp_path}/ready", COMMAND, *words),
            *(f"--cgroup-parent={engine.cgroup}-second",),
            stderr=subprocess.DEVNULL,
        )
        try:
            ready, _, _ = select.select([notices.fileno()], [], [], TIMEOUT_S)
            assert ready
            assert notices.recv(100) == b"READY=1"
            assert os.path.exists(f"/proc/{engine.room.pid}/root{root}.sock")
        finally:
            pid = engine.room.must("/bin/busybox", "cat", f"{root}/pid").text
            engine.room.must("/bin/busybox", "kill", pid)
            process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0
