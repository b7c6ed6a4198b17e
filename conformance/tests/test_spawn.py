"""Running a command under a timeout: whatever it does, there is a ``Result`` or a ``Hung``."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.conformance import processes, spawn
from seatrial.conformance.errors import Crashed, Hung, UnfitError
from seatrial.conformance.spawn import Result, Streams

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("bystanders")

ENVIRON = {"PATH": "/usr/bin:/bin"}
#: Long enough for whatever does not hang.
LONG_S = 30.0
#: Short, for what hangs for certain.
SHORT_S = 0.2


def sh(script: str, timeout_s: float = LONG_S, **options: Any) -> Result:
    return spawn.run(["/bin/sh", "-c", script], timeout_s=timeout_s, environ=ENVIRON, **options)


@contextlib.contextmanager
def witness() -> Iterator[tuple[int, int]]:
    """Give a pipe: its reading end sees EOF once nobody holds the writing end any more."""
    reader, writer = os.pipe()
    try:
        yield reader, writer
    finally:
        os.close(reader)


def is_held(reader: int) -> bool:
    return not processes.poll([reader], 0)


def test_a_result_has_both_streams_and_the_exit_status() -> None:
    result = sh("echo out; echo err >&2; exit 7")
    assert (result.stdout, result.stderr, result.exit_status) == (b"out\n", b"err\n", 7)
    assert result.failed
    assert not result.ok
    assert 0 < result.duration_s < LONG_S


def test_a_result_reads_as_the_shell_line_and_what_it_said() -> None:
    result = Result(("/bin/rt", "create", "a b"), 1, b"", b"no\n\xff")
    assert repr(result) == "</bin/rt create 'a b' → exit status 1, stderr 'no\\n\\\\xff'>"
    assert repr(Result(("rt",), 0)) == "<rt → exit status 0, both streams empty>"
    assert len(repr(Result(("rt",), 0, b"x" * 100_000))) < 3000


@pytest.mark.parametrize("question", ["ok", "failed"])
@pytest.mark.parametrize(
    ("number", "name"),
    [(signal.SIGSEGV, "SIGSEGV"), (signal.SIGKILL, "SIGKILL"), (35, "signal 35")],
)
def test_a_signal_is_neither_success_nor_an_error(number: int, name: str, question: str) -> None:
    result = sh(f"ulimit -c 0; kill -{int(number)} $$")
    assert result.exit_status == -number
    with pytest.raises(Crashed, match=f"ended by {name}: "):
        getattr(result, question)


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (None, 0, "No such file or directory"),
        ("#!/bin/sh\n", 0o644, "Permission denied"),
        ("#!/nowhere/sh\n", 0o755, "the interpreter that its first line names does not exist"),
        ("garbage", 0o755, "Exec format error"),
    ],
)
def test_what_cannot_be_executed_is_told_in_one_sentence(
    tmp_path: Path, content: str | None, mode: int, why: str
) -> None:
    path = tmp_path / "runtime"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    with pytest.raises(UnfitError) as caught:
        spawn.run([str(path)], timeout_s=LONG_S, environ=ENVIRON)
    assert str(caught.value) == f"cannot execute {path}: {why}"


def test_a_working_directory_that_is_missing_is_told() -> None:
    with pytest.raises(UnfitError, match=r"^cannot execute /bin/sh: No such .*: /nowhere$"):
        sh("true", cwd="/nowhere")


def test_a_command_that_hangs_is_shown_with_what_it_said() -> None:
    with pytest.raises(Hung) as caught:
        sh("echo waiting >&2; exec sleep infinity", 1.0)
    assert str(caught.value) == (
        "no answer within 1 s: /bin/sh -c 'echo waiting >&2; exec sleep infinity'"
        " (stderr so far 'waiting')"
    )
    assert caught.value.killed


@pytest.mark.parametrize(
    "tree",
    [
        "sleep infinity",
        "sleep infinity & sleep infinity & wait",
        "trap '' TERM INT HUP; sleep infinity",
        "(sleep infinity & sleep infinity)",
        "(setsid sleep infinity &) ; sleep infinity",
        "(setsid sh -c '(setsid sleep infinity &) ; exec sleep infinity' &) ; sleep infinity",
    ],
    ids=["itself", "children", "deaf", "grandchildren", "orphan", "orphan of an orphan"],
)
def test_a_timeout_ends_the_whole_tree(tree: str, bystanders: frozenset[int]) -> None:
    processes.become_subreaper()
    with witness() as (reader, writer):
        try:
            with pytest.raises(Hung):
                sh(tree, SHORT_S, pass_fds=[writer])
        finally:
            os.close(writer)
        assert not is_held(reader)
    assert set(processes.children(os.getpid())) == bystanders


def test_a_timeout_spares_what_was_there_before() -> None:
    processes.become_subreaper()
    with subprocess.Popen(["/bin/sleep", "infinity"]) as bystander:
        try:
            with pytest.raises(Hung):
                sh("sleep infinity", SHORT_S)
            assert bystander.poll() is None
        finally:
            bystander.kill()


def test_an_interrupt_ends_the_whole_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    processes.become_subreaper()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(spawn, "_wait", interrupt)
    with witness() as (reader, writer):
        with pytest.raises(KeyboardInterrupt):
            sh("(setsid sleep infinity &) ; sleep infinity", pass_fds=[writer])
        os.close(writer)
        assert not is_held(reader)


def test_output_without_an_end_is_a_hang_and_is_not_kept() -> None:
    streams = Streams()
    with pytest.raises(Hung):
        sh("exec yes", 1.0, streams=streams)
    assert 1 << 16 < len(streams.stdout.content) <= 1 << 24
    streams.close()


def test_a_leftover_that_holds_the_streams_does_not_hold_us_up(bystanders: frozenset[int]) -> None:
    processes.become_subreaper()
    result = sh("echo done; setsid sleep infinity &")
    assert result.stdout == b"done\n"
    assert len(processes.children(os.getpid())) == len(bystanders) + 1
    processes.end_all(bystanders)


def test_a_leftover_that_goes_on_printing_does_not_hold_us_up(bystanders: frozenset[int]) -> None:
    processes.become_subreaper()
    assert sh("yes &").exit_status == 0
    processes.end_all(bystanders)


def test_more_than_a_pipe_holds_is_read_whole() -> None:
    result = sh("head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2")
    assert (len(result.stdout), len(result.stderr)) == (3_000_000, 3_000_000)


def test_a_whole_report_fits_into_the_stream_when_nobody_reads() -> None:
    streams = Streams()
    assert sh("(head -c 1000000 /dev/zero &)", streams=streams).ok
    while not streams.stdout.ended:
        processes.poll([streams.stdout.reader], LONG_S)
        streams.stdout.read()
    assert len(streams.stdout.content) == 1_000_000
    streams.close()


def test_streams_go_on_after_the_command(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    streams = Streams()
    result = sh("echo now; (read line; echo $line) <fifo &", streams=streams, cwd=str(tmp_path))
    assert result.stdout == b"now\n"
    (tmp_path / "fifo").write_text("later\n")
    while not streams.stdout.ended:
        processes.poll([streams.stdout.reader], LONG_S)
        streams.read()
    assert streams.stdout.content == b"now\nlater\n"
    assert streams.open() in ([], [streams.stderr])
    streams.close()
    streams.close()


def test_a_command_gets_its_own_session_environment_folder_and_mask(tmp_path: Path) -> None:
    result = sh("echo $$ $(ps -o sid= -p $$); env; pwd; umask", cwd=str(tmp_path), umask=0o27)
    first, *rest = result.stdout.decode().splitlines()
    own, session = first.split()
    assert own == session
    assert rest[-2:] == [str(tmp_path), "0027"]
    assert set(rest[:-2]) <= {"PATH=/usr/bin:/bin", f"PWD={tmp_path}", "_=/usr/bin/env", "OLDPWD="}


def test_a_command_gets_no_descriptor_but_those_it_is_passed() -> None:
    with open(os.devnull) as file:
        ours, given = (fcntl.fcntl(file, fcntl.F_DUPFD, least) for least in (100, 200))
    os.set_inheritable(ours, True)  # noqa: FBT003
    result = sh("for fd in /proc/$$/fd/*; do echo ${fd##*/}; done", pass_fds=[given])
    os.close(ours)
    os.close(given)
    found = set(result.stdout.decode().split())
    assert {"0", "1", "2", str(given)} <= found
    assert str(ours) not in found
