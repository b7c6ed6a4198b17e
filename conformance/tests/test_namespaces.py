"""Namespaces of our own: what is done in them is not seen from outside, and one comes back."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from seatrial.conformance import namespaces
from seatrial.conformance.errors import UnfitError
from seatrial.conformance.namespaces import PRIVATE, Mount, Private

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this")


def names() -> dict[str, str]:
    return {kind: namespaces.current(kind) for kind in PRIVATE}


def host_mounts() -> str:
    return Path("/proc/1/mountinfo").read_text()


@needs_root
def test_all_of_them_are_ours_and_then_the_old_ones_again(tmp_path: Path) -> None:
    before, mounted, hostname = names(), host_mounts(), socket.gethostname()
    with Private():
        inside = names()
        namespaces.mount("test", str(tmp_path), "tmpfs")
        (tmp_path / "file").touch()
        socket.sethostname("inside")
        assert host_mounts() == mounted
        assert any(each.target == str(tmp_path) for each in namespaces.mounts())
    assert names() == before
    assert not set(inside.values()) & set(before.values())
    assert host_mounts() == mounted
    assert socket.gethostname() == hostname
    assert not (tmp_path / "file").exists()


@needs_root
def test_an_exception_inside_leads_out_too() -> None:
    before = names()
    with pytest.raises(KeyboardInterrupt), Private():
        raise KeyboardInterrupt
    assert names() == before


@needs_root
def test_the_working_directory_and_the_descriptors_are_those_from_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "below").mkdir()
    open_before = set(os.listdir("/proc/self/fd"))
    with Private():
        os.chdir("below")
    assert Path.cwd() == tmp_path
    assert set(os.listdir("/proc/self/fd")) == open_before


@needs_root
def test_one_comes_back_into_a_root_that_was_changed(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "here").mkdir()
    script = f"""
import os
from seatrial.conformance import namespaces
namespaces.unshare(namespaces.CLONE_NEWNS)
namespaces.mount("none", "/", None, namespaces.MS_REC | namespaces.MS_PRIVATE)
namespaces.mount({str(tmp_path)!r}, {str(tmp_path)!r}, None, 4096)
namespaces.mount("proc", {str(tmp_path / "proc")!r}, "proc")
os.chroot({str(tmp_path)!r})
os.chdir("/here")
with namespaces.Private():
    pass
print(sorted(os.listdir("/")), os.getcwd())
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE)
    assert done.stdout == b"['here', 'proc'] /here\n"


@needs_root
@pytest.mark.parametrize("broken", ["unshare", "mount"])
def test_one_that_cannot_be_made_leaves_the_others(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        if arguments[0] != namespaces.CLONE_FS:
            raise UnfitError("no") if broken == "unshare" else PermissionError(1, "no")

    before, open_before = names(), set(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(namespaces, broken, fail)
    with pytest.raises(UnfitError, match=r"no$"), Private():
        pass
    assert names() == before
    assert set(os.listdir("/proc/self/fd")) == open_before


@needs_root
def test_errors_of_the_kernel_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such device") as caught:
        namespaces.mount("x", str(tmp_path), "no-such-filesystem")
    assert caught.value.filename == str(tmp_path)
    with pytest.raises(OSError, match="Invalid argument") as caught:
        namespaces.umount(str(tmp_path))
    assert caught.value.filename == str(tmp_path)


@needs_root
def test_errors_of_unshare_and_setns_are_told() -> None:
    with pytest.raises(UnfitError, match=r"^unshare: Invalid argument$") as caught:
        namespaces.unshare(1)
    assert caught.value.hint
    with open(os.devnull) as file, pytest.raises(OSError, match="Invalid argument"):
        namespaces.setns(file.fileno())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "36 35 98:0 / /mnt/a\\040b rw,noatime master:1 - ext3 /dev/ro\\134ot rw",
            Mount("/mnt/a b", "/", "ext3", "/dev/ro\\ot"),
        ),
        ("1 2 0:1 /r\\011 / rw - tmpfs none rw,a=b", Mount("/", "/r\t", "tmpfs", "none")),
        ("1 2 0:1 / /mn\xc3\xa9 rw - tmpfs none rw", Mount("/mn\xc3\xa9", "/", "tmpfs", "none")),
    ],
)
def test_a_line_of_mountinfo_is_read(line: str, expected: Mount) -> None:
    assert Mount.parse(line) == expected


def test_the_namespaces_from_before_can_be_visited() -> None:
    before = namespaces.current("net")
    with namespaces.outside("net"):
        assert namespaces.current("net") == before
    with namespaces.Private():
        own = namespaces.current("net")
        with namespaces.Private(), namespaces.outside("net"):
            assert namespaces.current("net") == before
        assert namespaces.current("net") == own != before
    assert namespaces.current("net") == before


@pytest.mark.parametrize(
    ("line", "propagation", "read_only"),
    [
        ("1 2 0:1 / / rw,nosuid - tmpfs none rw,size=4k", set(), False),
        ("1 2 0:1 / / rw,nosuid  - tmpfs none rw,size=4k", set(), False),
        ("1 2 0:1 / / ro shared:1 master:2 - tmpfs none rw", {"shared", "master"}, True),
        ("1 2 0:1 / / rw unbindable - tmpfs none ro", {"unbindable"}, True),
    ],
)
def test_a_line_of_mountinfo_says_how_it_is_mounted(
    line: str, propagation: set[str], *, read_only: bool
) -> None:
    mount = Mount.parse(line)
    assert (set(mount.propagation), mount.read_only) == (propagation, read_only)
    assert mount.options | mount.filesystem_options >= {"rw"}
