"""Messages of D-Bus, written whole before they are sent (its specification, "Message Protocol")."""

from __future__ import annotations

import struct

METHOD_CALL = 1
_PATH, _INTERFACE, _MEMBER, _DESTINATION, _SIGNATURE = 1, 2, 3, 6, 8
_ALIGNMENTS = {
    "y": 1,
    "b": 4,
    "u": 4,
    "i": 4,
    "t": 8,
    "s": 4,
    "o": 4,
    "g": 1,
    "a": 4,
    "(": 8,
    "v": 1,
}
_NUMBERS = {"y": "<B", "b": "<I", "u": "<I", "i": "<i", "t": "<Q"}


class Variant:
    """A value that carries its type."""

    def __init__(self, signature: str, value: object) -> None:
        self.signature, self.value = signature, value


class Writer:
    """Writes values by their signature, aligned from the beginning."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, signature: str, *values: object) -> Writer:
        """Append values of these types."""
        for kind, value in zip(split(signature), values, strict=True):
            self._align(_ALIGNMENTS[kind[0]])
            self._one(kind, value)
        return self

    def _align(self, to: int) -> None:
        self.data += b"\0" * (-len(self.data) % to)

    def _one(self, kind: str, value: object) -> None:
        if kind in _NUMBERS:
            self.data += struct.pack(_NUMBERS[kind], value)
        elif kind in {"s", "o"}:
            raw = str(value).encode()
            self.data += struct.pack("<I", len(raw)) + raw + b"\0"
        elif kind == "g":
            raw = str(value).encode()
            self.data += bytes([len(raw)]) + raw + b"\0"
        elif kind == "v":
            assert isinstance(value, Variant)  # noqa: S101 - for the type checker
            self._one("g", value.signature)
            self.write(value.signature, value.value)
        elif kind[0] == "(":
            assert isinstance(value, tuple)  # noqa: S101
            self.write(kind[1:-1], *value)
        else:
            self._array(kind[1:], value)

    def _array(self, kind: str, value: object) -> None:
        assert isinstance(value, list | bytes)  # noqa: S101
        place = len(self.data)
        self.data += b"\0\0\0\0"
        # What fills up to the first element does not count.
        self._align(_ALIGNMENTS[kind[0]])
        start = len(self.data)
        for each in value:
            self.write(kind, each)
        struct.pack_into("<I", self.data, place, len(self.data) - start)


def split(signature: str) -> list[str]:
    """Return the complete types of a signature: ``sa(sv)u`` has three."""
    found, at = [], 0
    while at < len(signature):
        start = at
        while signature[at] == "a":
            at += 1
        if signature[at] == "(":
            depth = 0
            while True:
                depth += {"(": 1, ")": -1}.get(signature[at], 0)
                at += 1
                if depth == 0:
                    break
        else:
            at += 1
        found.append(signature[start:at])
    return found


def call(
    serial: int, to: tuple[str, str, str], member: str, signature: str = "", body: bytes = b""
) -> bytes:
    """Return a call of a method; ``to`` is a name, a path and an interface.

    ``body`` is what a ``Writer`` made of the arguments.
    """
    name, path, interface = to
    fields: list[tuple[int, Variant]] = [
        (_PATH, Variant("o", path)),
        (_INTERFACE, Variant("s", interface)),
        (_MEMBER, Variant("s", member)),
        (_DESTINATION, Variant("s", name)),
    ]
    if signature:
        fields.append((_SIGNATURE, Variant("g", signature)))
    head = Writer()
    head.write("yyyyuu", ord("l"), METHOD_CALL, 0, 1, len(body), serial)
    head.write("a(yv)", fields)
    head.data += b"\0" * (-len(head.data) % 8)
    return bytes(head.data) + body
