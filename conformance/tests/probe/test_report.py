"""What the probe observes is what Python observes."""

from __future__ import annotations

import json
import os
import platform
import pty
import resource
import signal
import socket
import subprocess
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

    import jsonschema

from conformance.tests.probe.conftest import (
    INFINITY,
    NO_LEAK_CHECK,
    NOBODY,
    SCHEMA,
    SET_MEMPOLICY,
    TIMEOUT_S,
    Probe,
    bits,
    needs_numbers,
    needs_root,
    status_fields,
)


def test_the_report_is_what_its_schema_says(
    probe: Probe, schema: jsonschema.Draft202012Validator
) -> None:
    report = probe.report()
    schema.validate(report)
    assert next(iter(report)) == "probe"


def test_every_member_of_the_schema_is_required_and_no_other_is_allowed() -> None:
    def objects(node: object) -> Iterator[dict[str, Any]]:
        if isinstance(node, dict):
            if isinstance(node.get("properties"), dict):
                yield node
            for value in node.values():
                yield from objects(value)
        elif isinstance(node, list):
            for value in node:
                yield from objects(value)

    for node in objects(json.loads(SCHEMA.read_text())):
        assert node["required"] == list(node["properties"])
        assert node["additionalProperties"] is False


def test_without_arguments_the_probe_reports(probe: Probe) -> None:
    assert probe.act()["argv"] == [str(probe.path)]


WORDS = st.binary(max_size=40).map(lambda word: word.replace(b"\0", b""))
NAMES = st.binary(min_size=1, max_size=8).map(lambda x: x.replace(b"\0", b"").replace(b"=", b""))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arguments=st.lists(st.just(b"+") | WORDS), environment=st.dictionaries(NAMES, WORDS))
def test_arguments_and_environment_are_reported_byte_for_byte(
    static: Probe, arguments: list[bytes], environment: dict[bytes, bytes]
) -> None:
    done = subprocess.run(
        [static.path, "report", *arguments],
        env=environment,
        check=True,
        capture_output=True,
        timeout=TIMEOUT_S,
    )
    assert done.stdout.isascii()
    report = json.loads(done.stdout)
    assert [x.encode("latin-1") for x in report["argv"]] == [
        bytes(static.path),
        b"report",
        *arguments,
    ]
    assert [x.encode("latin-1") for x in report["environ"]] == [
        name + b"=" + value for name, value in environment.items()
    ]


def test_the_report_agrees_with_what_python_sees_of_itself(probe: Probe) -> None:
    report = probe.report()
    assert report["cwd"] == str(Path.cwd())
    assert report["exe"] == str(probe.path)
    assert report["ppid"] == os.getpid()
    assert report["pgid"] == os.getpgrp()
    assert report["sid"] == os.getsid(0)
    assert report["uid"] == dict.fromkeys(("real", "effective", "saved", "filesystem"), os.getuid())
    assert report["gid"] == dict.fromkeys(("real", "effective", "saved", "filesystem"), os.getgid())
    assert report["groups"] == os.getgroups()
    assert report["nice"] == os.getpriority(os.PRIO_PROCESS, 0)
    assert report["hostname"] == socket.gethostname()
    assert report["machine"] == platform.machine()
    assert set(report["affinity"]) == os.sched_getaffinity(0)
    assert report["scheduler"]["policy"] == os.sched_getscheduler(0)
    assert report["root"]["inode"] == Path("/").stat().st_ino
    assert report["root"]["flags"] == os.statvfs("/").f_flag
    assert report["aux"] == {"secure": 0}


@pytest.mark.parametrize(
    "name", ["uid_map", "gid_map", "setgroups", "time_offsets", "oom_score_adj"]
)
def test_files_of_proc_are_reported_as_they_are(probe: Probe, name: str) -> None:
    path = Path("/proc/self", "timens_offsets" if name == "time_offsets" else name)
    expected = path.read_text() if path.exists() else None
    seen = probe.report()[name]
    assert (f"{seen}\n" if name == "oom_score_adj" else seen) == expected


