"""Filters: what libseccomp makes of a config, judged by executing the filter itself."""

from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.oci import filter_shape, libseccomp, seccomp
from seatrial.oci.config import Config, Seccomp
from seatrial.oci.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

X86_64 = 0xC000003E
ALLOW = 0x7FFF0000
I386 = 0x40000003
ERRNO = 0x00050000
#: personality, clone, socket, read, mmap, getcwd; x86_64's and i386's numbers
CALLS_WITH_ARGUMENTS = {135, 56, 41, 0, 9, 79, 136, 120, 359, 102, 3, 90, 192, 183}


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


def compared(program: bytes) -> set[int]:
    """Return all that a filter compares something with, and what is next to that."""
    values = {value for _, _, _, value in struct.iter_unpack("=HBBI", program)}
    return {near for value in values for near in (value - 1, value, value + 1) if near >= 0}


def differences(
    wanted: Seccomp, arguments: Iterable[tuple[int, ...]], numbers: Iterable[int] = ()
) -> list[object]:
    """Return where the filter that is loaded decides other than libseccomp's own."""
    original, shaped = seccomp.made_by_libseccomp(wanted), seccomp.build(wanted)
    borders = {each for each in compared(original) | compared(shaped) if each < 2**32}
    asked = {*numbers, *borders, *CALLS_WITH_ARGUMENTS, 2**30, 2**31, 2**32 - 1}
    given = [(), *arguments]
    return [
        (architecture, number, each)
        for architecture in (X86_64, I386, 0xC00000B7, 0)
        for number in sorted(asked)
        for each in (given if number in CALLS_WITH_ARGUMENTS else [()])
        if execute(original, number, *each, architecture=architecture)
        != execute(shaped, number, *each, architecture=architecture)
    ]


def profile() -> Seccomp:
    """Return a profile as engines have them: 400 calls, some for certain arguments alone."""
    resolve = libseccomp.library().seccomp_syscall_resolve_num_arch
    resolve.restype, resolve.argtypes = ctypes.c_char_p, [ctypes.c_uint32, ctypes.c_int]
    found = (resolve(architecture, n) for architecture in (X86_64, I386) for n in range(500))
    names = list(dict.fromkeys(each.decode() for each in found if each))
    return filter_of(
        defaultAction="SCMP_ACT_ERRNO",
        defaultErrnoRet=38,
        architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        syscalls=[
            {"names": [n for n in names if n not in {"personality", "clone", "socket"}][3:403],
             "action": "SCMP_ACT_ALLOW"},
            *(
                {"names": ["personality"], "action": "SCMP_ACT_ALLOW",
                 "args": [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"}]}
                for value in (0, 8, 0x20000, 0x20008, 0xFFFFFFFF)
            ),
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 0x7E020000, "valueTwo": 0,
                       "op": "SCMP_CMP_MASKED_EQ"}]},
            {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 22,
             "args": [{"index": 0, "value": 16, "op": "SCMP_CMP_EQ"},
                      {"index": 2, "value": 2**33 + 9, "op": "SCMP_CMP_GE"}]},
        ],
    )  # fmt: skip


def test_a_profile_decides_like_libseccomps_filter_for_every_call() -> None:
    edges = (
        0,
        7,
        8,
        9,
        16,
        0x20000,
        0x20008,
        0x7E020000,
        0x20000000,
        2**32 - 1,
        2**33 + 9,
        2**64 - 1,
    )
    arguments = [(one, 0, other) for one in edges for other in (0, 2**33 + 8, 2**33 + 9, 2**40)]
    numbers = (*range(600), *range(2**30, 2**30 + 600))
    assert differences(profile(), arguments, numbers) == []


def test_a_profile_is_a_search_for_runs_of_neighbours() -> None:
    wanted = profile()
    assert len(seccomp.build(wanted)) < len(seccomp.made_by_libseccomp(wanted)) / 4


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "names": st.lists(st.sampled_from(["read", "clone", "socket", "mmap", "getcwd"]),
                                  min_size=1, max_size=3, unique=True),
                "action": st.sampled_from(["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_LOG"]),
                "args": st.lists(
                    st.fixed_dictionaries(
                        {
                            "index": st.integers(0, 2),
                            "value": st.sampled_from([0, 1, 7, 2**32, 2**33 + 7]),
                            "valueTwo": st.sampled_from([0, 1, 2**32]),
                            "op": st.sampled_from([*libseccomp.OPERATORS]),
                        }
                    ),
                    max_size=3,
                ),
            }
        ),
        max_size=6,
    ),
    st.lists(st.tuples(*[st.sampled_from([0, 1, 6, 7, 8, 2**32, 2**32 + 1, 2**33 + 7])] * 3),
             max_size=5),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_any_rules_decide_like_libseccomps_filter(
    entries: list[dict[str, Any]], arguments: list[tuple[int, ...]]
) -> None:
    wanted = filter_of(defaultAction="SCMP_ACT_TRACE", syscalls=entries,
                       architectures=["SCMP_ARCH_X86"])  # fmt: skip
    try:
        found = differences(wanted, arguments)
    except ConfigError:  # entries that contradict one another
        found = []
    assert found == []


def test_what_is_no_filter_of_libseccomps_is_left_as_it_is() -> None:
    one = struct.pack("<HBBI", 0x20, 0, 0, 0) + struct.pack("<HBBI", 0x16, 0, 0, 0)
    for program in (b"", one, struct.pack("<HBBI", 0x15, 200, 200, 7)):
        assert filter_shape.reshaped(program) == program


def test_a_binary_tree_decides_like_a_list() -> None:
    tree = seccomp.made_by_libseccomp(profile())
    linear = seccomp.made_by_libseccomp(profile(), binary_tree=False)
    for number in range(600):
        for architecture in (X86_64, I386):
            assert execute(tree, number, architecture=architecture) == execute(
                linear, number, architecture=architecture
            )


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
