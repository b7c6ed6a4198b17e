"""containerd's runc shim with BinaryName, by ctr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from daemons.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemons.containerd import Containerd

STAY = ("sh", "-c", "trap 'exit 5' TERM; while :; do sleep 1000 & wait; done")


@pytest.fixture
def running(containerd: Containerd) -> Iterator[str]:
    """Return a container whose program runs."""
    name = containerd.begin_container(*STAY)
    yield name
    containerd("task", "delete", "--force", name)
    containerd("container", "delete", name)


def test_output_and_exit_status_are_the_programs(containerd: Containerd) -> None:
    done = containerd.run("sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.status, done.stdout, done.stderr) == (3, "out\n", "err\n")


@pytest.mark.parametrize(
    ("program", "why"), [("/none", "no such file"), ("/etc/plain", "permission denied")]
)
def test_a_program_that_cannot_be_executed_is_told_from_the_runtimes_log(
    containerd: Containerd, program: str, why: str
) -> None:
    done = containerd.run(program)
    assert done.status == 1
    assert "OCI runtime create failed" in done.stderr
    assert why in done.stderr


def test_limits_reach_the_kernel(containerd: Containerd) -> None:
    name = containerd.begin_container(*STAY, options=("--memory-limit=67108864", "--cpus=0.5"))
    limits = containerd.limits(name)
    assert (limits.memory_bytes(), limits.cpus()) == (64 << 20, 0.5)
    assert containerd("task", "delete", "--force", name).status == 0


def test_environment_mounts_and_capabilities_are_those_asked_for(containerd: Containerd) -> None:
    folder = containerd.room.folder
    done = containerd.run(
        *("sh", "-c", "echo $A; ls /data; grep CapEff /proc/self/status; touch /new"),
        options=(
            *("--env=A=b", "--cap-add=CAP_SYS_ADMIN", "--read-only"),
            f"--mount=type=bind,src={folder},dst=/data,options=rbind:ro",
        ),
    )
    assert done.lines[0] == "b"
    assert "containerd.toml" in done.lines
    assert int(done.lines[-1].split()[-1], 16) & 1 << 21
    assert "Read-only file system" in done.stderr


def test_the_status_of_a_task_is_told(containerd: Containerd, running: str) -> None:
    assert containerd.status(running) == "RUNNING"


def test_a_paused_task_does_not_run_until_it_is_resumed(
    containerd: Containerd, running: str
) -> None:
    assert containerd("task", "pause", running).status == 0
    assert (containerd.status(running), containerd.limits(running).is_frozen()) == ("PAUSED", True)
    assert containerd("task", "resume", running).status == 0
    assert containerd.status(running) == "RUNNING"


def test_a_task_ends_by_the_signal_it_is_sent(containerd: Containerd) -> None:
    program = ("sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 1000 & wait; done")
    name = containerd.name()
    with containerd.room.follow(*containerd.new("--rm", program=(name, *program))) as foreground:
        foreground.expect("ready")
        assert containerd("task", "kill", "--signal=TERM", name).status == 0
        assert foreground.end() == 5


def test_kill_of_a_task_that_ended_says_so(containerd: Containerd) -> None:
    name = containerd.begin_container("sleep", "1000")
    assert containerd("task", "delete", "--force", name).status == 0
    done = containerd("task", "kill", name)
    assert "not found" in done.stderr


def test_exec_runs_a_further_process(containerd: Containerd, running: str) -> None:
    done = containerd(
        *("task", "exec", "--exec-id=e1", "--user=1000", "--cwd=/tmp", running),
        *("sh", "-c", "id -u; pwd; exit 7"),
    )
    assert (done.status, done.lines) == (7, ["1000", "/tmp"])


def test_exec_has_input(containerd: Containerd, running: str) -> None:
    assert (
        containerd("task", "exec", "--exec-id=e2", running, "cat", stdin=b"text").stdout == "text"
    )


def test_exec_of_what_is_not_there_is_told(containerd: Containerd, running: str) -> None:
    done = containerd("task", "exec", "--exec-id=e3", running, "/none")
    assert done.status == 1
    assert "OCI runtime exec failed" in done.stderr


def test_processes_are_listed(containerd: Containerd, running: str) -> None:
    assert len(containerd("task", "ps", running).lines) >= 1 + 1


def test_metrics_tell_processes_and_memory(containerd: Containerd, running: str) -> None:
    found = containerd.metrics(running)
    assert found["pids"]["current"] >= 1
    usage = found["memory"]["usage"]
    assert (usage["usage"] if isinstance(usage, dict) else usage) > 0


def test_a_checkpoint_is_refused_in_plain_words(containerd: Containerd, running: str) -> None:
    done = containerd("task", "checkpoint", running)
    assert done.status == 1
    assert "CRIU" in done.stderr
    assert containerd.status(running) == "RUNNING"


def test_a_program_gets_a_terminal(containerd: Containerd) -> None:
    command = containerd.new("--rm", "--tty", program=("typed", "sh"))
    with Terminal(containerd.room, *command) as terminal:
        terminal.expect("# ")
        terminal.type("tty; echo $((6 * 7)); exit 5\r")
        terminal.expect("/dev/pts/0")
        terminal.expect("42")
        assert terminal.end() == 5
