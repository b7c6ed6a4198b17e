"""Daemons and supervisors are killed; containers go on, or their end is known."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemons.seatriald import Seatriald


def test_containers_survive_a_killed_daemon_which_finds_them_again(engine: Seatriald) -> None:
    program = "echo ready; read line; echo got $line; exit 3"
    name = engine.begin_ready("sh", "-c", program, options=("--interactive",))
    ended = engine.begin_container("sh", "-c", "trap exit TERM; while :; do sleep 0.1; done")
    pid = engine.state(name)["Pid"]
    engine.kill_daemon()
    engine.begin_again()
    state = engine.state(name)
    assert (state["Status"], state["Pid"]) == ("running", pid)
    assert engine("exec", name, "echo", "still here").stdout == "still here\n"
    assert "got it" in engine("attach", name, stdin=b"it\n").stdout
    assert engine("wait", name).text == "3"
    assert engine("stop", ended).status == 0
    assert engine("rm", name, ended).status == 0


def test_the_end_of_a_container_is_known_though_no_daemon_saw_it(engine: Seatriald) -> None:
    name = engine.begin_ready(
        "sh", "-c", "echo ready; read line; exit 5", options=("--interactive",)
    )
    pid = engine.pid_outside(name)
    watched = os.pidfd_open(pid)
    engine.kill_daemon()
    signal.pidfd_send_signal(watched, signal.SIGKILL)
    os.close(watched)
    engine.begin_again()
    assert engine("wait", name).text == "137"
    assert engine.state(name)["Status"] == "exited"
    assert engine("rm", name).status == 0


def test_a_container_whose_supervisor_is_killed_ends(engine: Seatriald) -> None:
    name = engine.begin_container("sleep", "1000")
    os.kill(engine.supervisor_outside(name), signal.SIGKILL)
    assert engine("wait", name).text == "137"
    assert engine("start", name).status == 0
    assert engine("rm", "--force", name).status == 0
