"""Filters: what libseccomp makes of a config, judged by executing the filter itself."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from seatrial.oci import libseccomp, seccomp
from seatrial.oci.config import Config, Seccomp
from seatrial.oci.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

X86_64 = 0xC000003E
ALLOW = 0x7FFF0000
ERRNO = 0x00050000


def filter_of(**members: object) -> Seccomp:
    return msgspec.convert({"defaultAction": "SCMP_ACT_ALLOW", **members}, Seccomp)


def config_of(**members: object) -> Config:
    linux = {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", **members}}
    return msgspec.convert({"ociVersion": "1.3.0", "linux": linux}, Config)


def execute(program: bytes, number: int, *arguments: int, architecture: int = X86_64) -> int:
    """Return what the kernel would do: the few instructions that libseccomp uses (bpf(4))."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("<IIQ6Q", number, architecture, 0, *padded)
    accumulator, at = 0, 0
    while True:
        code, jump, otherwise, value = struct.unpack_from("<HBBI", program, at * 8)
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, value)
            case 0x54:
                accumulator &= value
            case 0x05:
                at += value
            case 0x15:
                at += jump if accumulator == value else otherwise
            case 0x25:
                at += jump if accumulator > value else otherwise
            case 0x35:
                at += jump if accumulator >= value else otherwise
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(f"instruction {code:#x}")


def denied(entries: Iterable[dict[str, Any]], number: int, *arguments: int) -> bool:
    program = seccomp.build(filter_of(syscalls=list(entries)))
    return execute(program, number, *arguments) != ALLOW


def entry(name: str = "getcwd", action: str = "SCMP_ACT_ERRNO", **more: object) -> dict[str, Any]:
    return {"names": [name], "action": action, **more}


GETCWD = 79


def test_an_entry_says_what_happens_to_its_calls_and_the_default_to_all_others() -> None:
    program = seccomp.build(filter_of(defaultAction="SCMP_ACT_LOG", syscalls=[entry(errnoRet=77)]))
    assert execute(program, GETCWD) == ERRNO | 77
    assert execute(program, GETCWD + 1) == 0x7FFC0000


@pytest.mark.parametrize("action", ["SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"])
def test_the_errno_is_eperm_where_none_is_given(action: str) -> None:
    program = seccomp.build(filter_of(syscalls=[entry(action=action)]))
    assert execute(program, GETCWD) & 0xFFFF == 1


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("NE", (True, False, True)),
        ("LT", (True, False, False)),
        ("LE", (True, True, False)),
        ("EQ", (False, True, False)),
        ("GE", (False, True, True)),
        ("GT", (False, False, True)),
    ],
)
def test_arguments_are_compared_as_64_bits(operator: str, expected: tuple[bool, ...]) -> None:
    value = 2**33 + 5
    args = [{"index": 1, "value": value, "op": f"SCMP_CMP_{operator}"}]
    found = tuple(
        denied([entry(args=args)], GETCWD, 0, argument)
        for argument in (value - 1, value, value + 1)
    )
    assert found == expected


def test_a_masked_comparison_looks_at_the_masked_bits_only() -> None:
    args = [{"index": 0, "value": 0xF0, "valueTwo": 0x10, "op": "SCMP_CMP_MASKED_EQ"}]
    assert denied([entry(args=args)], GETCWD, 0x1F)
    assert not denied([entry(args=args)], GETCWD, 0x2F)


def test_all_comparisons_of_different_arguments_have_to_hold() -> None:
    args = [{"index": i, "value": 7, "op": "SCMP_CMP_EQ"} for i in (0, 2)]
    assert denied([entry(args=args)], GETCWD, 7, 0, 7)
    assert not denied([entry(args=args)], GETCWD, 7, 0, 8)


