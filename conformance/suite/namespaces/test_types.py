"""config-linux.md, "Namespaces": what each type keeps apart."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import socket
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance import links, namespaces
from seatrial.conformance.config import with_namespaces
from seatrial.conformance.errors import HarnessError
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.namespaces import TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

_libc = ctypes.CDLL(None, use_errno=True)
_IPC_CREAT, _IPC_RMID = 0o1000, 0
_KEY = 0x5EA7
_HOST_ID = 100_000


def with_type(harness: Harness, kind: str, *act: str) -> Config:
    """Return a config with new namespaces of one type, and of those that a container needs.

    Without a pid namespace beside a time namespace: crun before 1.8.4 goes wrong about the pid of
    its container then, and ends the host's process of that number.
    """
    others = {"mount"} if kind == "time" else {"mount", "pid"}
    return with_namespaces(harness.config(*act), sorted({*others, kind}))


def with_user(harness: Harness, *act: str) -> Config:
    """Return a config with a user namespace in which root is somebody else on the host."""
    config = with_type(harness, "user", *act)
    mapping = [{"containerID": 0, "hostID": _HOST_ID, "size": 1000}]
    config["linux"] |= {"uidMappings": mapping, "gidMappings": mapping}
    return config


def as_administrator(config: Config) -> Config:
    """Let the program of ``config`` set host names and mount."""
    sets = ("bounding", "effective", "permitted")
    config["process"]["capabilities"] = {name: ["CAP_SYS_ADMIN"] for name in sets}
    return config


@contextlib.contextmanager
def message_queue() -> Iterator[str]:
    """Give the key of a System V message queue of the runtime's, as /proc/sysvipc shows it."""
    queue = _libc.msgget(_KEY, _IPC_CREAT | 0o600)
    if queue < 0:
        raise HarnessError(f"msgget: {os.strerror(ctypes.get_errno())}")
    try:
        yield str(_KEY)
    finally:
        _libc.msgctl(queue, _IPC_RMID, None)


def keys(table: str) -> list[str]:
    """Return the keys in a table of /proc/sysvipc (proc(5))."""
    return [line.split()[0] for line in table.splitlines()[1:]]


@requirement("linux.namespaces.pid-supported")
def test_processes_see_only_those_of_their_own_pid_namespace(harness: Harness) -> None:
    config = with_type(harness, "pid", "list", "/proc", "+", "report")
    with harness.created(config) as container:
        assert container.start().ok
        entries = container.read_line()["entries"]
        assert [name for name in entries if name.isdecimal()] == ["1"]
        report = container.report()
        assert report["pid"] == 1
        assert report["namespaces"]["pid"] != namespaces.current("pid")


@requirement("linux.namespaces.network-supported")
@needs("netdev-dummy")
def test_the_container_has_a_network_stack_of_its_own(harness: Harness) -> None:
    config = with_type(harness, "network", "read", "/proc/self/net/dev", "+", "report")
    with links.pair("outside0"), harness.created(config) as container:
        assert container.start().ok
        table = container.read_line()["content"]
        devices = {line.partition(":")[0].strip() for line in table.splitlines()[2:]}
        assert "lo" in devices
        assert "outside0" not in devices
        assert container.report()["namespaces"]["net"] != namespaces.current("net")


@needs("host-kernel")
@requirement("linux.namespaces.mount-supported")
def test_what_a_program_mounts_is_seen_inside_only(harness: Harness) -> None:
    config = harness.config("mount", "inside", "/tmp", "tmpfs", "0", "", "+", "catch")  # noqa: S108
    with harness.running(as_administrator(config)) as container:
        seen = [each.target for each in namespaces.mounts() if each.source == "inside"]
        assert seen == []
        assert container.namespace("mnt") != namespaces.current("mnt")
        with open(f"/proc/{container.pid}/mountinfo", encoding="latin-1") as lines:
            inside = [namespaces.Mount.parse(line.rstrip("\n")) for line in lines]
        assert "inside" in [each.source for each in inside]


@requirement("linux.namespaces.ipc-supported")
def test_system_v_ipc_of_the_runtime_is_not_seen_inside(harness: Harness) -> None:
    config = with_type(harness, "ipc", "read", "/proc/sysvipc/msg", "+", "report")
    with message_queue() as key, harness.created(config) as container:
        assert container.start().ok
        assert key not in keys(container.read_line().get("content", ""))
        assert container.report()["namespaces"]["ipc"] != namespaces.current("ipc")


@requirement("linux.namespaces.uts-supported")
def test_a_host_name_that_a_program_sets_is_its_own(harness: Harness) -> None:
    before = socket.gethostname(), platform.uname().node
    config = with_type(harness, "uts", "sethostname", "inside", "+", "report")
    report = harness.run(as_administrator(config))
    assert report["hostname"] == "inside"
    assert (socket.gethostname(), platform.uname().node) == before


@needs("host-kernel")
@requirement("linux.namespaces.user-supported")
def test_ids_inside_are_others_outside(harness: Harness) -> None:
    with harness.running(with_user(harness, "stat", "/", "+", "pause")) as container:
        status = os.stat(f"/proc/{container.pid}")
        assert (status.st_uid, status.st_gid) == (_HOST_ID, _HOST_ID)
        assert container.namespace("user") != namespaces.current("user")


@requirement("linux.namespaces.user-supported")
def test_a_program_has_its_id_of_the_user_namespace(harness: Harness) -> None:
    report = harness.run(with_user(harness))
    assert report["uid"]["effective"] == report["gid"]["effective"] == 0


@requirement("linux.namespaces.cgroup-supported")
def test_the_cgroup_tree_begins_at_the_containers_own_cgroup(harness: Harness) -> None:
    config = with_type(harness, "cgroup")
    path = config["linux"]["cgroupsPath"] = f"{harness.cgroup}/{harness.new_id()}"
    report = harness.run(config)
    assert report["namespaces"]["cgroup"] != namespaces.current("cgroup")
    # Hierarchies that the runtime does not use are seen from where it is itself.
    seen = {line.rpartition(":")[2] for line in report["cgroup"]}
    assert "/" in seen
    assert not any(path.strip("/") in each for each in seen)


@requirement("linux.namespaces.time-supported")
def test_the_container_has_a_time_namespace_of_its_own(harness: Harness) -> None:
    report = harness.run(with_type(harness, "time"))
    assert report["namespaces"]["time"] != namespaces.current("time")


@requirement("linux.namespaces.types-are-supported")
@pytest.mark.parametrize("kind", [each for each in TYPES if each != "time"])
def test_each_type_of_the_first_releases_is_supported(harness: Harness, kind: str) -> None:
    config = with_user(harness) if kind == "user" else with_type(harness, kind)
    link = TYPES[kind][0]
    assert harness.run(config)["namespaces"][link] != namespaces.current(link)
