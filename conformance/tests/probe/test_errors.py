"""An act that fails or is misused is told, by errno or by status."""

from __future__ import annotations

import errno

import pytest
from conformance.tests.probe.conftest import Probe, needs_root


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
