"""What podman and docker have in common, on the runtime under test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from daemons.engine import Engine

NOT_FOUND, NOT_EXECUTABLE, KILLED = 127, 126, 128 + 9
SYS_ADMIN, CHOWN = 1 << 21, 1 << 0
#: A program of two processes that stays, and ends when it is asked to.
STAY = ("sh", "-c", "trap 'exit 5' TERM; sleep 1000 & echo ready; wait")
#: Tells every new size of its terminal; ends with 7 at the one that is waited for.
TELL_SIZE = (
    "sh", "-c",
    ("trap 's=$(stty size); echo size $s; [ \"$s\" = \"33 77\" ] && exit 7' WINCH; echo ready;"
    " while :; do sleep 1000 & wait; done"),
)  # fmt: skip


@pytest.fixture
def ready(engine: Engine) -> str:
    """Return a container whose program runs."""
    return engine.begin_ready(*STAY)


# Running


def test_output_and_exit_status_are_the_programs(engine: Engine) -> None:
    done = engine.run("sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.status, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_input_is_the_programs(engine: Engine) -> None:
    assert engine.run("cat", options=("-i",), stdin=b"a\nb\n").stdout == "a\nb\n"


@pytest.mark.parametrize("program", ["/none", "none"])
def test_a_program_that_is_not_there_is_127(engine: Engine, program: str) -> None:
    done = engine.run(program)
    assert done.status == NOT_FOUND
    assert "none" in done.stderr


@pytest.mark.parametrize("program", ["/etc/plain", "/etc"])
def test_a_program_that_cannot_be_executed_is_126(engine: Engine, program: str) -> None:
    done = engine.run(program)
    assert done.status == NOT_EXECUTABLE
    assert "permission denied" in done.stderr.lower()


def test_a_user_without_the_right_to_execute_it_is_126(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(b"#!/bin/sh\n")
    (tmp_path / "program").chmod(0o700)
    done = engine.run("/data/program", options=("--user=1000", f"--volume={tmp_path}:/data"))
    assert done.status == NOT_EXECUTABLE


def test_the_working_directory_and_environment_are_those_asked_for(engine: Engine) -> None:
    done = engine.run("sh", "-c", "pwd; echo $A", options=("--workdir=/tmp", "--env=A=b c"))
    assert done.lines == ["/tmp", "b c"]


# Who it is, and what it may


@pytest.mark.parametrize(
    ("user", "told"),
    [
        ("1000", ["1000", "1000", "1000 2000"]),
        ("sailor", ["1000", "1000", "1000 2000"]),
        ("1000:2000", ["1000", "2000", "2000"]),
        ("4000:4000", ["4000", "4000", "4000"]),
    ],
)
def test_the_user_is_the_one_asked_for(engine: Engine, user: str, told: list[str]) -> None:
    done = engine.run("sh", "-c", "id -u; id -g; id -G", options=(f"--user={user}",))
    assert done.lines == told


def test_capabilities_are_added_and_dropped(engine: Engine) -> None:
    done = engine.run(
        "grep", "CapEff", "/proc/self/status", options=("--cap-add=SYS_ADMIN", "--cap-drop=CHOWN")
    )
    held = int(done.text.split()[-1], 16)
    assert held & (SYS_ADMIN | CHOWN) == SYS_ADMIN


def test_a_user_other_than_root_has_no_capabilities(engine: Engine) -> None:
    done = engine.run("grep", "CapEff", "/proc/self/status", options=("--user=1000",))
    assert int(done.text.split()[-1], 16) == 0


def test_the_engines_seccomp_filter_is_loaded(engine: Engine) -> None:
    assert engine.run("grep", "Seccomp:", "/proc/self/status").text.split()[-1] == "2"
    unconfined = engine.run(
        "grep", "Seccomp:", "/proc/self/status", options=("--security-opt=seccomp=unconfined",)
    )
    assert unconfined.text.split()[-1] == "0"


def test_the_hosts_processes_are_not_seen(engine: Engine) -> None:
    assert engine.run("sh", "-c", "echo $$; ls -d /proc/[0-9]*").lines[0] == "1"


# Files


def test_a_read_only_root_takes_no_writes(engine: Engine) -> None:
    done = engine.run("touch", "/new", options=("--read-only",))
    assert done.status == 1
    assert "Read-only file system" in done.stderr


def test_a_tmpfs_takes_writes_up_to_its_size(engine: Engine) -> None:
    done = engine.run(
        *("sh", "-c", "grep ' /data ' /proc/mounts; dd if=/dev/zero of=/data/file bs=64k count=40"),
        options=("--read-only", "--tmpfs=/data:size=1m"),
    )
    assert done.stdout.startswith("tmpfs /data tmpfs ")
    assert "No space left on device" in done.stderr


def test_a_volume_is_the_hosts_folder(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "from").write_text("host", "utf-8")
    done = engine.run(
        "sh", "-c", "cat /data/from; echo container > /data/to",
        options=(f"--volume={tmp_path}:/data",),
    )  # fmt: skip
    assert (done.stdout, (tmp_path / "to").read_text("utf-8")) == ("host", "container\n")


def test_a_volume_may_be_read_only(engine: Engine, tmp_path: Path) -> None:
    done = engine.run("touch", "/data/new", options=(f"--volume={tmp_path}:/data:ro",))
    assert "Read-only file system" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_volume_by_name_outlives_its_container(engine: Engine) -> None:
    assert engine.run("touch", "/data/kept", options=("--volume=named:/data",)).status == 0
    assert engine.run("ls", "/data", options=("--volume=named:/data",)).text == "kept"


def test_a_device_is_made(engine: Engine) -> None:
    done = engine.run(
        "stat", "-c", "%F %t,%T", "/dev/mine", options=("--device=/dev/null:/dev/mine",)
    )
    assert done.text == "character special file 1,3"


def test_masked_and_read_only_paths_hold(engine: Engine) -> None:
    done = engine.run("sh", "-c", "cat /proc/kcore | head -c 1; echo 1 > /proc/sys/vm/swappiness")
    assert done.stdout == ""
    assert "Read-only file system" in done.stderr


# Network


def test_without_a_network_there_is_the_loopback_only(engine: Engine) -> None:
    done = engine.run("ip", "-o", "link")
    assert [line.split(": ")[1] for line in done.lines] == ["lo"]


def test_a_container_can_join_anothers_network_and_processes(engine: Engine, ready: str) -> None:
    joined = (f"--network=container:{ready}", f"--pid=container:{ready}")
    look = ("sh", "-c", "readlink /proc/self/ns/net; readlink /proc/self/ns/pid")
    theirs = engine("exec", ready, *look)
    assert (theirs.status, len(theirs.lines)) == (0, 2)
    assert engine.run(*look, options=joined).lines == theirs.lines


def test_a_sysctl_is_set(engine: Engine) -> None:
    done = engine.run(
        "cat", "/proc/sys/net/ipv4/ip_forward", options=("--sysctl=net.ipv4.ip_forward=1",)
    )
    assert done.text == "1"


# Limits


def test_limits_reach_the_kernel(engine: Engine) -> None:
    name = engine.begin_container(*STAY, options=("--memory=64m", "--pids-limit=20", "--cpus=0.5"))
    limits = engine.limits(name)
    assert (limits.memory_bytes(), limits.pids(), limits.cpus()) == (64 << 20, "20", 0.5)
    assert engine("rm", "--force", name).status == 0


def test_more_memory_than_allowed_ends_the_program(engine: Engine) -> None:
    done = engine.run("dd", "if=/dev/zero", "of=/dev/null", "bs=99M", "count=1", options=("-m16m",))
    assert done.status == KILLED


def test_more_processes_than_allowed_are_not_made(engine: Engine) -> None:
    done = engine.run(
        "sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done", options=("--pids-limit=5",)
    )
    assert done.status != 0
    assert "can't fork" in done.stderr


def test_limits_of_a_running_container_can_be_updated(engine: Engine, ready: str) -> None:
    done = engine("update", "--memory=100m", "--memory-swap=200m", "--cpus=1.5", ready)
    limits = engine.limits(ready)
    assert (done.status, limits.memory_bytes(), limits.cpus()) == (0, 100 << 20, 1.5)


def test_limits_of_files_are_set(engine: Engine) -> None:
    done = engine.run("sh", "-c", "ulimit -n; ulimit -Hn", options=("--ulimit=nofile=100:200",))
    assert done.lines == ["100", "200"]


# A container's life


def test_logs_tell_output_and_errors(engine: Engine) -> None:
    name = engine.begin_container("sh", "-c", "echo out; echo err >&2; exit 4")
    assert engine("wait", name).text == "4"
    done = engine("logs", name)
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_the_state_of_a_running_container_is_told(engine: Engine, ready: str) -> None:
    state = engine.state(ready)
    assert (state["Status"], state["Running"], state["Paused"]) == ("running", True, False)
    assert state["Pid"] > 0


def test_stop_asks_the_program_to_end(engine: Engine, ready: str) -> None:
    assert engine("stop", "--time=60", ready).status == 0
    state = engine.state(ready)
    assert (state["Status"], state["ExitCode"], state["Pid"]) == ("exited", 5, 0)


def test_stop_kills_a_program_that_does_not_end(engine: Engine) -> None:
    name = engine.begin_container("sleep", "1000")
    assert engine("stop", "--time=0", name).status == 0
    assert engine.state(name)["ExitCode"] == KILLED


def test_kill_sends_the_signal_asked_for(engine: Engine) -> None:
    name = engine.begin_ready(
        "sh", "-c", "trap 'exit 9' USR1; echo ready; while :; do sleep 1000 & wait; done"
    )
    assert engine("kill", "--signal=USR1", name).status == 0
    assert engine("wait", name).text == "9"


def test_kill_of_a_stopped_container_is_an_error(engine: Engine) -> None:
    name = engine.begin_container("true")
    engine("wait", name)
    assert engine("kill", name).status != 0


def test_a_stopped_container_can_be_started_again(engine: Engine) -> None:
    name = engine.begin_container("sh", "-c", "echo once; exit 6")
    assert engine("wait", name).text == "6"
    done = engine("start", "--attach", name)
    assert (done.status, done.stdout) == (6, "once\n")


def test_a_restarted_container_is_another_process(engine: Engine, ready: str) -> None:
    before = engine.state(ready)["Pid"]
    assert engine("restart", "--time=60", ready).status == 0
    state = engine.state(ready)
    assert state["Status"] == "running"
    assert state["Pid"] != before


def test_a_running_container_can_be_removed_by_force(engine: Engine, ready: str) -> None:
    limits = engine.limits(ready)
    assert engine("rm", "--force", ready).status == 0
    assert engine("inspect", ready).status != 0
    assert limits.are_gone()


def test_a_paused_container_does_not_run_until_it_is_unpaused(engine: Engine, ready: str) -> None:
    assert engine("pause", ready).status == 0
    assert (engine.state(ready)["Status"], engine.limits(ready).is_frozen()) == ("paused", True)
    assert engine("exec", ready, "true").status != 0
    assert engine("unpause", ready).status == 0
    assert (engine.state(ready)["Status"], engine.limits(ready).is_frozen()) == ("running", False)


def test_a_paused_container_can_be_removed_by_force(engine: Engine, ready: str) -> None:
    engine("pause", ready)
    assert engine("rm", "--force", ready).status == 0


def test_top_shows_the_processes(engine: Engine, ready: str) -> None:
    found = engine("top", ready)
    assert found.status == 0
    assert len(found.lines) == 1 + 2
    assert "trap" in found.stdout


def test_stats_tell_memory_and_processes(engine: Engine, ready: str) -> None:
    found = engine("stats", "--no-stream", "--format={{.MemUsage}};{{.PIDs}}", ready)
    memory, processes = found.text.split(";")
    assert memory[0] in "123456789"
    assert int(processes) == 2


# exec


def test_exec_runs_a_further_process(engine: Engine, ready: str) -> None:
    done = engine("exec", ready, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.status, done.stdout, done.stderr) == (7, "out\n", "err\n")


def test_exec_has_input(engine: Engine, ready: str) -> None:
    assert engine("exec", "-i", ready, "cat", stdin=b"text").stdout == "text"


def test_exec_has_its_own_user_folder_and_environment(engine: Engine, ready: str) -> None:
    done = engine(
        *("exec", "--user=1000:2000", "--workdir=/tmp", "--env=A=b", ready),
        *("sh", "-c", "id -u; id -g; pwd; echo $A"),
    )
    assert done.lines == ["1000", "2000", "/tmp", "b"]


def test_exec_in_the_background_is_done(engine: Engine, ready: str) -> None:
    # A fifo: neither side goes on without the other.
    engine("exec", ready, "mkfifo", "/tmp/fifo")
    done = engine("exec", "--detach", ready, "sh", "-c", "echo done > /tmp/fifo")
    assert done.status == 0
    assert engine("exec", ready, "cat", "/tmp/fifo").text == "done"


def test_exec_of_what_is_not_there_fails(engine: Engine, ready: str) -> None:
    done = engine("exec", ready, "/none")
    assert done.status in {NOT_FOUND, NOT_EXECUTABLE}
    assert "no such file or directory" in (done.stdout + done.stderr).lower()


def test_exec_of_what_cannot_be_executed_is_126(engine: Engine, ready: str) -> None:
    assert engine("exec", ready, "/etc/plain").status == NOT_EXECUTABLE


# Terminals


def test_a_program_gets_a_terminal_of_the_size_of_ours(engine: Engine) -> None:
    command = engine.new("--rm", "-i", "-t", program=TELL_SIZE)
    with engine.terminal(*command, rows=24, columns=80) as terminal:
        terminal.expect("ready")
        terminal.resize_until(33, 77, "size 33 77")
        assert terminal.end() == 7


def test_a_person_can_type(engine: Engine) -> None:
    command = engine.new("--rm", "-i", "-t", program=("sh",))
    with engine.terminal(*command) as terminal:
        terminal.expect("# ")
        terminal.type("tty; echo $((6 * 7))\r")
        terminal.expect("/dev/pts/0")
        terminal.expect("42")
        terminal.type("exit 5\r")
        assert terminal.end() == 5


def test_exec_gets_a_terminal_too(engine: Engine, ready: str) -> None:
    command = engine.command("exec", "-i", "-t", ready, *TELL_SIZE)
    with engine.terminal(*command) as terminal:
        terminal.expect("ready")
        terminal.resize_until(33, 77, "size 33 77")
        assert terminal.end() == 7


def test_a_detached_container_with_a_terminal_can_be_attached_to(engine: Engine) -> None:
    name = engine.begin_container("sh", options=("-i", "-t"))
    with engine.terminal(*engine.command("attach", name)) as terminal:
        terminal.type("echo $((6 * 7)); exit 4\r")
        terminal.expect("42")
        terminal.end()
    assert engine("wait", name).text == "4"
