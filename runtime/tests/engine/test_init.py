"""``--init``: a first process that hands on signals and reaps, and ends as the program does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from daemons.seatriald import Seatriald

_INIT = ("--init",)


@pytest.mark.parametrize(
    ("program", "status"),
    [
        (("sh", "-c", "exit 5"), 5),
        (("sh", "-c", "kill -KILL $$"), 137),
        (("nosuch",), 127),
        (("/etc/plain",), 126),
    ],
)
def test_it_ends_as_the_program_does(
    engine: Seatriald, program: tuple[str, ...], status: int
) -> None:
    assert engine.run(*program, options=_INIT).status == status


def test_the_program_gets_signals_that_are_sent_to_the_container(engine: Seatriald) -> None:
    program = "trap 'exit 9' USR1; echo ready; while :; do sleep 0.01; done"
    name = engine.begin_ready("sh", "-c", program, options=_INIT)
    assert engine("kill", "--signal=USR1", name).status == 0
    assert engine("wait", name).text == "9"
    assert engine("rm", name).status == 0


def test_orphans_are_reaped(engine: Seatriald) -> None:
    # The inner shell leaves a child behind, which ends once it is init's.
    program = """sh -c 'read line </tmp/f & echo $! >/tmp/pid'; echo go >/tmp/f
        while [ -e /proc/$(cat /tmp/pid) ]; do :; done; echo reaped"""
    done = engine.run("sh", "-c", f"mkfifo /tmp/f; {program}", options=_INIT)
    assert done.lines == ["reaped"]


def test_a_container_in_anothers_pids_has_none(engine: Seatriald) -> None:
    done = engine.run("readlink", "/proc/self/exe", options=(*_INIT, "--pid=host"))
    assert done.text == "/bin/busybox"
