"""A guest is what it says it is: before anything is believed that was measured in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from seatrial.vm.guests import Guest

RELEASES = {"bookworm": "12", "trixie": "13"}
CONTROLLERS = {"cpu", "cpuset", "hugetlb", "io", "memory", "pids", "rdma"}


def test_it_runs_the_release_that_it_is_said_to(host: Any, guest: Guest) -> None:
    assert host.system_info.distribution == "debian"
    assert host.system_info.release.split(".")[0] == RELEASES[guest.suite]


def test_the_kernel_was_given_the_command_line_of_the_guest(host: Any, guest: Guest) -> None:
    given = host.file("/proc/cmdline").content_string.split()
    assert set(guest.command_line.split()) <= set(given)


def test_cgroups_are_mounted_in_the_mode_of_the_guest(host: Any, guest: Guest) -> None:
    top = host.mount_point("/sys/fs/cgroup")
    unified = host.mount_point("/sys/fs/cgroup/unified")
    found = {
        (True, False): "v2",
        (False, True): "hybrid",
        (False, False): "v1",
    }[top.filesystem == "cgroup2", unified.exists]
    assert found == guest.cgroup_mode


def test_all_controllers_are_there(host: Any, guest: Guest) -> None:
    if guest.cgroup_mode == "v2":
        found = host.file("/sys/fs/cgroup/cgroup.controllers").content_string.split()
        assert set(found) >= CONTROLLERS
    else:
        table = host.file("/proc/cgroups").content_string.splitlines()[1:]
        found = [line.split()[0] for line in table if line.split()[1] != "0"]
        assert set(found) >= CONTROLLERS - {"io"} | {"blkio", "devices", "freezer"}


def test_time_is_kept_by_a_source_that_is_told(host: Any) -> None:
    path = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
    assert host.file(path).content_string.strip() in {"kvm-clock", "tsc", "hpet", "acpi_pm"}


@pytest.mark.parametrize("package", ["runc", "crun", "podman", "busybox-static"])
def test_debians_runtimes_are_installed(host: Any, package: str) -> None:
    assert host.package(package).is_installed


def test_an_unprivileged_user_may_make_user_namespaces(host: Any) -> None:
    assert host.run("sudo -u vagrant unshare --user true").rc == 0


def test_there_is_room_for_results(host: Any) -> None:
    free_kib = int(host.check_output("df --output=avail / | tail -n 1"))
    assert free_kib > 1 << 20


def test_the_commands_of_the_project_run(host: Any) -> None:
    assert "seatrial" in host.check_output("seatrial --version")
    assert json.loads(host.check_output("seatrial-oci features"))["ociVersionMax"]
    known = host.check_output("seatrial runtimes")
    for runtime in ("crun", "runc", "seatrial-oci"):
        (line,) = (each for each in known.splitlines() if each.startswith(runtime))
        assert "not on this machine" not in line


def test_nothing_but_ours_asks_for_the_processor(host: Any) -> None:
    timers = host.check_output("systemctl list-timers --no-legend --no-pager || true")
    assert "apt-daily" not in timers