def test_of_comparisons_of_one_argument_any_will_do() -> None:
    args = [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"} for value in (7, 9)]
    assert denied([entry(args=args)], GETCWD, 9)
    assert not denied([entry(args=args)], GETCWD, 8)


def test_a_binary_tree_decides_like_a_list_and_in_fewer_steps() -> None:
    names = [each for each in ALL_CALLS if libseccomp.syscall_number(each) is not None]
    wanted = filter_of(
        defaultAction="SCMP_ACT_ERRNO",
        syscalls=[
            {"names": names[::2], "action": "SCMP_ACT_ALLOW"},
            {"names": names[1::4], "action": "SCMP_ACT_KILL_PROCESS"},
        ],
    )
    tree = seccomp.build(wanted)
    linear = seccomp.build(wanted, binary_tree=False)
    for number in range(600):
        assert execute(tree, number) == execute(linear, number)
    assert execute(tree, 0, architecture=0x40000003) == execute(linear, 0, architecture=0x40000003)


def test_the_calls_of_another_architecture_are_filtered_by_its_own_numbers() -> None:
    program = seccomp.build(filter_of(architectures=["SCMP_ARCH_X86"], syscalls=[entry()]))
    assert execute(program, 183, architecture=0x40000003) == ERRNO | 1  # getcwd of i386
    assert execute(program, GETCWD) == ERRNO | 1


def test_every_architecture_of_the_spec_is_taken(capfd: pytest.CaptureFixture[str]) -> None:
    seccomp.build(filter_of(architectures=list(libseccomp.ARCHITECTURES), syscalls=[entry()]))
    assert "SCMP_ARCH_S390X is left out" in capfd.readouterr().err


def test_an_unknown_call_is_left_out_with_a_warning(capfd: pytest.CaptureFixture[str]) -> None:
    assert denied([{"names": ["no_such_call", "getcwd"], "action": "SCMP_ACT_ERRNO"}], GETCWD)
    assert "/linux/seccomp/syscalls/0/names/0: unknown system call" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"defaultAction": "SCMP_ACT_NO"}, "/defaultAction"),
        ({"defaultErrnoRet": 1}, "/defaultErrnoRet"),
        ({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}, "/defaultErrnoRet"),
        ({"architectures": ["SCMP_ARCH_Z80"]}, "/architectures/0"),
        ({"flags": ["SECCOMP_FILTER_FLAG_LOG", "LOG"]}, "/flags/1"),
        ({"listenerMetadata": "x"}, "/listenerMetadata"),
        ({"syscalls": [entry(action="SCMP_ACT_NOTIFY")]}, "/listenerPath"),
        ({"syscalls": [entry(action="ALLOW")]}, "/syscalls/0/action"),
        ({"syscalls": [entry(action="SCMP_ACT_KILL", errnoRet=0)]}, "/syscalls/0/errnoRet"),
        (
            {"syscalls": [entry(args=[{"index": 0, "value": 0, "op": "="}])]},
            "/syscalls/0/args/0/op",
        ),
        (
            {"syscalls": [entry(args=[{"index": 0, "value": 2**64, "op": "SCMP_CMP_EQ"}])]},
            "/syscalls/0/args/0/value",
        ),
    ],
)
def test_what_the_spec_does_not_know_is_refused_where_it_is(
    members: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        list(seccomp.compile(config_of(**members)))
    assert caught.value.pointer == f"/linux/seccomp{pointer}"


def test_flags_are_those_of_the_system_call() -> None:
    names = ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]
    (op,) = seccomp.compile(config_of(flags=names))
    assert op.numbers == (0b101,)


def test_a_killable_wait_needs_a_listener(capfd: pytest.CaptureFixture[str]) -> None:
    flags = ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]
    (op,) = seccomp.compile(config_of(flags=flags))
    assert op.numbers == (0,)
    assert "means nothing without SCMP_ACT_NOTIFY" in capfd.readouterr().err
    notify = [entry(action="SCMP_ACT_NOTIFY")]
    (op,) = seccomp.compile(config_of(flags=flags, listenerPath="/run/a", syscalls=notify))
    assert op.numbers == (32,)
    assert op.flags == seccomp.WITH_LISTENER


def test_a_listener_path_without_notify_is_not_looked_at() -> None:
    (op,) = seccomp.compile(config_of(listenerPath="/nowhere", syscalls=[entry()]))
    assert op.flags == 0


ALL_CALLS = [
    "read",
    "write",
    "open",
    "close",
    "stat",
    "fstat",
    "lstat",
    "poll",
    "lseek",
    "mmap",
    "mprotect",
    "munmap",
    "brk",
    "rt_sigaction",
    "ioctl",
    "pread64",
    "pwrite64",
    "readv",
    "writev",
    "access",
    "pipe",
    "select",
    "sched_yield",
    "mremap",
    "msync",
    "mincore",
    "shmget",
    "shmat",
    "shmctl",
    "dup",
    "dup2",
    "pause",
    "nanosleep",
    "getitimer",
    "alarm",
    "getpid",
    "sendfile",
    "socket",
    "connect",
    "accept",
    "sendto",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "shutdown",
    "bind",
    "listen",
    "clone",
    "fork",
    "vfork",
    "execve",
    "exit",
    "wait4",
    "kill",
    "uname",
    "semget",
    "fcntl",
    "flock",
    "fsync",
    "getcwd",
    "chdir",
    "rename",
    "mkdir",
    "rmdir",
    "creat",
    "link",
    "unlink",
    "symlink",
    "readlink",
    "chmod",
    "chown",
    "umask",
    "gettimeofday",
    "getrlimit",
    "ptrace",
    "getuid",
    "setuid",
    "setgid",
    "mount",
    "reboot",
    "gettid",
    "futex",
    "epoll_wait",
    "openat",
    "unshare",
    "splice",
    "seccomp",
    "getrandom",
    "bpf",
    "clone3",
    "openat2",
]
