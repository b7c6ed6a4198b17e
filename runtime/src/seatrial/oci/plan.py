"""The plan: operations in order, and their flat binary form (runtime/csrc/plan.h)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import msgspec

from seatrial.oci.errors import ConfigError
from seatrial.oci.host import ID
from seatrial.oci.operations import STAGES, Kind, Op, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.oci.errors import HostError

MAGIC = 0x4E414C50
VERSION = 3
_HEADER = struct.Struct("<6IQ")
_OP = struct.Struct("<10I4Q")
#: Of clone(2): the container has a pid namespace of its own.
NEW_PID = 0x20000000
_MASK = 2**64 - 1
_MOST_BYTES = 64 << 20


class Heap:
    """The bytes that operations refer to, by where they are; strings with ``ID`` come last."""

    def __init__(self) -> None:
        self.content = bytearray(b"\0")
        self._known = {"": 0}
        self._late: dict[str, int] = {}
        self._places: list[int] = []

    def text(self, value: str) -> int:
        """Return where a string is; a number below 0 stands for a place that is not known yet."""
        if ID in value:
            return -self._late.setdefault(value, len(self._late) + 1)
        if value not in self._known:
            self._known[value] = len(self.content)
            self.content += value.encode("utf-8", "surrogateescape") + b"\0"
        return self._known[value]

    def blob(self, content: bytes) -> int:
        """Return where bytes are, aligned as numbers are."""
        if content:
            self.content += b"\0" * (-len(self.content) % 8)
        place = len(self.content)
        self.content += content
        return place

    def close(self) -> int:
        """Put the last strings there; return where they begin, 0 if there are none."""
        begin = len(self.content) if self._late else 0
        for value in self._late:
            self._places.append(len(self.content))
            self.content += template_of(value) + b"\0"
        return begin

    def placed(self, row: tuple[int, ...]) -> tuple[int, ...]:
        """Return a row with all places known."""
        if not self._late:
            return row
        return tuple(self._places[-cell - 1] if cell < 0 else cell for cell in row)


class Plan(msgspec.Struct, frozen=True):
    """What a container start does: ``namespaces`` are clone(2) flags."""

    namespaces: int
    ops: list[Op]

    def bound(self, identifier: str) -> Plan:
        """Return the plan for one container, with its id where a template has ``ID``."""
        ops = []
        for op in self.ops:
            changed = {
                name: value.replace(ID, identifier)
                for name in ("says", "path", "text", "extra")
                if ID in (value := getattr(op, name))
            }
            ops.append(msgspec.structs.replace(op, **changed) if changed else op)
        return Plan(self.namespaces, ops)

    def encode(self) -> bytes:
        """Return the binary form: offsets into one buffer, no pointers.

        Strings with ``ID`` in them make it a template, which ``_core.bind`` turns into a plan.
        Raises ``ConfigError`` for what it cannot hold: a NUL in a string, numbers of over 64 bits.
        """
        heap = Heap()
        rows = []
        for op in self.ops:
            words = (op.pointer, op.path, op.text, op.extra, op.says)
            if any("\0" in each for each in words):
                raise ConfigError(op.pointer, "has a NUL, which would end what the kernel is told")
            *strings, says = map(heap.text, words)
            if not all(-(2**63) <= number <= _MASK for number in op.numbers):
                raise ConfigError(op.pointer, "has a number of more than 64 bits")
            numbers = [number & _MASK for number in (*op.numbers, 0, 0, 0, 0)[:4]]
            blob = heap.blob(op.blob)
            rows.append((op.kind, op.stage, op.flags, *strings, blob, len(op.blob), says, *numbers))
        templates = heap.close()
        table = b"".join(_OP.pack(*heap.placed(row)) for row in rows)
        start = _HEADER.size + len(table)
        size = start + len(heap.content)
        if size > _MOST_BYTES:
            raise ConfigError("", f"makes a plan of {size} bytes, more than fit")
        header = _HEADER.pack(
            MAGIC, VERSION, size, len(self.ops), start, templates, self.namespaces
        )
        return header + table + bytes(heap.content)

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


def namespaces_of(binary: bytes) -> int:
    """Return which namespaces a plan makes, as clone(2) flags."""
    namespaces: int = _HEADER.unpack_from(binary)[-1]
    return namespaces


def template_of(value: str) -> bytes:
    """Return a string as ``_core.bind`` takes it: 1 is the id, and after 2 a byte is as it is."""
    parts = value.split(ID)
    raw = (part.encode("utf-8", "surrogateescape") for part in parts)
    return b"\1".join(part.replace(b"\2", b"\2\2").replace(b"\1", b"\2\1") for part in raw)


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