@pytest.mark.parametrize("name", ["cgroup", "mountinfo"])
def test_lines_of_proc_are_reported_as_they_are(probe: Probe, name: str) -> None:
    assert probe.report()[name] == Path("/proc/self", name).read_text("latin-1").splitlines()


def test_namespaces_are_the_links_of_proc(probe: Probe) -> None:
    folder = Path("/proc/self/ns")
    for name, target in probe.report()["namespaces"].items():
        link = folder / name
        assert target == (str(link.readlink()) if link.is_symlink() else None)


def test_resource_limits_are_those_that_python_reads(probe: Probe) -> None:
    limits = probe.report()["rlimits"]
    assert len(limits) == 16
    for name in limits.keys() & set(dir(resource)):
        soft, hard = resource.getrlimit(getattr(resource, name))
        assert limits[name] == {"soft": soft & INFINITY, "hard": hard & INFINITY}, name


def test_resource_limits_that_were_set_are_seen(probe: Probe) -> None:
    limits = probe.report(under=("prlimit", "--nofile=100:200", "--fsize=4096:unlimited"))[
        "rlimits"
    ]
    assert limits["RLIMIT_NOFILE"] == {"soft": 100, "hard": 200}
    assert limits["RLIMIT_FSIZE"]["soft"] == 4096


def test_the_system_calls_agree_with_proc_status(probe: Probe) -> None:
    report = probe.report()
    fields = status_fields(report)
    for kind, name in (
        ("effective", "CapEff"),
        ("permitted", "CapPrm"),
        ("inheritable", "CapInh"),
        ("bounding", "CapBnd"),
        ("ambient", "CapAmb"),
    ):
        assert report["capabilities"][kind] == bits(fields[name])
    assert fields["Uid"].split() == [str(x) for x in report["uid"].values()]
    assert fields["Gid"].split() == [str(x) for x in report["gid"].values()]
    assert int(fields["Umask"], 8) == report["umask"]
    assert int(fields["Pid"]) == report["pid"]
    assert int(fields["Seccomp"]) == report["seccomp_mode"]
    assert fields["NoNewPrivs"] == str(int(report["no_new_privileges"]))


@needs_root
def test_ids_and_groups_are_seen_and_root_s_capabilities_are_gone(probe: Probe) -> None:
    # Executed through a descriptor: nobody may not enter the folders of the tests.
    binary = os.open(probe.path, os.O_RDONLY)
    try:
        report = probe.report(
            executable=f"/proc/self/fd/{binary}",
            pass_fds=[binary],
            user=NOBODY,
            group=65533,
            extra_groups=[7, 4000000000, 3],
            env=NO_LEAK_CHECK,
        )
    finally:
        os.close(binary)
    assert set(report["uid"].values()) == {NOBODY}
    assert set(report["gid"].values()) == {65533}
    assert sorted(report["groups"]) == [3, 7, 4000000000]
    assert report["capabilities"]["effective"] == []
    assert report["capabilities"]["bounding"] != []


@pytest.mark.parametrize("mask", [0, 0o027, 0o777])
def test_the_umask_is_seen(probe: Probe, mask: int) -> None:
    assert probe.report(umask=mask)["umask"] == mask


@pytest.mark.parametrize(
    ("under", "path", "expected"),
    [
        (("nice", "-n", "5"), ("nice",), 5),
        (("nice", "-n", "5"), ("scheduler", "nice"), 5),
        (("ionice", "-c", "2", "-n", "6"), ("io_priority", "class"), 2),
        (("ionice", "-c", "2", "-n", "6"), ("io_priority", "level"), 6),
        (("ionice", "-c", "3"), ("io_priority", "group", "class"), 3),
        (("chrt", "--batch", "0"), ("scheduler", "policy"), os.SCHED_BATCH),
        (("setarch", "-R"), ("personality",), 0x0040000),
        (("setpriv", "--no-new-privs"), ("no_new_privileges",), True),
        (("setpriv", "--pdeathsig", "HUP"), ("parent_death_signal",), signal.SIGHUP),
    ],
)
def test_what_a_process_inherits_is_seen(
    static: Probe, under: tuple[str, ...], path: tuple[str, ...], expected: object
) -> None:
    seen: Any = static.report(under=under, process_group=0)
    for key in path:
        seen = seen[key]
    assert seen == expected


