"""Processes below us: none hides, each can be waited for, and no other is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance import processes, spawn
from seatrial.conformance.errors import HarnessError, UnfitError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("bystanders")

LONG_S = 30.0


@contextmanager
def child(*argv: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program that says when it is there, and kill it at the end."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def others_than(bystanders: frozenset[int]) -> list[int]:
    return [pid for pid in processes.children(os.getpid()) if pid not in bystanders]


def parent_of_two() -> tuple[str, ...]:
    return ("/bin/sh", "-c", "sleep infinity & sleep infinity & echo; wait")


def test_children_and_descendants_are_found(bystanders: frozenset[int]) -> None:
    with child("/bin/sh", "-c", "sh -c 'sleep infinity & echo; wait' & wait") as process:
        assert others_than(bystanders) == [process.pid]
        (between,) = processes.children(process.pid)
        (lowest,) = processes.children(between)
        assert list(processes.descendants(process.pid)) == [between, lowest]
        assert {process.pid, between, lowest} <= set(processes.descendants(os.getpid()))
        processes.end_all(bystanders)


def test_one_that_is_gone_has_neither_children_nor_a_command_line() -> None:
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
    assert processes.children(process.pid) == []
    assert processes.command_line(process.pid) == ""
    assert processes.wait(process.pid, timeout_s=0)
    assert processes.reap(process.pid) is None


def test_a_command_line_is_what_runs_or_a_name_in_brackets() -> None:
    with child("/bin/sh", "-c", "echo; exec sleep infinity") as process:
        os.kill(process.pid, signal.SIGKILL)
        assert processes.wait(process.pid, timeout_s=LONG_S)
        assert processes.command_line(process.pid) in {"[sh]", "[sleep]"}
    assert processes.command_line(os.getpid()) == " ".join(sys.orig_argv).strip()


@pytest.mark.parametrize(("ending", "status"), [("exit 3", 3), ("kill -9 $$", -9)])
def test_a_child_is_collected_once(ending: str, status: int) -> None:
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", ending], {})
    assert processes.reap(pid, block=True) == status
    assert processes.reap(pid, block=True) is None


def test_a_child_that_runs_is_not_collected() -> None:
    with child("/bin/sh", "-c", "echo; exec sleep infinity") as process:
        assert processes.reap(process.pid) is None
        assert not processes.wait(process.pid, timeout_s=0)


def test_an_orphan_becomes_our_child(bystanders: frozenset[int]) -> None:
    processes.become_subreaper()
    with child("/bin/sh", "-c", "(setsid sh -c 'echo; exec sleep infinity' &)") as process:
        process.wait()
        (orphan,) = others_than(bystanders)
        assert orphan != process.pid
        processes.end_all(bystanders)
        assert others_than(bystanders) == []


def test_who_is_spared_keeps_what_is_below(bystanders: frozenset[int]) -> None:
    with child(*parent_of_two()) as spared, child(*parent_of_two()) as other:
        below = processes.children(spared.pid)
        processes.become_subreaper()
        processes.end_all(bystanders | {spared.pid})
        assert others_than(bystanders) == [spared.pid]
        assert processes.children(spared.pid) == below
        assert other.wait() == 0  # collected already
        processes.end_all(bystanders)


def test_a_process_that_forks_all_the_time_is_ended(bystanders: frozenset[int]) -> None:
    processes.become_subreaper()
    with child("/bin/sh", "-c", "echo; while :; do sleep 0 & done"):
        processes.end_all(bystanders)
        assert others_than(bystanders) == []


def test_one_that_stays_is_an_error_of_the_harness(
    monkeypatch: pytest.MonkeyPatch, bystanders: frozenset[int]
) -> None:
    times = iter([0.0, 0.0, 100.0])
    with child("/bin/sh", "-c", "echo; exec sleep infinity"), monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: next(times))
        patch.setattr(processes, "wait", lambda *_, **__: True)
        patch.setattr(os, "kill", lambda *_: None)
        with pytest.raises(HarnessError, match=r"cannot be killed: .*sleep infinity"):
            processes.end_all(bystanders)


def test_only_a_descendant_is_ended() -> None:
    with child("/bin/sh", "-c", "echo; exec sleep infinity") as ours:
        processes.end(ours.pid)
        assert ours.wait() == -signal.SIGKILL
    processes.end(os.getppid())
    processes.end(os.getpid())
    processes.end(2**22 + 1)


def test_an_orphan_is_collected_as_it_ends(bystanders: frozenset[int]) -> None:
    processes.become_subreaper()
    with processes.collecting():
        with child("/bin/sh", "-c", "(setsid sh -c 'echo; exec sleep infinity' &)") as process:
            process.wait()
        (orphan,) = others_than(bystanders)
        # As runsc does in delete, with pauses.
        shell = f"kill -9 {orphan}; while kill -0 {orphan} 2>&-; do :; done; exit 3"
        result = spawn.run(["/bin/sh", "-c", shell], timeout_s=LONG_S, environ={})
        assert result.exit_status == 3
        assert processes.reap(orphan) == -signal.SIGKILL
        assert processes.reap(orphan) is None
    assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL


def test_who_collects_leaves_children_from_before_to_others() -> None:
    with child("/bin/sh", "-c", "echo; exec sleep infinity") as process, processes.collecting():
        process.kill()
        assert processes.wait(process.pid, timeout_s=LONG_S)
        assert spawn.run(["/bin/false"], timeout_s=LONG_S, environ={}).exit_status == 1
        assert process.wait() == -signal.SIGKILL


def test_a_child_can_be_left_a_zombie() -> None:
    with processes.collecting():
        pid = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {})
        with processes.left_uncollected(pid):
            os.kill(pid, signal.SIGKILL)
            assert processes.wait(pid, timeout_s=LONG_S)
            assert spawn.run(["/bin/true"], timeout_s=LONG_S, environ={}).ok
            assert Path(f"/proc/{pid}").exists()
        assert not Path(f"/proc/{pid}").exists()


def test_a_child_that_was_collected_is_given_to_who_waits_for_it() -> None:
    with processes.collecting():
        pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 3"], {})
        assert processes.reap(pid, block=True) == 3
        assert processes.reap(pid, block=True) is None


def test_without_a_list_of_children_nothing_can_be_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathlib.Path.exists", lambda _: False)
    with pytest.raises(UnfitError, match="children is missing") as caught:
        processes.become_subreaper()
    assert "CONFIG_PROC_CHILDREN" in (caught.value.hint or "")
