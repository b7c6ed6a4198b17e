"""The probe in a root filesystem that has nothing but itself."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.tests.probe.conftest import Probe, needs_root

if TYPE_CHECKING:
    import jsonschema


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
