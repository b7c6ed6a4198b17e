"""Acts of the probe on files, folders, links, nodes and mounts."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from conformance.tests.probe.conftest import NO_LEAK_CHECK, TIMEOUT_S, Probe, needs_root, next_line


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
