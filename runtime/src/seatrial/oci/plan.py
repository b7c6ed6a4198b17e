"""The plan: operations in order, and their flat binary form (runtime/csrc/plan.h)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import msgspec

from seatrial.oci.errors import ConfigError
from seatrial.oci.operations import STAGES, Kind, Op, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.oci.errors import HostError

MAGIC = 0x4E414C50
VERSION = 2
_HEADER = struct.Struct("<6IQ")
_OP = struct.Struct("<10I4Q")
_MASK = 2**64 - 1
_MOST_BYTES = 64 << 20


class Plan(msgspec.Struct, frozen=True):
    """What a container start does: ``namespaces`` are clone(2) flags."""

    namespaces: int
    ops: list[Op]

    def encode(self) -> bytes:
        """Return the binary form: offsets into one buffer, no pointers.

        Raises ``ConfigError`` for what it cannot hold: a NUL in a string, numbers of over 64 bits.
        """
        heap = bytearray(b"\0")
        known = {b"": 0}

        def text(value: str) -> int:
            raw = value.encode("utf-8", "surrogateescape")
            if raw not in known:
                known[raw] = len(heap)
                heap.extend(raw + b"\0")
            return known[raw]

        table = bytearray()
        for op in self.ops:
            words = (op.pointer, op.path, op.text, op.extra, op.says)
            if any("\0" in each for each in words):
                raise ConfigError(op.pointer, "has a NUL, which would end what the kernel is told")
            *strings, says = map(text, words)
            if op.blob:
                heap.extend(b"\0" * (-len(heap) % 8))
            blob = len(heap)
            heap.extend(op.blob)
            if not all(-(2**63) <= number <= _MASK for number in op.numbers):
                raise ConfigError(op.pointer, "has a number of more than 64 bits")
            numbers = [number & _MASK for number in (*op.numbers, 0, 0, 0, 0)[:4]]
            table += _OP.pack(
                op.kind, op.stage, op.flags, *strings, blob, len(op.blob), says, *numbers
            )
        start = _HEADER.size + len(table)
        if start + len(heap) > _MOST_BYTES:
            raise ConfigError("", f"makes a plan of {start + len(heap)} bytes, more than fit")
        header = _HEADER.pack(
            MAGIC, VERSION, start + len(heap), len(self.ops), start, 0, self.namespaces
        )
        return header + bytes(table) + bytes(heap)

    @classmethod
    def decode(cls, binary: bytes) -> Plan:
        """Return the plan of its binary form, as this runtime wrote it into a state folder."""
        *_, count, heap, _, namespaces = _HEADER.unpack_from(binary)

        def text(offset: int) -> str:
            end = binary.index(b"\0", heap + offset)
            return binary[heap + offset : end].decode("utf-8", "surrogateescape")

        ops = []
        for each in range(count):
            kind, stage, flags, pointer, path, words, extra, blob, length, says, *numbers = (
                _OP.unpack_from(binary, _HEADER.size + each * _OP.size)
            )
            ops.append(
                Op(
                    Kind(kind),
                    Stage(stage),
                    text(says),
                    text(pointer),
                    flags,
                    text(path),
                    text(words),
                    text(extra),
                    binary[heap + blob : heap + blob + length],
                    tuple(numbers),
                )
            )
        return cls(namespaces, ops)


def strings(values: Iterable[str]) -> bytes:
    """Return a blob of NUL-terminated strings; lone surrogates stand for undecodable bytes."""
    return b"".join(value.encode("utf-8", "surrogateescape") + b"\0" for value in values)


def is_refused(op: Op, objections: list[HostError]) -> bool:
    """Whether this host objects to the member that an operation comes from, or to one above it."""
    return any(f"{op.pointer}/".startswith(f"{each.pointer}/") for each in objections)


def describe(plan: Plan, objections: list[HostError]) -> dict[str, object]:
    """Return the plan, and what this host objects to in it, as plain data, for JSON."""
    return {
        "version": VERSION,
        "namespaces": plan.namespaces,
        "refused": [{"pointer": each.pointer, "why": each.why} for each in objections],
        "operations": [
            {
                "stage": op.stage.name.lower(),
                "kind": op.kind.name.lower().replace("_", "-"),
                "says": op.says,
                "pointer": op.pointer,
                "refused": is_refused(op, objections),
                **{
                    name: value
                    for name in ("flags", "path", "text", "extra", "numbers")
                    if (value := getattr(op, name))
                },
                **({"bytes": op.blob.hex()} if op.blob else {}),
            }
            for op in plan.ops
        ],
    }


def explain(plan: Plan, objections: list[HostError]) -> str:
    """Return the plan for people: what will be done, in order, and because of which member.

    Operations that this host would refuse are marked with an exclamation mark.
    """
    lines: list[str] = []
    if objections:
        lines.append("this host would refuse it, before anything is done:")
        lines += [f"  ! {each}" for each in objections]
    stage: Stage | None = None
    for number, op in enumerate(plan.ops):
        if op.stage != stage:
            if (stage is None or stage < Stage.ADOPT) and op.stage >= Stage.ADOPT:
                lines += ["", _cloned(plan)] if lines else [_cloned(plan)]
            stage = op.stage
            lines += ["", f"{STAGES[stage]}:"] if lines else [f"{STAGES[stage]}:"]
        why = f"config.json#{op.pointer}" if op.pointer else "always"
        mark = "!" if is_refused(op, objections) else " "
        lines.append(f"{mark} {number:>3}  {op.says:<64}  {why}")
    return "\n".join(lines)


def _cloned(plan: Plan) -> str:
    from seatrial.oci.namespaces import FLAGS  # which imports this module

    new = [name for name, flag in FLAGS.items() if plan.namespaces & flag]
    into = f", into a new {', '.join(new)} namespace" if new else ""
    return f"clone the container process{into}"
