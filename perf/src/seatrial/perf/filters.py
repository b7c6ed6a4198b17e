"""Seccomp filters: the names that a config gives, and the same as bytes for the floor."""

from __future__ import annotations

import ctypes
import platform
import struct
from functools import cache

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000 | 1
_LOAD_NUMBER, _LOAD_ARCHITECTURE = 0, 4
_LD_W_ABS, _JA, _JEQ, _JGE, _RET = 0x20, 0x05, 0x15, 0x35, 0x06
_MOST_NUMBERS = 600

#: AUDIT_ARCH_* and libseccomp's names of what a machine runs, its own first.
_ARCHITECTURES = {
    "x86_64": {"SCMP_ARCH_X86_64": 0xC000003E, "SCMP_ARCH_X86": 0x40000003},
    "aarch64": {"SCMP_ARCH_AARCH64": 0xC00000B7, "SCMP_ARCH_ARM": 0x40000028},
}

Instruction = tuple[int, int, int, int]


class NoNamesError(Exception):
    """The names of system calls cannot be had here; the text is the reason."""


@cache
def numbers() -> dict[str, dict[str, int]]:
    """Return each architecture's system calls by name, as libseccomp has them."""
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        raise NoNamesError("libseccomp.so.2 is missing, and with it the names of calls") from None
    resolve = library.seccomp_syscall_resolve_num_arch
    resolve.restype = ctypes.c_char_p
    resolve.argtypes = [ctypes.c_uint32, ctypes.c_int]
    found: dict[str, dict[str, int]] = {}
    for architecture, token in _ARCHITECTURES.get(platform.machine(), {}).items():
        names = ((resolve(token, number), number) for number in range(_MOST_NUMBERS))
        found[architecture] = {name.decode(): number for name, number in names if name}
    if not found:
        raise NoNamesError(f"no architectures are known for {platform.machine()}")
    return found


def choose(count: int) -> tuple[list[str], list[str]]:
    """Return ``count`` names and the architectures that have them, the machine's own first."""
    known = numbers()
    names = list(dict.fromkeys(name for each in known.values() for name in each))
    return names[:count], list(known)


def compile_filter(names: list[str], *, linear: bool = False) -> bytes:
    """Return a filter that allows the names, as an array of ``struct sock_filter``.

    As a search through the runs of neighbouring numbers, or with ``linear`` as a list of them all.
    """
    program: list[Instruction] = [(_LD_W_ABS, 0, 0, _LOAD_ARCHITECTURE)]
    for architecture, calls in numbers().items():
        wanted = sorted({calls[name] for name in names if name in calls})
        body = [(_LD_W_ABS, 0, 0, _LOAD_NUMBER), *(_list(wanted) if linear else _search(wanted))]
        token = _ARCHITECTURES[platform.machine()][architecture]
        # Conditional jumps reach 255 instructions at most, so the long way is one without.
        program += [(_JEQ, 1, 0, token), (_JA, 0, 0, len(body)), *body]
    program.append((_RET, 0, 0, _ERRNO))
    return b"".join(struct.pack("=HBBI", *each) for each in program)


def _list(wanted: list[int]) -> list[Instruction]:
    lines: list[Instruction] = []
    for number in wanted:
        lines += [(_JEQ, 0, 1, number), (_RET, 0, 0, _ALLOW)]
    return [*lines, (_RET, 0, 0, _ERRNO)]


def _search(wanted: list[int]) -> list[Instruction]:
    """Return a binary search for the run that a number is in."""
    bounds = [(0, _ERRNO)]
    for number in wanted:
        if bounds[-1][0] == number:
            bounds.pop()
        if not bounds or bounds[-1][1] != _ALLOW:
            bounds.append((number, _ALLOW))
        bounds.append((number + 1, _ERRNO))
    return _node(bounds)


def _node(bounds: list[tuple[int, int]]) -> list[Instruction]:
    if len(bounds) == 1:
        return [(_RET, 0, 0, bounds[0][1])]
    middle = len(bounds) // 2
    low, high = _node(bounds[:middle]), _node(bounds[middle:])
    return [(_JGE, 1, 0, bounds[middle][0]), (_JA, 0, 0, len(high)), *high, *low]
