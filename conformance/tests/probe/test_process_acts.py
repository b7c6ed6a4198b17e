"""Acts of the probe on itself and on other processes."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
from pathlib import Path

import pytest
from conformance.tests.probe.conftest import (
    GETPID,
    NO_LEAK_CHECK,
    NOBODY,
    TIMEOUT_S,
    Probe,
    needs_numbers,
    needs_root,
    next_line,
)


@needs_root
def test_sethostname(probe: Probe) -> None:
    _, report = probe.run("sethostname", "trial", "+", "report", under=("unshare", "--uts"))
    assert report["hostname"] == "trial"
    assert socket.gethostname() != "trial"


@needs_root
def test_setuid(probe: Probe) -> None:
    _, report = probe.run("setuid", str(NOBODY), "+", "report", env=NO_LEAK_CHECK)
    assert set(report["uid"].values()) == {NOBODY}


def test_a_signal_that_kills_leaves_no_line(probe: Probe) -> None:
    assert probe.run("raise", "15", "+", "say", "x", status=-15) == []


def test_a_signal_that_is_ignored_leaves_one(probe: Probe) -> None:
    lines = probe.run("raise", "1", "+", "say", "x", under=("env", "--ignore-signal=HUP"))
    assert [line["ok"] for line in lines] == [True, True]


@needs_numbers
def test_syscall(probe: Probe) -> None:
    line, report = probe.run("syscall", str(GETPID), "18446744073709551615", "+", "report")
    assert line == {"act": "syscall", "ok": True, "result": report["pid"]}


def test_exit_ends_the_sequence(probe: Probe) -> None:
    assert probe.act("exit", "7", "+", "say", "x", status=7) == {
        "act": "exit",
        "ok": True,
        "code": 7,
    }


def test_say(probe: Probe) -> None:
    assert probe.act("say", b"\x7f\x80 \t")["text"] == "\x7f\x80 \t"


def test_pause_waits_for_a_signal(probe: Probe) -> None:
    with probe.started("pause") as process:
        assert next_line(process) == {"act": "pause", "ok": True, "pid": process.pid}
        process.terminate()
        assert process.wait(TIMEOUT_S) == -signal.SIGTERM


def test_kill_reaches_another_process(probe: Probe) -> None:
    with probe.started("pause") as process:
        next_line(process)
        assert probe.act("kill", str(process.pid), "15")["ok"]
        assert process.wait(TIMEOUT_S) == -signal.SIGTERM


def test_catch_prints_every_signal_that_can_be_caught(probe: Probe) -> None:
    with probe.started("catch") as process:
        assert next_line(process) == {"act": "catch", "ok": True, "pid": process.pid}
        for number in sorted({*range(1, 65)} - {signal.SIGKILL, signal.SIGSTOP}):
            os.kill(process.pid, number)
            assert next_line(process) == {
                "act": "caught",
                "signal": number,
                "sender": os.getpid(),
            }


def test_await_goes_on_once_a_signal_has_come(probe: Probe) -> None:
    with probe.started("await", "+", "say", "on") as process:
        assert next_line(process) == {"act": "await", "ok": True}
        os.kill(process.pid, signal.SIGUSR1)
        assert next_line(process) == {"act": "await", "ok": True}
        assert next_line(process)["text"] == "on"


@needs_root
def test_catch_works_as_the_init_of_a_pid_namespace(static: Probe) -> None:
    with static.started("catch", under=("unshare", "--pid", "--fork", "--kill-child")) as process:
        assert next_line(process)["pid"] == 1
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGRTMIN):
            os.kill(int(children), number)
            assert next_line(process) == {"act": "caught", "signal": number, "sender": 0}


def test_a_forked_report_is_that_of_a_child(probe: Probe) -> None:
    child, parent = probe.run("fork-report", "+", "report")
    assert child["ppid"] == parent["pid"]
    assert child["fds"] == parent["fds"]


def test_an_orphan_lives_on_in_a_session_of_its_own(probe: Probe) -> None:
    with probe.started("orphan") as process:
        orphan = next_line(process)["pid"]
        assert process.wait(TIMEOUT_S) == 0
        assert os.getsid(orphan) == orphan != process.pid
        os.kill(orphan, signal.SIGKILL)
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], TIMEOUT_S)[0]
        assert process.stdout.read() == b"", "the stream ends with the orphan"


def test_spawn_captures_both_streams(probe: Probe) -> None:
    script = 'printf "%s\\377" "$1"; printf err >&2; exit 3'
    lines = probe.run("spawn", "sh", "-c", script, "sh", "out", "+", "say", "x")
    assert lines[0] == {
        "act": "spawn",
        "ok": True,
        "status": 3,
        "stdout": "out\xff",
        "stderr": "err",
    }
    assert lines[1]["text"] == "x"


def test_spawn_says_which_signal_killed(probe: Probe) -> None:
    assert probe.act("spawn", probe.path, "raise", "9")["status"] == -9


def test_spawn_reads_everything_and_keeps_16_kibibytes(probe: Probe) -> None:
    script = "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero"
    line = probe.act("spawn", "sh", "-c", script)
    assert line["stdout"] == line["stderr"] == "\0" * 16384
    assert line["status"] == 0


def test_spawn_does_not_wait_for_what_its_child_left_behind(probe: Probe) -> None:
    line = probe.act("spawn", probe.path, "orphan")
    orphan = json.loads(line["stdout"])["pid"]
    os.kill(orphan, signal.SIGKILL)
    assert line["status"] == 0


def test_spawn_works_with_standard_streams_closed(probe: Probe, tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = 'exec "$0" "$@" <&- >&- 2>&-'
    probe.run(
        *("spawn", "sh", "-c", f"echo out >{log}; echo err >&2; exit 0", "+", "fork-report"),
        *("+", "mark", "end", log),
        under=("sh", "-c", script),
    )
    first, second = log.read_text().splitlines()
    assert first == "out"
    assert json.loads(second)["tag"] == "end"


@pytest.mark.parametrize("act", [("spawn", "true"), ("fork-report",), ("orphan",)])
def test_children_are_found_where_sigchld_is_ignored(probe: Probe, act: tuple[str, ...]) -> None:
    with probe.started(*act, under=("env", "--ignore-signal=CHLD")) as process:
        line = next_line(process)
        assert process.wait(TIMEOUT_S) == 0
    if act == ("orphan",):
        os.kill(line["pid"], signal.SIGKILL)
    if act == ("fork-report",):
        assert line["probe"] == 1
    else:
        assert line["ok"]
        assert line.get("status", 0) == 0
