"""Device rules as a program of the kernel, for cgroup v2 (bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seatrial.oci.device_rules import Rule

# struct bpf_cgroup_dev_ctx: access in the upper, type in the lower half of the first word.
TYPES = {"b": 1, "c": 2}
ACCESSES = {"m": 1, "r": 2, "w": 4}
_RESULT, _CONTEXT, _TYPE, _ACCESS, _MAJOR, _MINOR = 0, 1, 2, 3, 4, 5
# Codes of instructions (Documentation/bpf/standardization/instruction-set.rst).
_LOAD = 0x61  # dst = *(u32 *)(src + offset)
_MOVE, _MOVE_NUMBER = 0xBC, 0xB4
_AND_NUMBER, _SHIFT_RIGHT_NUMBER = 0x54, 0x74
_JUMP_IF_SET, _JUMP_UNLESS_EQUAL = 0x46, 0x56
_JUMP, _EXIT = 0x05, 0x95


def _instruction(
    code: int, to: int = 0, source: int = 0, offset: int = 0, number: int = 0
) -> bytes:
    return struct.pack("<BBhI", code, to | source << 4, offset, number & 0xFFFFFFFF)


def program(rules: list[Rule]) -> bytes:
    """Return the instructions: from the last rule to the first, each decides what it names.

    Denied is what asks for one denied access; allowed, when all that is asked for is allowed; and
    what no rule names, as in a cgroup without rules.
    """
    code = [
        _instruction(_LOAD, _TYPE, _CONTEXT, 0),
        _instruction(_MOVE, _ACCESS, _TYPE),
        _instruction(_AND_NUMBER, _TYPE, number=0xFFFF),
        _instruction(_SHIFT_RIGHT_NUMBER, _ACCESS, number=16),
        _instruction(_LOAD, _MAJOR, _CONTEXT, 4),
        _instruction(_LOAD, _MINOR, _CONTEXT, 8),
    ]
    for rule in reversed(rules):
        code += _decide(rule)
    return b"".join([*code, *_return(1)])


def _return(value: int) -> list[bytes]:
    return [_instruction(_MOVE_NUMBER, _RESULT, number=value), _instruction(_EXIT)]


def _decide(rule: Rule) -> list[bytes]:
    bits = sum(ACCESSES[each] for each in rule.access)
    if rule.allow:
        # What is left to be decided; nothing: it may.
        body = [
            _instruction(_AND_NUMBER, _ACCESS, number=~bits),
            _instruction(_JUMP_UNLESS_EQUAL, _ACCESS, offset=2, number=0),
            *_return(1),
        ]
    else:
        body = [
            _instruction(_JUMP_IF_SET, _ACCESS, offset=1, number=bits),
            _instruction(_JUMP, offset=2),
            *_return(0),
        ]
    tests = [(_TYPE, TYPES[rule.type]), (_MAJOR, rule.major), (_MINOR, rule.minor)]
    wanted = [(register, number) for register, number in tests if number is not None]
    jumps = [
        _instruction(
            _JUMP_UNLESS_EQUAL,
            register,
            offset=len(body) + len(wanted) - place - 1,
            number=number,
        )
        for place, (register, number) in enumerate(wanted)
    ]
    return jumps + body


def allows(code: bytes, kind: str, major: int, minor: int, access: str) -> bool:
    """Run a program as the kernel does: whether it allows an access.  For tests and for people."""
    register = [0] * 11
    words = [
        sum(ACCESSES[each] for each in access) << 16 | TYPES[kind],
        major,
        minor,
    ]
    at = 0
    while True:
        opcode, registers, offset, number = struct.unpack_from("<BBhI", code, at * 8)
        to, source = registers & 15, registers >> 4
        at += 1
        if opcode == _LOAD:
            register[to] = words[offset // 4]
        elif opcode == _MOVE:
            register[to] = register[source]
        elif opcode == _MOVE_NUMBER:
            register[to] = number
        elif opcode == _AND_NUMBER:
            register[to] &= number
        elif opcode == _SHIFT_RIGHT_NUMBER:
            register[to] >>= number
        elif opcode == _EXIT:
            return register[_RESULT] == 1
        elif (
            opcode == _JUMP
            or (opcode == _JUMP_IF_SET and register[to] & number)
            or (opcode == _JUMP_UNLESS_EQUAL and register[to] != number)
        ):
            at += offset
