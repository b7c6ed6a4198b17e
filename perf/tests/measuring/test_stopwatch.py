"""The stopwatch, the payload: what is started, and what is told of it."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from seatrial.perf.errors import RunError
from seatrial.perf.programs import program
from seatrial.perf.stopwatch import UNPRIVILEGED, Step, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAYLOAD = str(program("payload"))


@pytest.fixture
def stopwatch() -> Iterator[Stopwatch]:
    stopwatch = Stopwatch()
    yield stopwatch
    stopwatch.close()


def test_the_payload_is_about_a_kilobyte() -> None:
    assert program("payload").stat().st_size < 1500


def test_the_payload_exits_with_the_status_that_it_is_given() -> None:
    done = subprocess.run([PAYLOAD, "1", "7"], capture_output=True, check=False)
    assert done.returncode == 7
    assert len(done.stdout) == 32


def test_a_sample_has_the_payloads_clocks_between_start_and_end(stopwatch: Stopwatch) -> None:
    before = time.monotonic_ns()
    raw = stopwatch.sample([Step("run", (PAYLOAD, "3"), "p")], timeout_s=20)
    after = time.monotonic_ns()
    (step,) = raw["steps"]
    times = [before, step["start"], raw["payload"]["monotonic"], step["end"], after]
    assert times == sorted(times)
    assert step["minor_faults"] > 0
    assert abs(raw["payload"]["realtime"] - raw["clock_difference"] - step["start"]) < 10**9


def test_a_payload_without_a_descriptor_is_heard_on_stdout(stopwatch: Stopwatch) -> None:
    raw = stopwatch.sample([Step("run", (PAYLOAD, "1"), "po")], timeout_s=20)
    assert "error" not in raw
    assert raw["payload"]["monotonic"] > raw["steps"][0]["start"]


def test_a_failed_step_ends_the_sample_with_what_it_said(stopwatch: Stopwatch) -> None:
    failing = Step("create", ("/bin/sh", "-c", "echo no room >&2; exit 3"))
    raw = stopwatch.sample([failing, Step("start", ("/bin/true",))], timeout_s=20)
    assert raw["error"] == "create: exit status 3"
    assert raw["stderr"] == "no room\n"
    assert [step["name"] for step in raw["steps"]] == ["create"]


def test_a_step_ended_by_a_signal_is_told(stopwatch: Stopwatch) -> None:
    raw = stopwatch.sample([Step("run", ("/bin/sh", "-c", "kill -SEGV $$"))], timeout_s=20)
    assert raw["error"] == f"run: ended by signal {int(signal.SIGSEGV)}"


def test_a_command_that_is_not_there_is_told(stopwatch: Stopwatch) -> None:
    raw = stopwatch.sample([Step("run", ("/nowhere/runtime",))], timeout_s=20)
    assert raw["error"] == "run: No such file or directory"


def test_a_step_that_hangs_is_killed(stopwatch: Stopwatch) -> None:
    raw = stopwatch.sample([Step("run", ("/bin/sleep", "1000"))], timeout_s=0.1)
    assert raw["error"] == "run: not done within the timeout"
    assert raw["steps"][0]["status"] == -signal.SIGKILL


def test_a_command_that_ends_without_the_payload_is_no_sample(stopwatch: Stopwatch) -> None:
    raw = stopwatch.sample([Step("run", ("/bin/true",), "p")], timeout_s=0.2)
    assert raw["error"] == "run: not done within the timeout"


def test_a_step_runs_as_a_user_without_privileges_if_told_to(stopwatch: Stopwatch) -> None:
    test = f'test "$(id -u) $(id -G)" = "{UNPRIVILEGED} {UNPRIVILEGED}"'
    raw = stopwatch.sample([Step("run", ("/bin/sh", "-c", test), "u")], timeout_s=20)
    assert "error" not in raw, raw


def test_words_before_a_command_are_its_environments(stopwatch: Stopwatch) -> None:
    test = 'test "$A$HOME" = "x=y/root"'
    raw = stopwatch.sample([Step("run", ("A=x=y", "/bin/sh", "-c", test))], timeout_s=20)
    assert "error" not in raw, raw


def test_the_container_is_found_by_its_pid_file_and_collected(
    stopwatch: Stopwatch, tmp_path: Path
) -> None:
    # As a runtime: `create` leaves a process behind that waits for `start`.
    fifo, file = tmp_path / "start", tmp_path / "pid"
    waiting = f"mkfifo {fifo}; (read x <{fifo}; exec {PAYLOAD} 3) & echo $! >{file}"
    raw = stopwatch.sample(
        [
            Step("create", ("/bin/sh", "-c", waiting)),
            Step("start", ("/bin/sh", "-c", f"echo >{fifo}"), "px"),
        ],
        timeout_s=20,
        pid_file=str(file),
    )
    assert "error" not in raw, raw
    assert raw["container"]["pid"] == int(file.read_text())
    assert raw["container"]["collected"]
    assert raw["container"]["end"] > raw["payload"]["monotonic"] > raw["steps"][1]["start"]


def test_counters_that_the_machine_lacks_are_null() -> None:
    stopwatch = Stopwatch(environ={"SEATRIAL_TRACEPOINT": "0"})
    raw = stopwatch.sample([Step("run", (PAYLOAD, "3"), "p")], timeout_s=20, count=True)
    stopwatch.close()
    assert raw["counters"]["syscalls"] is None


def test_a_burst_does_so_many_and_not_more_at_once(stopwatch: Stopwatch) -> None:
    step = Step("run", (PAYLOAD, "3"))
    raw = stopwatch.burst(step, parallel=3, total=10, timeout_s=20)
    assert len(raw["burst"]) == 10
    assert {each["slot"] for each in raw["burst"]} == {0, 1, 2}
    for each in raw["burst"]:
        running = [e for e in raw["burst"] if e["start"] <= each["start"] < e["end"]]
        assert len(running) <= 3


def test_a_burst_fills_in_numbers_and_tells_failures(stopwatch: Stopwatch) -> None:
    step = Step("run", ("/bin/sh", "-c", "exit @N@"))
    raw = stopwatch.burst(step, parallel=2, total=4, timeout_s=20)
    assert sorted(each["status"] for each in raw["burst"]) == [0, 1, 2, 3]


def test_words_that_orders_cannot_hold_are_refused() -> None:
    with pytest.raises(RunError, match="tab or a newline"):
        Step("run", ("a\tb",)).line()


def test_what_is_running_ends_with_the_driver(tmp_path: Path) -> None:
    fifo = tmp_path / "alive"
    stopwatch = subprocess.Popen([program("stopwatch")], stdin=subprocess.PIPE)
    assert stopwatch.stdin is not None
    subprocess.run(["mkfifo", fifo], check=True)
    words = ["step", "run", "-", "/bin/sh", "-c", f"exec 3>{fifo}; exec sleep 1000"]
    stopwatch.stdin.write("\t".join(words).encode() + b"\ngo\n")
    stopwatch.stdin.flush()
    with fifo.open("rb") as alive:  # opened by both: the command runs
        stopwatch.stdin.close()
        assert alive.read() == b""  # its end: the command is gone
    assert stopwatch.wait() == 0
