"""What is podman's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemons.podman import Podman


def test_the_runtime_is_the_one_under_test(podman: Podman) -> None:
    name = podman.begin_container("sleep", "1000")
    assert podman.inspect(name)["OCIRuntime"] == podman.runtime
    assert podman("rm", "--force", "--time=0", name).status == 0


def test_exec_of_what_is_not_there_is_127(podman: Podman) -> None:
    name = podman.begin_container("sleep", "1000")
    assert podman("exec", name, "/none").status == 127
    assert podman("rm", "--force", "--time=0", name).status == 0


def test_privileged_gives_the_hosts_devices_and_all_capabilities(podman: Podman) -> None:
    done = podman.run(
        "sh", "-c", "grep CapEff /proc/self/status; ls /dev", options=("--privileged",)
    )
    mine = podman.room.must("grep", "CapEff", "/proc/self/status")
    assert done.lines[0] == mine.lines[0]
    assert {"kmsg", "null", "tty0"} & set(done.lines) == {"kmsg", "null"} | (
        {"tty0"} & set(podman.room.must("ls", "/dev").lines)
    )


def test_a_user_namespace_maps_root_to_a_user_of_the_host(podman: Podman) -> None:
    maps = ("--uidmap=0:100000:65536", "--gidmap=0:100000:65536")
    done = podman.run("sh", "-c", "id -u; cat /proc/self/uid_map; touch /mine", options=maps)
    assert (done.status, done.lines[0]) == (0, "0")
    assert done.lines[1].split() == ["0", "100000", "65536"]


def test_a_created_container_runs_once_it_is_started(podman: Podman) -> None:
    podman.room.must(*podman.new("--name=later", program=("sh", "-c", "exit 3"), verb="create"))
    assert podman("init", "later").status == 0
    assert podman.state("later")["Status"] == "initialized"
    assert podman("start", "--attach", "later").status == 3
