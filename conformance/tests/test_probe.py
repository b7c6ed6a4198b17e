"""The probe: it observes what Python observes, does what it is told, and survives an empty root."""

from __future__ import annotations

import errno
import json
import os
import platform
import pty
import resource
import select
import shutil
import signal
import socket
import stat
import subprocess
import termios
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seatrial.conformance import facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONFORMANCE = Path(__file__).resolve().parents[1]
SOURCES = sorted((CONFORMANCE / "csrc/probe").glob("*.c"))
SCHEMA = CONFORMANCE / "src/seatrial/conformance/schema/probe.json"

CFLAGS = (
    *("-std=c11", "-D_GNU_SOURCE", "-O2"),
    *("-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror"),
)
BUILDS = {
    "static": ("-static",),
    "sanitized": ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
}

TIMEOUT_S = 30
INFINITY = 2**64 - 1
NOBODY = 65534

# The leak checker wants /proc and the right to trace itself, which some acts give up.
NO_LEAK_CHECK = {"ASAN_OPTIONS": "detect_leaks=0"}

# Numbers of system calls: getpid, set_mempolicy.
GETPID, SET_MEMPOLICY = {"x86_64": (39, 238), "aarch64": (172, 237)}.get(
    platform.machine(), (-1, -1)
)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this")
needs_numbers = pytest.mark.skipif(GETPID < 0, reason="no system call numbers for this machine")

Line = dict[str, Any]


