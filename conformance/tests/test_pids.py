"""A process under a pid of our choice."""

from __future__ import annotations

import os
import subprocess

import pytest

from seatrial.conformance import pids, processes
from seatrial.conformance.bundle import probe_binary

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="clone3 with a pid of one's own is root's"
)


def _ended() -> tuple[int, int]:
    """Return a pid that was just in use, and when its process was started."""
    with subprocess.Popen([str(probe_binary()), "quiet", "+", "pause"]) as process:
        began = pids.start_time(process.pid)
        process.kill()
    return process.pid, began


def test_a_pid_is_taken_by_another_process_until_the_end_of_the_context() -> None:
    pid, began = _ended()
    with pids.taken(pid, [str(probe_binary()), "quiet", "+", "pause"], not_at=began):
        assert not processes.wait(pid, timeout_s=0)
        assert pids.start_time(pid) != began
    assert processes.wait(pid, timeout_s=0)


def test_the_start_time_is_another_although_it_would_be_the_same() -> None:
    pid, _ = _ended()
    now = pids.start_time(os.getpid())
    with pids.taken(pid, [str(probe_binary()), "quiet", "+", "pause"], not_at=now):
        first = pids.start_time(pid)
    with pids.taken(pid, [str(probe_binary()), "quiet", "+", "pause"], not_at=first):
        assert pids.start_time(pid) != first