@pytest.mark.parametrize(
    ("option", "field", "number"),
    [
        ("--ignore-signal=HUP", "ignored", signal.SIGHUP),
        ("--block-signal=USR1", "blocked", signal.SIGUSR1),
    ],
)
def test_the_signals_that_are_ignored_and_blocked_are_seen(
    static: Probe, option: str, field: str, number: int
) -> None:
    # By the difference: what else is in the mask is our caller's, or the C library's own.
    before, after = (
        int(static.report(under=("env", *options))["signals"][field], 16)
        for options in ((), (option,))
    )
    assert before ^ after == 1 << number - 1


@needs_root
def test_securebits_and_a_smaller_bounding_set_are_seen(probe: Probe) -> None:
    report = probe.report(
        under=("setpriv", "--securebits=+noroot", "--bounding-set=-net_raw"), env=NO_LEAK_CHECK
    )
    assert report["secure_bits"] == 1
    assert 13 not in report["capabilities"]["bounding"]


def test_one_cpu_is_seen_where_one_is_allowed(probe: Probe) -> None:
    cpu = max(os.sched_getaffinity(0))
    assert probe.report(under=("taskset", "-c", str(cpu)))["affinity"] == [cpu]


@needs_numbers
def test_a_memory_policy_is_seen(probe: Probe) -> None:
    local = 4
    done, report = probe.run("syscall", str(SET_MEMPOLICY), str(local), "0", "0", "+", "report")
    assert done["ok"], "set_mempolicy(MPOL_LOCAL)"
    assert report["memory_policy"] == {"mode": local, "flags": 0, "nodes": []}


def test_open_descriptors_are_listed_and_none_of_the_probe_s_own(
    probe: Probe, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    with path.open("ab") as file:
        report = probe.report(pass_fds=[file.fileno()])
        number = file.fileno()
    assert [x["fd"] for x in report["fds"]] == [0, 1, 2, number]
    entry = report["fds"][-1]
    assert entry["target"] == str(path)
    assert entry["flags"] & os.O_APPEND
    assert entry["cloexec"] is False


def test_a_closed_descriptor_is_not_listed(probe: Probe) -> None:
    report = probe.report(under=("sh", "-c", 'exec "$0" "$@" <&- 2>&-'))
    assert [x["fd"] for x in report["fds"]] == [1]
    assert report["terminals"]["0"]["tty"] is False


def test_a_controlling_terminal_is_described(probe: Probe) -> None:
    ours, theirs = pty.openpty()
    try:
        termios.tcsetwinsize(theirs, (43, 132))
        report = probe.report(under=("setsid", "-c"), stdin=theirs, start_new_session=False)
        device = os.fstat(theirs).st_rdev
        assert report["terminals"]["0"] == {
            "tty": True,
            "name": os.ttyname(theirs),
            "rows": 43,
            "columns": 132,
            "device": f"{os.major(device)}:{os.minor(device)}",
            "foreground_pgid": report["pid"],
        }
    finally:
        os.close(ours)
        os.close(theirs)
    assert report["controlling_terminal"] is True
    assert report["terminals"]["1"] == {
        "tty": False,
        **dict.fromkeys(("name", "rows", "columns", "device", "foreground_pgid")),
    }


def test_a_session_without_a_terminal_has_none(probe: Probe) -> None:
    assert probe.report(start_new_session=True)["controlling_terminal"] is False


def test_clocks_run_between_two_readings(probe: Probe, tmp_path: Path) -> None:
    log = tmp_path / "log"
    before = time.monotonic_ns()
    probe.act("log", "a", log)
    after = time.monotonic_ns()
    line = json.loads(log.read_text())
    assert before < line["time_ns"] < line["report"]["clock"]["monotonic_ns"] < after
    assert line["boottime_ns"] < line["report"]["clock"]["boottime_ns"]