class Probe(NamedTuple):
    """A built probe."""

    path: Path

    def run(
        self,
        *acts: str | bytes | Path,
        under: tuple[str, ...] = (),
        status: int = 0,
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> list[Line]:
        """Return the lines that the probe prints; ``under`` is a program that starts it."""
        done = subprocess.run(
            [*under, self.path, *acts],
            check=False,
            timeout=TIMEOUT_S,
            env={**os.environ, **(env or {})},
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **options},
        )
        assert done.returncode == status
        return [json.loads(line) for line in (done.stdout or b"").splitlines()]

    def act(self, *act: str | bytes | Path, **options: Any) -> Line:
        """Return the one line that one act prints."""
        (line,) = self.run(*act, **options)
        return line

    def report(self, **options: Any) -> Line:
        """Return a report."""
        return self.act("report", **options)

    @contextmanager
    def started(
        self, *acts: str | Path, under: tuple[str, ...] = ()
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start the probe and kill it at the end."""
        with subprocess.Popen(
            [*under, self.path, *acts],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, **NO_LEAK_CHECK},
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def next_line(process: subprocess.Popen[bytes]) -> Line:
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], TIMEOUT_S)[0], "the probe keeps silent"
    line: Line = json.loads(process.stdout.readline())
    return line


def build(kind: str, folder: Path) -> Probe:
    path = folder / "probe"
    subprocess.run(["cc", *CFLAGS, *BUILDS[kind], "-o", path, *SOURCES], check=True)
    return Probe(path)


@pytest.fixture(scope="session")
def static(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return build("static", tmp_path_factory.mktemp("static"))


@pytest.fixture(scope="session")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return build("sanitized", tmp_path_factory.mktemp("sanitized"))


@pytest.fixture(params=BUILDS)
def probe(request: pytest.FixtureRequest) -> Probe:
    built = request.getfixturevalue(request.param)
    assert isinstance(built, Probe)
    return built


@pytest.fixture(scope="session")
def schema() -> jsonschema.Draft202012Validator:
    document = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


@pytest.fixture
def empty_root(static: Probe, tmp_path: Path) -> Path:
    """Return a root file system in which there is nothing but the probe."""
    root = tmp_path / "root"
    root.mkdir()
    shutil.copy(static.path, root / "probe")
    return root


def status_fields(report: Line) -> dict[str, str]:
    return {name: value.strip() for name, value in (x.split(":", 1) for x in report["status"])}


def bits(mask: str) -> list[int]:
    return [number for number in range(64) if int(mask, 16) >> number & 1]


# --- The report --------------------------------------------------------------------------------


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


# --- An empty root -----------------------------------------------------------------------------


@needs_root
def test_in_an_empty_root_what_can_t_be_observed_is_null(
    empty_root: Path, schema: jsonschema.Draft202012Validator
) -> None:
    report = Probe(Path("/probe")).report(under=("chroot", str(empty_root)))
    schema.validate(report)
    unseen = {key for key, value in report.items() if value is None}
    assert unseen == {
        *("exe", "oom_score_adj", "time_offsets", "uid_map", "gid_map", "setgroups"),
        *("cgroup", "mountinfo", "status", "devices", "apparmor"),
    }
    assert set(report["namespaces"].values()) == {None}
    assert set(report["signals"].values()) == {None}
    assert report["cwd"] == "/"
    assert report["seccomp_mode"] == 0
    assert [x["target"] for x in report["fds"]] == [None, None, None]
    assert 0 in report["capabilities"]["bounding"]


@needs_root
def test_every_act_works_in_an_empty_root(empty_root: Path) -> None:
    lines = Probe(Path("/probe")).run(
        *("write", "/a", "x", "+", "append", "/a", "y", "+", "read", "/a", "+"),
        *("open", "/a", "rw", "+", "stat", "/a", "+", "list", "/", "+"),
        *("symlink", "a", "/b", "+", "readlink", "/b", "+", "unlink", "/b", "+"),
        *("mkdir", "/d", "+", "mknod", "/f", "p", "0", "0", "+", "chown", "/a", "1", "2", "+"),
        *("chdir", "/d", "+", "chroot", "/", "+", "statvfs", "/", "+", "kill", "0", "0", "+"),
        *("raise", "0", "+", "expect-fd", "0", "9", "+", "wait", "/a", "+", "say", "x", "+"),
        *("spawn", "/probe", "say", "x", "+", "log", "t", "/no/log", "/log", "+"),
        *("hook", "t", "/log", "+", "mark", "t", "/log", "+", "exit", "0"),
        under=("chroot", str(empty_root)),
        process_group=0,
    )
    assert [line for line in lines if not line["ok"]] == []
    assert len((empty_root / "log").read_text().splitlines()) == 3


@needs_root
def test_a_working_directory_outside_the_root_is_seen(empty_root: Path, static: Probe) -> None:
    _, report = static.run("chroot", empty_root, "+", "report", cwd="/usr")
    assert report["cwd"] == "(unreachable)/usr"


@needs_root
def test_devices_are_listed_two_levels_deep(
    empty_root: Path, static: Probe, schema: jsonschema.Draft202012Validator
) -> None:
    dev = empty_root / "dev"
    (dev / "pts/deep").mkdir(parents=True)
    (dev / "pts/deep/hidden").touch()
    os.mkfifo(dev / "pts/fifo")
    os.mknod(dev / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    os.chown(dev / "null", 5, 6)
    (dev / "null").chmod(0o4666)
    (dev / "fd").symlink_to("/proc/self/fd")
    _, report = static.run("chroot", empty_root, "+", "report")
    schema.validate(report)
    devices = {entry.pop("path"): entry for entry in report["devices"]}
    assert {path: entry["type"] for path, entry in devices.items()} == {
        "/dev/fd": "symlink",
        "/dev/null": "char",
        "/dev/pts": "directory",
        "/dev/pts/deep": "directory",
        "/dev/pts/fifo": "fifo",
    }
    assert devices["/dev/fd"]["target"] == "/proc/self/fd"
    assert devices["/dev/null"] == {
        "type": "char",
        "mode": 0o4666,
        "uid": 5,
        "gid": 6,
        "major": 1,
        "minor": 3,
        "target": None,
    }


# --- Acts on files -----------------------------------------------------------------------------


def test_write_append_and_read(probe: Probe, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("longer than what is written")
    lines = probe.run(
        *("write", path, b"\xff\n"),
        *("+", "append", path, '"\\'),
        *("+", "read", path),
    )
    assert path.read_bytes() == b'\xff\n"\\'
    assert lines == [
        {"act": "write", "ok": True},
        {"act": "append", "ok": True},
        {"act": "read", "ok": True, "content": 'ÿ\n"\\'},
    ]


def test_read_returns_64_kibibytes_at_most(probe: Probe) -> None:
    assert probe.act("read", "/dev/zero")["content"] == "\0" * 65536


def test_new_files_obey_the_umask(probe: Probe, tmp_path: Path) -> None:
    (line,) = probe.run("write", tmp_path / "file", "", umask=0o022)
    assert line["ok"]
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


@pytest.mark.parametrize("mode", ["r", "w", "rw"])
def test_open(probe: Probe, mode: str) -> None:
    assert probe.act("open", "/dev/null", mode) == {"act": "open", "ok": True}


def test_stat_does_not_follow_links(probe: Probe, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("nowhere")
    seen = link.lstat()
    assert probe.act("stat", link) == {
        "act": "stat",
        "ok": True,
        "type": "symlink",
        "mode": 0o777,
        "uid": seen.st_uid,
        "gid": seen.st_gid,
        "size": 7,
        "major": 0,
        "minor": 0,
        "inode": seen.st_ino,
        "device": f"{os.major(seen.st_dev)}:{os.minor(seen.st_dev)}",
    }


def test_stat_of_a_device_has_its_numbers(probe: Probe) -> None:
    line = probe.act("stat", "/dev/null")
    assert (line["type"], line["major"], line["minor"]) == ("char", 1, 3)


def test_stat_target_is_of_what_a_link_leads_to(probe: Probe, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/dev/null")
    line = probe.act("stat-target", link)
    assert (line["type"], line["major"], line["minor"]) == ("char", 1, 3)


def test_list_sorts_bytes(probe: Probe, tmp_path: Path) -> None:
    names = [b"b", b"a", b"\xff", b"\xc3\xa4", b"Z", b".hidden"]
    for name in names:
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).touch()
    entries = probe.act("list", tmp_path)["entries"]
    assert [entry.encode("latin-1") for entry in entries] == sorted(names)


def test_list_of_an_empty_folder_has_no_entries(probe: Probe, tmp_path: Path) -> None:
    assert probe.act("list", tmp_path)["entries"] == []


def test_folders_and_links_are_made_and_removed(probe: Probe, tmp_path: Path) -> None:
    link = tmp_path / "link"
    made = probe.run("mkdir", tmp_path / "d", "+", "symlink", "d", link, "+", "readlink", link)
    assert (tmp_path / "d").is_dir()
    assert made[-1] == {"act": "readlink", "ok": True, "target": "d"}
    assert probe.act("unlink", link)["ok"]
    assert not link.is_symlink()


@needs_root
@pytest.mark.parametrize(
    ("letter", "kind"), [("c", stat.S_ISCHR), ("b", stat.S_ISBLK), ("p", stat.S_ISFIFO)]
)
def test_mknod(probe: Probe, tmp_path: Path, letter: str, kind: Any) -> None:
    assert probe.act("mknod", tmp_path / "node", letter, "1", "3", umask=0)["ok"]
    made = (tmp_path / "node").stat()
    assert kind(made.st_mode)
    assert stat.S_IMODE(made.st_mode) == 0o666
    assert made.st_rdev == (0 if letter == "p" else os.makedev(1, 3))


@needs_root
def test_mount_and_umount(probe: Probe, tmp_path: Path) -> None:
    lines = probe.run(
        *("mount", "seatrial", tmp_path, "tmpfs", "1", "size=64k"),
        *("+", "write", tmp_path / "file", "x"),
        *("+", "statvfs", tmp_path),
        *("+", "mount", "", tmp_path, "", "0x20", ""),
        *("+", "write", tmp_path / "file", "x"),
        *("+", "umount", tmp_path),
        *("+", "list", tmp_path),
        under=("unshare", "--mount"),
    )
    assert lines[1] == {"act": "write", "ok": False, "errno": "EROFS"}
    assert lines[2]["read_only"] is True
    assert lines[2]["flags"] & os.ST_RDONLY
    assert [lines[x]["ok"] for x in (0, 3, 4, 5)] == [True] * 4
    assert lines[6]["entries"] == []


@needs_root
def test_chown_leaves_an_id_of_minus_one_as_it_is(probe: Probe, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    assert probe.act("chown", path, "4294967294", "-1")["ok"]
    assert (path.stat().st_uid, path.stat().st_gid) == (4294967294, os.getgid())


def test_chdir_and_the_cwd_of_a_report(probe: Probe) -> None:
    moved, report = probe.run("chdir", "/usr", "+", "report", "+", "say", "no")
    assert moved == {"act": "chdir", "ok": True}
    assert report["cwd"] == "/usr"


@needs_root
def test_chroot(probe: Probe, tmp_path: Path) -> None:
    (tmp_path / "inside").touch()
    lines = probe.run("chroot", tmp_path, "+", "list", "/", env=NO_LEAK_CHECK)
    assert lines[1]["entries"] == ["inside"]


def test_expect_fd(probe: Probe) -> None:
    assert probe.act("expect-fd", "0", "77")["fds"] == {"0": True, "77": False}


def test_write_and_wait_meet_at_a_fifo(probe: Probe, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with probe.started("wait", fifo) as reader:
        assert probe.act("write", fifo, "hello")["ok"]
        assert next_line(reader) == {"act": "wait", "ok": True, "content": "hello"}
        assert reader.wait(TIMEOUT_S) == 0


# --- Acts on processes -------------------------------------------------------------------------


@needs_root
def test_sethostname(probe: Probe) -> None:
    _, report = probe.run("sethostname", "trial", "+", "report", under=("unshare", "--uts"))
    assert report["hostname"] == "trial"
    assert socket.gethostname() != "trial"


@needs_root
def test_setuid(probe: Probe) -> None:
    _, report = probe.run("setuid", str(NOBODY), "+", "report", env=NO_LEAK_CHECK)
    assert set(report["uid"].values()) == {NOBODY}


def test_a_signal_that_kills_leaves_no_line(probe: Probe) -> None:
    assert probe.run("raise", "15", "+", "say", "x", status=-15) == []


def test_a_signal_that_is_ignored_leaves_one(probe: Probe) -> None:
    lines = probe.run("raise", "1", "+", "say", "x", under=("env", "--ignore-signal=HUP"))
    assert [line["ok"] for line in lines] == [True, True]


@needs_numbers
def test_syscall(probe: Probe) -> None:
    line, report = probe.run("syscall", str(GETPID), "18446744073709551615", "+", "report")
    assert line == {"act": "syscall", "ok": True, "result": report["pid"]}


def test_exit_ends_the_sequence(probe: Probe) -> None:
    assert probe.act("exit", "7", "+", "say", "x", status=7) == {
        "act": "exit",
        "ok": True,
        "code": 7,
    }


def test_say(probe: Probe) -> None:
    assert probe.act("say", b"\x7f\x80 \t")["text"] == "\x7f\x80 \t"


def test_pause_waits_for_a_signal(probe: Probe) -> None:
    with probe.started("pause") as process:
        assert next_line(process) == {"act": "pause", "ok": True, "pid": process.pid}
        process.terminate()
        assert process.wait(TIMEOUT_S) == -signal.SIGTERM


def test_kill_reaches_another_process(probe: Probe) -> None:
    with probe.started("pause") as process:
        next_line(process)
        assert probe.act("kill", str(process.pid), "15")["ok"]
        assert process.wait(TIMEOUT_S) == -signal.SIGTERM


def test_catch_prints_every_signal_that_can_be_caught(probe: Probe) -> None:
    with probe.started("catch") as process:
        assert next_line(process) == {"act": "catch", "ok": True, "pid": process.pid}
        for number in sorted({*range(1, 65)} - {signal.SIGKILL, signal.SIGSTOP}):
            os.kill(process.pid, number)
            assert next_line(process) == {
                "act": "caught",
                "signal": number,
                "sender": os.getpid(),
            }


def test_await_goes_on_once_a_signal_has_come(probe: Probe) -> None:
    with probe.started("await", "+", "say", "on") as process:
        assert next_line(process) == {"act": "await", "ok": True}
        os.kill(process.pid, signal.SIGUSR1)
        assert next_line(process) == {"act": "await", "ok": True}
        assert next_line(process)["text"] == "on"


@needs_root
def test_catch_works_as_the_init_of_a_pid_namespace(static: Probe) -> None:
    with static.started("catch", under=("unshare", "--pid", "--fork", "--kill-child")) as process:
        assert next_line(process)["pid"] == 1
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGRTMIN):
            os.kill(int(children), number)
            assert next_line(process) == {"act": "caught", "signal": number, "sender": 0}


def test_a_forked_report_is_that_of_a_child(probe: Probe) -> None:
    child, parent = probe.run("fork-report", "+", "report")
    assert child["ppid"] == parent["pid"]
    assert child["fds"] == parent["fds"]


def test_an_orphan_lives_on_in_a_session_of_its_own(probe: Probe) -> None:
    with probe.started("orphan") as process:
        orphan = next_line(process)["pid"]
        assert process.wait(TIMEOUT_S) == 0
        assert os.getsid(orphan) == orphan != process.pid
        os.kill(orphan, signal.SIGKILL)
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], TIMEOUT_S)[0]
        assert process.stdout.read() == b"", "the stream ends with the orphan"


def test_spawn_captures_both_streams(probe: Probe) -> None:
    script = 'printf "%s\\377" "$1"; printf err >&2; exit 3'
    lines = probe.run("spawn", "sh", "-c", script, "sh", "out", "+", "say", "x")
    assert lines[0] == {
        "act": "spawn",
        "ok": True,
        "status": 3,
        "stdout": "out\xff",
        "stderr": "err",
    }
    assert lines[1]["text"] == "x"


def test_spawn_says_which_signal_killed(probe: Probe) -> None:
    assert probe.act("spawn", probe.path, "raise", "9")["status"] == -9


def test_spawn_reads_everything_and_keeps_16_kibibytes(probe: Probe) -> None:
    script = "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero"
    line = probe.act("spawn", "sh", "-c", script)
    assert line["stdout"] == line["stderr"] == "\0" * 16384
    assert line["status"] == 0


def test_spawn_does_not_wait_for_what_its_child_left_behind(probe: Probe) -> None:
    line = probe.act("spawn", probe.path, "orphan")
    orphan = json.loads(line["stdout"])["pid"]
    os.kill(orphan, signal.SIGKILL)
    assert line["status"] == 0


def test_spawn_works_with_standard_streams_closed(probe: Probe, tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = 'exec "$0" "$@" <&- >&- 2>&-'
    probe.run(
        *("spawn", "sh", "-c", f"echo out >{log}; echo err >&2; exit 0", "+", "fork-report"),
        *("+", "mark", "end", log),
        under=("sh", "-c", script),
    )
    first, second = log.read_text().splitlines()
    assert first == "out"
    assert json.loads(second)["tag"] == "end"


@pytest.mark.parametrize("act", [("spawn", "true"), ("fork-report",), ("orphan",)])
def test_children_are_found_where_sigchld_is_ignored(probe: Probe, act: tuple[str, ...]) -> None:
    with probe.started(*act, under=("env", "--ignore-signal=CHLD")) as process:
        line = next_line(process)
        assert process.wait(TIMEOUT_S) == 0
    if act == ("orphan",):
        os.kill(line["pid"], signal.SIGKILL)
    if act == ("fork-report",):
        assert line["probe"] == 1
    else:
        assert line["ok"]
        assert line.get("status", 0) == 0


# --- Acts that record themselves ---------------------------------------------------------------


def test_log_appends_one_line_with_the_report(
    probe: Probe, tmp_path: Path, schema: jsonschema.Draft202012Validator
) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    assert probe.act("log", "tag", log) == {"act": "log", "ok": True, "path": str(log)}
    before, line = log.read_text().splitlines()
    assert before == "before"
    document = json.loads(line)
    assert list(document) == ["tag", "path", "time_ns", "boottime_ns", "report"]
    assert document["tag"] == "tag"
    assert document["path"] == str(log)
    schema.validate(document["report"])
    assert [x["fd"] for x in document["report"]["fds"]] == [0, 1, 2]


def test_a_hook_records_its_stdin_in_the_first_file_that_opens(
    probe: Probe, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    line = probe.act(
        *("hook", "prestart", tmp_path / "missing/log", log, tmp_path / "unused"),
        stdin=None,
        input=b'{"id": "\xff\0"}',
    )
    assert line == {"act": "hook", "ok": True, "path": str(log)}
    assert os.listdir(tmp_path) == ["log"]
    (text,) = log.read_text().splitlines()
    document = json.loads(text)
    assert document["stdin"].encode("latin-1") == b'{"id": "\xff\0"}'
    assert document["report"]["probe"] == 1


def test_a_hook_keeps_one_mebibyte_and_reads_the_rest(probe: Probe, tmp_path: Path) -> None:
    probe.act("hook", "x", tmp_path / "log", stdin=None, input=b"x" * 3_000_000)
    assert len(json.loads((tmp_path / "log").read_text())["stdin"]) == 2**20


@pytest.mark.parametrize("redirection", [">&-", "<&-", "<&- >&- 2>&-"])
def test_a_hook_records_itself_with_streams_closed(
    probe: Probe, tmp_path: Path, redirection: str
) -> None:
    log = tmp_path / "log"
    probe.run(
        "hook", "x", log, "+", "mark", "y", log, under=("sh", "-c", f'"$0" "$@" {redirection}')
    )
    hook, mark = (json.loads(line) for line in log.read_text().splitlines())
    assert (hook["tag"], mark["tag"]) == ("x", "y")
    assert hook["stdin"] == (None if "<" in redirection else "")


def test_a_hook_survives_a_broken_stdout(probe: Probe, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    log = tmp_path / "log"
    try:
        probe.run("hook", "x", log, "+", "hook", "y", log, stdout=writer)
    finally:
        os.close(writer)
    documents = [json.loads(line) for line in log.read_text().splitlines()]
    assert [x["tag"] for x in documents] == ["x", "y"]
    ignored = int(documents[1]["report"]["signals"]["ignored"], 16)
    assert not ignored >> signal.SIGPIPE - 1 & 1


def test_a_write_to_a_pipe_that_nobody_reads_is_epipe(probe: Probe) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        line = probe.act("write", f"/proc/self/fd/{writer}", "x", pass_fds=[writer])
    finally:
        os.close(writer)
    assert line == {"act": "write", "ok": False, "errno": "EPIPE"}


def test_mark_has_no_report(probe: Probe, tmp_path: Path) -> None:
    log = tmp_path / "log"
    probe.run("mark", "a", log, "+", "mark", "b", log)
    documents = [json.loads(line) for line in log.read_text().splitlines()]
    assert [x["tag"] for x in documents] == ["a", "b"]
    assert list(documents[0]) == ["tag", "path", "time_ns", "boottime_ns"]
    assert documents[0]["time_ns"] < documents[1]["time_ns"]


# --- Acts of a caller --------------------------------------------------------------------------


def test_a_quiet_probe_prints_no_line(probe: Probe) -> None:
    assert probe.run("say", "x", "+", "quiet", "+", "say", "y", "+", "report")[1:] == []


def test_exec_hands_down_the_process_as_it_is(probe: Probe, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in")
    with (tmp_path / "file").open() as stdin:
        done = subprocess.run(
            [probe.path, "quiet", "+", "chdir", "/usr", "+", "exec", "sh", "-c", SHELL, "sh", "+"],
            stdin=stdin,
            stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "KEY": "value", **NO_LEAK_CHECK},
            check=False,
        )
    assert (done.returncode, done.stdout) == (7, b"in /usr value 1 +\n")


SHELL = 'echo "$(cat) $PWD $KEY $# $1"; exit 7'


def test_what_is_executed_has_the_nice_value(probe: Probe) -> None:
    assert probe.act("quiet", "+", "nice", "7", "+", "exec", probe.path, "report")["nice"] == 7


def test_what_is_executed_has_the_affinity(probe: Probe) -> None:
    cpu = str(max(os.sched_getaffinity(0)))
    report = probe.act("quiet", "+", "affinity", cpu, "+", "exec", probe.path, "report")
    assert report["affinity"] == [int(cpu)]


def test_what_is_executed_has_the_memory_policy(probe: Probe) -> None:
    act = ("memory-policy", "1", "0")  # MPOL_PREFERRED
    report = probe.act("quiet", "+", *act, "+", "exec", probe.path, "report")
    assert report["memory_policy"] == {"mode": 1, "flags": 0, "nodes": [0]}


def test_what_is_executed_has_the_personality(probe: Probe) -> None:
    report = probe.act("quiet", "+", "personality", "0x0008", "+", "exec", probe.path, "report")
    assert report["personality"] & 0xFF == 0x0008  # PER_LINUX32
    assert report["machine"] == facts.compat_machine()


@needs_root
def test_what_is_executed_is_in_new_namespaces(probe: Probe) -> None:
    uts = "0x04000000"
    report = probe.act("quiet", "+", "unshare", uts, "+", "exec", probe.path, "report")
    assert report["namespaces"]["uts"] != os.readlink("/proc/self/ns/uts")
    assert report["namespaces"]["ipc"] == os.readlink("/proc/self/ns/ipc")


def test_what_is_executed_has_the_limits(probe: Probe) -> None:
    limit = str(int(resource.RLIMIT_FSIZE))
    report = probe.act(
        "quiet", "+", "rlimit", limit, "4096", "0x2000", "+", "exec", probe.path, "report"
    )
    assert report["rlimits"]["RLIMIT_FSIZE"] == {"soft": 4096, "hard": 8192}


@needs_root
def test_what_is_executed_lacks_what_was_dropped(probe: Probe) -> None:
    before = probe.report()["capabilities"]["bounding"]
    report = probe.act("quiet", "+", "drop-bounding", "0", "27", "+", "exec", probe.path, "report")
    assert report["capabilities"]["bounding"] == [each for each in before if each not in {0, 27}]


@pytest.mark.parametrize(("path", "name"), [("/missing", "ENOENT"), ("/dev/null", "EACCES")])
def test_what_cannot_be_executed_is_told(probe: Probe, path: str, name: str) -> None:
    assert probe.act("exec", path, "+", "x") == {"act": "exec", "ok": False, "errno": name}
    assert probe.act("exec", status=64)["error"] == "usage: exec ARGV..."


def test_an_act_that_fails_quietly_ends_the_sequence(probe: Probe) -> None:
    for act in (("chdir", "/missing"), ("nice", "7", "+", "stat", "/missing")):
        done = subprocess.run(
            [probe.path, "quiet", "+", *act, "+", "exec", "echo", "no"],
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (69, b"")
        assert done.stderr.startswith(b"probe: ")
        assert done.stderr.endswith(b": No such file or directory\n")


# --- Errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "act"),
    [
        ("EISDIR", ("write", "/", "x")),
        ("ENOENT", ("append", "/missing/file", "x")),
        ("ENOENT", ("read", "/missing")),
        ("EISDIR", ("read", "/")),
        ("EISDIR", ("open", "/", "w")),
        ("ENOENT", ("stat", "/missing")),
        ("ENOENT", ("stat-target", "/missing")),
        ("ENOTDIR", ("list", "/dev/null")),
        ("EINVAL", ("readlink", "/")),
        ("EEXIST", ("mkdir", "/")),
        ("ENOENT", ("unlink", "/missing")),
        ("EEXIST", ("symlink", "x", "/")),
        ("EEXIST", ("mknod", "/", "p", "0", "0")),
        ("ENOENT", ("umount", "/missing")),
        ("ENOENT", ("chdir", "/missing")),
        ("ENOENT", ("chown", "/missing", "0", "0")),
        ("ENOENT", ("chroot", "/missing")),
        ("ENOENT", ("statvfs", "/missing")),
        ("ENOENT", ("wait", "/missing")),
        ("EINVAL", ("sethostname", "x" * 65)),
        ("EINVAL", ("setuid", "-1")),
        ("ESRCH", ("kill", "2147483647", "0")),
        ("EINVAL", ("kill", "0", "999")),
        ("EINVAL", ("raise", "999")),
        ("ENOSYS", ("syscall", "99999")),
        ("ENOENT", ("spawn", "/missing", "x")),
        ("EACCES", ("spawn", "/dev/null")),
        ("ENOENT", ("log", "tag", "/missing/a", "/missing/b")),
        ("ENOENT", ("hook", "tag", "/missing/a")),
        ("ENOSPC", ("mark", "tag", "/dev/full")),
        ("EINVAL", ("drop-bounding", "63")),
        ("EINVAL", ("affinity", "1023")),
        ("EINVAL", ("memory-policy", "99")),
        ("EINVAL", ("unshare", "1")),
        ("EINVAL", ("rlimit", "99", "0", "0")),
        ("EINVAL", ("rlimit", "7", "2", "1")),
    ],
)
@needs_root
def test_a_failing_act_names_its_errno_and_the_next_one_runs(
    probe: Probe, name: str, act: tuple[str, ...]
) -> None:
    assert hasattr(errno, name)
    failed, said = probe.run(*act, "+", "say", "on")
    assert {key: failed[key] for key in ("act", "ok", "errno")} == {
        "act": act[0],
        "ok": False,
        "errno": name,
    }
    assert said["text"] == "on"


@needs_root
def test_a_mount_that_fails_names_its_errno(probe: Probe) -> None:
    line = probe.act("mount", "x", "/missing", "tmpfs", "0", "", under=("unshare", "--mount"))
    assert line["errno"] == "ENOENT"


FIXED = {
    **dict.fromkeys(("write", "append", "open", "symlink", "kill"), 2),
    **dict.fromkeys(("read", "stat", "list", "readlink", "mkdir", "unlink", "umount", "chdir"), 1),
    **dict.fromkeys(("chroot", "sethostname", "setuid", "statvfs", "raise", "exit", "say"), 1),
    **dict.fromkeys(("pause", "catch", "await", "fork-report", "orphan"), 0),
    "wait": 1,
    "mknod": 4,
    "mount": 5,
    "chown": 3,
    "quiet": 0,
    "nice": 1,
    "rlimit": 3,
    **dict.fromkeys(("stat-target", "personality", "unshare"), 1),
}
VARIADIC = {
    **dict.fromkeys(("syscall", "spawn", "expect-fd", "drop-bounding", "affinity"), 1),
    "memory-policy": 1,
    **dict.fromkeys(("log", "hook", "mark"), 2),
}


@pytest.mark.parametrize(
    "act",
    [
        *((name, *["0"] * (count + 1)) for name, count in FIXED.items()),
        *((name, *["0"] * (count - 1)) for name, count in {**FIXED, **VARIADIC}.items() if count),
        ("syscall", *["0"] * 8),
        ("open", "/", "x"),
        ("mknod", "/x", "cc", "0", "0"),
        ("mknod", "/x", "c", "", "0"),
        ("mount", "", "/missing", "", "x", ""),
        ("chown", "/missing", "root", "0"),
        ("setuid", "4294967296"),
        ("kill", "1x", "0"),
        ("raise", "99999999999999999999"),
        ("syscall", "18446744073709551616"),
        ("exit", "256"),
        ("exit", "x"),
        ("exit", "-1"),
        ("expect-fd", "0", "-1"),
        ("nice", "x"),
        ("drop-bounding", "0", "x"),
        ("affinity", "-1"),
        ("affinity", "1024"),
        ("rlimit", "x", "0", "0"),
        ("rlimit", "7", "0", "-x"),
        ("no-such-act",),
        ("",),
    ],
)
def test_a_misused_act_ends_the_sequence_with_status_64(probe: Probe, act: tuple[str, ...]) -> None:
    said, misused = probe.run("say", "x", "+", *act, "+", "say", "no", status=64)
    assert said["ok"]
    assert misused.keys() == {"act", "ok", "error"}
    assert misused["act"] == act[0]
    assert misused["error"].startswith("usage: ")


@pytest.mark.parametrize("acts", [("+",), ("say", "x", "+"), ("+", "say", "x")])
def test_an_empty_act_is_a_misused_one(probe: Probe, acts: tuple[str, ...]) -> None:
    assert probe.run(*acts, status=64)[-1]["ok"] is False
