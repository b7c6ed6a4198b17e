"""What is docker's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from daemons.docker import Docker


def test_the_runtime_is_the_one_under_test(docker: Docker) -> None:
    name = docker.begin_container("sleep", "1000")
    assert docker.inspect(name)["HostConfig"]["Runtime"] == "under-test"
    told = json.loads(docker("info", "--format={{json .Runtimes}}").stdout)
    assert told["under-test"]["path"] == docker.runtime
    assert docker("rm", "--force", name).status == 0


def test_the_default_network_has_an_address(docker: Docker) -> None:
    if docker.no_bridge:
        pytest.skip(f"this kernel lets docker have no bridge: {docker.no_bridge}")
    done = docker.run("ip", "-o", "-4", "addr", options=("--network=bridge",))
    assert "eth0    inet 172.31.255." in done.stdout


def test_an_update_changes_what_it_names_and_nothing_else(docker: Docker) -> None:
    name = docker.begin_container("sleep", "1000", options=("--memory=64m", "--cpus=0.5"))
    assert docker("update", "--pids-limit=33", name).status == 0
    limits = docker.limits(name)
    assert (limits.memory_bytes(), limits.cpus(), limits.pids()) == (64 << 20, 0.5, "33")
    assert docker("rm", "--force", name).status == 0


def test_out_of_memory_is_told(docker: Docker) -> None:
    # The shim watches for it a moment after start only, so the program waits for us; and in a
    # child, because of a container that ends by it docker may hear the end first.
    program = "mkfifo /tmp/go; echo ready; cat /tmp/go; dd if=/dev/zero of=/dev/null bs=99M count=1"
    name = docker.begin_ready("sh", "-c", f"{program}; sleep 1000", options=("--memory=16m",))
    assert docker("exec", name, "sh", "-c", "echo > /tmp/go").status == 0
    kinds = ("--filter=event=oom", f"--filter=container={name}", "--format={{.Action}}")
    with docker.follow("events", "--since=1", *kinds) as events:
        events.expect("oom")
    assert docker("kill", name).status == 0
    assert docker("wait", name).text == "137"
    assert docker.state(name)["OOMKilled"] is True
    assert docker("rm", "--force", name).status == 0


def test_a_healthcheck_is_run_in_the_container(docker: Docker) -> None:
    name = docker.begin_container(
        *("sh", "-c", "touch /tmp/well; sleep 1000"),
        options=("--health-cmd=test -e /tmp/well", "--health-interval=100ms", "--health-retries=1"),
    )
    kinds = ("--filter=event=health_status", f"--filter=container={name}", "--format={{.Action}}")
    with docker.follow("events", "--since=1", *kinds) as events:
        events.expect("health_status: healthy")
        assert docker("exec", name, "rm", "/tmp/well").status == 0
        events.expect("health_status: unhealthy")
    health = docker.state(name)["Health"]
    assert (health["Status"], health["Log"][-1]["ExitCode"]) == ("unhealthy", 1)
    assert docker("rm", "--force", name).status == 0


def test_a_failed_container_is_restarted_as_often_as_asked_for(docker: Docker) -> None:
    name = docker.begin_container("false", options=("--restart=on-failure:2",))
    kinds = ("--filter=event=die", f"--filter=container={name}", "--format={{.Action}}")
    with docker.follow("events", "--since=1", *kinds) as events:
        for _ in range(3):
            events.expect("die\n")
    assert docker.inspect(name)["RestartCount"] == 2


def test_an_init_of_the_engine_is_above_the_program(docker: Docker) -> None:
    done = docker.run("sh", "-c", "cat /proc/1/cmdline; exit 3", options=("--init",))
    assert (done.status, "docker-init" in done.stdout) == (3, True)


def test_a_file_can_be_copied_out(docker: Docker) -> None:
    name = docker.begin_container("sleep", "1000")
    assert docker("cp", f"{name}:/etc/plain", "-").stdout.find("text\n") > 0
    assert docker("rm", "--force", name).status == 0


def test_no_new_privileges_is_set(docker: Docker) -> None:
    done = docker.run(
        "grep", "NoNewPrivs", "/proc/self/status", options=("--security-opt=no-new-privileges",)
    )
    assert done.text.split()[-1] == "1"


def test_what_is_left_of_a_container_with_the_hosts_processes_ends_with_it(docker: Docker) -> None:
    name = docker.begin_container("sh", "-c", "sleep 4321 & exit 0", options=("--pid=host",))
    assert docker("wait", name).text == "0"
    assert "sleep 4321" not in docker.room.must("/bin/busybox", "ps").stdout
