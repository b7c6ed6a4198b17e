"""runtime.md, "Kill"."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance import pids, processes
from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.errors import Hung, Ignored
from seatrial.conformance.marks import needs, requirement

if TYPE_CHECKING:
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness

_UNCATCHABLE = (signal.SIGKILL, signal.SIGSTOP)
#: signal(7); the two before SIGRTMIN are the C library's own, and signals all the same.
_NUMBERS = [number for number in range(1, 65) if number not in _UNCATCHABLE]
_NAMES = {
    each.name.removeprefix("SIG"): each.value
    for each in signal.Signals
    if each not in _UNCATCHABLE and each < signal.SIGRTMIN
}


def _caught(harness: Harness, signals: list[str]) -> list[int]:
    """Return the numbers that a program caught, to whose container these were sent in turn."""
    with harness.running(harness.config("catch")) as container:
        numbers = []
        for name in signals:
            result = container.kill(name)
            assert result.ok, result
            numbers.append(container.read_line()["signal"])
        return numbers


def _is_suspended(pid: int | None) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("T")


@requirement("runtime.kill.missing-id-errors")
def test_kill_without_an_id_generates_an_error(harness: Harness) -> None:
    assert harness.runtime.kill(None).failed


@requirement("runtime.kill.delivers-signal")
def test_kill_delivers_every_signal_by_its_number(harness: Harness) -> None:
    assert _caught(harness, [str(number) for number in _NUMBERS]) == _NUMBERS


@requirement("runtime.kill.delivers-signal")
def test_kill_delivers_signals_by_their_names(harness: Harness) -> None:
    assert _caught(harness, [*_NAMES]) == [*_NAMES.values()]


@requirement("runtime.kill.delivers-signal")
@settings(max_examples=5)
@given(numbers=st.lists(st.sampled_from(_NUMBERS), max_size=10))
def test_kill_delivers_a_signal_as_often_as_it_is_called(
    harness: Harness, numbers: list[int]
) -> None:
    assert _caught(harness, [str(number) for number in numbers]) == numbers


@requirement("runtime.kill.delivers-signal")
def test_kill_ends_the_container_process_by_kill(running: Container) -> None:
    assert running.kill("KILL").ok
    running.wait()
    assert running.ended_by(signal.SIGKILL)
    assert running.state()["status"] == "stopped"


@needs("host-kernel")
@requirement("runtime.kill.delivers-signal")
def test_kill_suspends_and_resumes_the_container_process(harness: Harness) -> None:
    with harness.running(harness.config("catch")) as container:
        assert container.kill("STOP").ok
        _await_suspension(container)
        assert container.kill("USR1").ok
        assert container.kill("CONT").ok
        assert {container.read_line()["signal"] for _ in range(2)} == {
            signal.SIGUSR1,
            signal.SIGCONT,
        }


def _await_suspension(container: Container) -> None:
    # A signal takes effect when its receiver is next on a processor, a moment after kill; there is
    # no event that a process other than its parent could wait for.
    for _ in range(100_000):
        if _is_suspended(container.pid):
            return
        os.sched_yield()
    raise Hung("the container process was not suspended by SIGSTOP")


@requirement("runtime.kill.delivers-signal")
def test_kill_reaches_the_process_of_the_container_that_is_named(harness: Harness) -> None:
    config = harness.config("catch")
    with harness.running(config) as first, harness.running(config) as second:
        assert second.kill("USR1").ok
        assert second.read_line()["signal"] == signal.SIGUSR1
        assert first.kill("USR2").ok
        assert first.read_line()["signal"] == signal.SIGUSR2


@requirement("runtime.kill.delivers-signal")
@pytest.mark.parametrize("namespaces", [["mount"], ["mount", "pid", "ipc", "uts", "network"]])
def test_kill_delivers_signals_whatever_namespaces_there_are(
    harness: Harness, namespaces: list[str]
) -> None:
    config = harness.config("catch")
    config["linux"]["namespaces"] = [{"type": kind} for kind in namespaces]
    with harness.running(config) as container:
        assert container.kill("TERM").ok
        assert container.read_line()["signal"] == signal.SIGTERM


def _refused(harness: Harness, signals: list[str]) -> list[str]:
    """Return those of the signals that kill refused; none of them has reached the program."""
    with harness.running(harness.config("catch")) as container:
        before = container.state()
        refused = [name for name in signals if container.kill(name).failed]
        assert container.state() == before
        assert container.kill("USR1").ok
        assert container.read_line()["signal"] == signal.SIGUSR1
        return refused


@requirement("runtime.kill.delivers-signal", "runtime.errors.environment-restored")
def test_a_number_beyond_all_signals_is_an_error(harness: Harness) -> None:
    numbers = ["65", "9999"]
    assert _refused(harness, numbers) == numbers


@requirement("runtime.kill.delivers-signal")
def test_a_number_beyond_all_signals_is_not_taken_for_its_last_32_bits(harness: Harness) -> None:
    number = str(2**32 + signal.SIGUSR2)
    assert _refused(harness, [number]) == [number]


@requirement("runtime.kill.delivers-signal")
def test_a_name_that_no_signal_has_is_an_error(harness: Harness) -> None:
    names = ["SEATRIAL", "SIGSEATRIAL"]
    if _refused(harness, names) != names:
        raise Ignored("kill succeeded with the name of no signal, and sent none")


@requirement("runtime.kill.accepts-created")
def test_kill_ends_a_created_container(created: Container) -> None:
    assert created.kill("KILL").ok
    created.wait()
    assert created.ended_by(signal.SIGKILL)
    assert created.state()["status"] == "stopped"


@requirement("runtime.kill.accepts-created")
@pytest.mark.parametrize("name", ["CONT", "WINCH", "URG"])
def test_a_signal_that_is_ignored_by_default_leaves_a_created_container_alone(
    created: Container, name: str
) -> None:
    assert created.kill(name).ok
    assert created.state()["status"] == "created"
    assert created.start().ok
    created.read_line()


# Containers that are neither created nor running


@requirement("runtime.kill.not-alive-errors", "runtime.kill.not-alive-no-effect")
def test_kill_of_a_stopped_container_generates_an_error(stopped: Container) -> None:
    before = stopped.state()
    accepted = [number for number in range(1, 65) if stopped.kill(str(number)).ok]
    assert accepted == []
    assert stopped.state() == before


@requirement("runtime.kill.not-alive-errors", "runtime.kill.not-alive-no-effect")
def test_kill_generates_an_error_although_nobody_has_collected_the_process(
    running: Container,
) -> None:
    assert running.pid is not None
    with processes.left_uncollected(running.pid):
        assert running.kill("KILL").ok
        assert processes.wait(running.pid, timeout_s=running.runtime.timeout_s)
        before = running.state()
        assert running.kill("TERM").failed
        assert running.state() == before


@requirement("runtime.kill.not-alive-errors")
def test_kill_of_a_container_that_was_never_started_and_is_stopped_generates_an_error(
    harness: Harness, created: Container
) -> None:
    if harness.ends_before_start(created):
        assert created.kill("KILL").failed


@requirement("runtime.kill.not-alive-errors")
def test_kill_of_an_id_never_used_generates_an_error(harness: Harness) -> None:
    assert harness.runtime.kill(harness.new_id(), "TERM").failed


@requirement("runtime.kill.not-alive-errors")
def test_kill_of_a_deleted_container_generates_an_error(stopped: Container) -> None:
    assert stopped.delete().ok
    assert stopped.kill("TERM").failed


@needs("kernel>=5.5")
@requirement("runtime.kill.not-alive-errors", "runtime.kill.not-alive-no-effect")
def test_kill_spares_another_process_that_has_the_pid_of_a_stopped_container(
    running: Container,
) -> None:
    assert running.pid is not None
    began = pids.start_time(running.pid)
    assert running.kill("KILL").ok
    running.wait()
    with pids.taken(running.pid, [str(probe_binary()), "quiet", "+", "pause"], not_at=began):
        assert running.state()["status"] == "stopped"
        assert running.kill("KILL").failed
        assert running.start().failed
        assert running.delete().ok
        assert not processes.wait(running.pid, timeout_s=0)
