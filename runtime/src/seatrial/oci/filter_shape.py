"""A seccomp filter in the shape that the kernel loads fastest.

Each instruction of a filter is checked and translated, and the kernel then runs it for every system
call of every architecture, to know which are allowed in any case (seccomp_cache_prepare).  So few
instructions and few steps count.  libseccomp's have a comparison for each call; this finds out what
its filter does with each number and searches for the run of neighbours that a number is in.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, TypeAlias

_LOAD, _JUMP, _AND, _RETURN = 0x20, 0x05, 0x54, 0x06
_EQUAL, _GREATER, _AT_LEAST, _ANY_BIT = 0x15, 0x25, 0x35, 0x45
_COMPARISONS = {_EQUAL, _GREATER, _AT_LEAST, _ANY_BIT}
_NUMBER, _ARCHITECTURE = 0, 4  # where they are in struct seccomp_data
_LAST = 0xFFFFFFFF
_REACH = 250  # instructions that a comparison jumps over: 255 at most
_PATIENCE = 100_000
_INSTRUCTION = struct.Struct("=HBBI")

Instruction: TypeAlias = tuple[int, int, int, int]
#: What is left to do once the call's number is known: ("return", action), ("load", offset, rest),
#: ("and", mask, rest), or (code of a comparison, value, rest if so, rest if not).  Equal ones are
#: one object, so they are told apart by identity.
Rest: TypeAlias = tuple[object, ...]


class _UnknownError(Exception):
    """This is no filter of the kind that libseccomp makes."""


class _Run(NamedTuple):
    """Numbers from ``first`` on, up to the next run, with which the same is done."""

    first: int
    rest: Rest


def reshaped(program: bytes) -> bytes:
    """Return a filter that decides like ``program``, shorter; the same if it cannot be made so."""
    try:
        made = _Maker(_Reader([*_INSTRUCTION.iter_unpack(program)])).program()
    except (_UnknownError, RecursionError):
        return program
    return made if len(made) < len(program) else program


class _Reader:
    """Says what a filter does with which numbers."""

    def __init__(self, program: list[Instruction]) -> None:
        self.program = program
        self._rests: dict[Rest, Rest] = {}
        self._read: dict[int, Rest] = {}
        self._patience = _PATIENCE

    def architectures(self) -> list[int]:
        """Return those that it asks for, in its order."""
        found: dict[int, None] = {}
        seen: set[tuple[int, int]] = set()
        waiting = [(0, -1)]
        while waiting:
            place, loaded = here = waiting.pop()
            if here in seen:
                continue
            seen.add(here)
            if place >= len(self.program):
                raise _UnknownError
            code, yes, no, value = self.program[place]
            if code == _LOAD:
                waiting.append((place + 1, value))
            elif code == _JUMP:
                waiting.append((place + 1 + value, loaded))
            elif code in _COMPARISONS:
                if code == _EQUAL and loaded == _ARCHITECTURE:
                    found[value] = None
                waiting += [(place + 1 + yes, loaded), (place + 1 + no, loaded)]
            elif code == _AND:
                waiting.append((place + 1, loaded))
            elif code != _RETURN:
                raise _UnknownError
        return [*found]

    def runs(self, architecture: int | None) -> list[_Run]:
        """Return what is done with each number of an architecture, or of all others."""
        found: list[_Run] = []
        waiting = [(0, -1, 0, _LAST)]
        while waiting:
            place, loaded, first, last = waiting.pop()
            self._patience -= 1
            if place >= len(self.program) or self._patience < 0:
                raise _UnknownError
            code, yes, no, value = self.program[place]
            if code == _LOAD and value in {_NUMBER, _ARCHITECTURE}:
                waiting.append((place + 1, value, first, last))
            elif code in {_LOAD, _RETURN}:
                found.append(_Run(first, self._rest(place)))
            elif code == _JUMP:
                waiting.append((place + 1 + value, loaded, first, last))
            elif code == _EQUAL and loaded == _ARCHITECTURE:
                jump = yes if value == architecture else no
                waiting.append((place + 1 + jump, loaded, first, last))
            elif code in _COMPARISONS - {_ANY_BIT} and loaded == _NUMBER:
                for low, high, holds in _split(code, value):
                    if max(low, first) <= min(high, last):
                        jump = yes if holds else no
                        part = (place + 1 + jump, loaded, max(low, first), min(high, last))
                        waiting.append(part)
            else:
                raise _UnknownError
        found.sort()
        return [
            run
            for number, run in enumerate(found)
            if number == 0 or run.rest is not found[number - 1].rest
        ]

    def _rest(self, place: int) -> Rest:
        """Return what is done from an instruction on, which depends on arguments alone."""
        if place in self._read:
            return self._read[place]
        if place >= len(self.program):
            raise _UnknownError
        code, yes, no, value = self.program[place]
        if code == _JUMP:
            return self._rest(place + 1 + value)
        if code == _RETURN:
            rest: Rest = ("return", value)
        elif code == _LOAD and value not in {_NUMBER, _ARCHITECTURE}:
            rest = ("load", value, self._rest(place + 1))
        elif code == _AND:
            rest = ("and", value, self._rest(place + 1))
        elif code in _COMPARISONS:
            rest = (code, value, self._rest(place + 1 + yes), self._rest(place + 1 + no))
        else:
            raise _UnknownError
        known = self._rests.setdefault(_by_identity(rest), rest)
        return self._read.setdefault(place, known)


def _by_identity(rest: Rest) -> Rest:
    return tuple(id(each) if isinstance(each, tuple) else each for each in rest)


def _split(code: int, value: int) -> list[tuple[int, int, bool]]:
    """Return the ranges of numbers for which a comparison holds and does not."""
    if code == _EQUAL:
        return [(0, value - 1, False), (value, value, True), (value + 1, _LAST, False)]
    border = value + 1 if code == _GREATER else value
    return [(0, border - 1, False), (border, _LAST, True)]


class _Maker:
    """Writes a filter from its end, as jumps only lead forward."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        self._backwards: list[Instruction] = []
        self._placed: dict[int, int] = {}

    def program(self) -> bytes:
        """Return the filter."""
        other = self._search(self._reader.runs(None))
        for architecture in reversed(self._reader.architectures()):
            found = self._search(self._reader.runs(architecture))
            other = self._compare(_EQUAL, architecture, found, other)
        self._backwards.append((_LOAD, 0, 0, _ARCHITECTURE))
        return b"".join(_INSTRUCTION.pack(*each) for each in reversed(self._backwards))

    def _search(self, runs: list[_Run]) -> int:
        """Write the search for the run that a number is in; return its place from the end."""
        if len(runs) == 1:
            return self._write(runs[0].rest)
        for run in runs:
            self._write(run.rest)
        self._halve(runs)
        self._backwards.append((_LOAD, 0, 0, _NUMBER))
        return len(self._backwards)

    def _halve(self, runs: list[_Run]) -> int:
        if len(runs) == 1:
            return self._write(runs[0].rest)
        half = len(runs) // 2
        upper = self._halve(runs[half:])
        lower = self._halve(runs[:half])
        return self._compare(_AT_LEAST, runs[half].first, upper, lower)

    def _write(self, rest: Rest) -> int:
        """Write what is done, unless it is there; return its place."""
        if id(rest) not in self._placed:
            self._placed[id(rest)] = self._write_new(rest)
        return self._placed[id(rest)]

    def _write_new(self, rest: Rest) -> int:
        kind, value, *next_ = rest
        assert isinstance(value, int)  # noqa: S101 - for the type checker
        places = [self._write(each) for each in next_ if isinstance(each, tuple)]
        if isinstance(kind, int):
            return self._compare(kind, value, *places)
        if places and places[0] != len(self._backwards):
            self._backwards.append((_JUMP, 0, 0, len(self._backwards) - places[0]))
        code = {"return": _RETURN, "load": _LOAD, "and": _AND}[str(kind)]
        self._backwards.append((code, 0, 0, value))
        return len(self._backwards)

    def _compare(self, code: int, value: int, yes: int, no: int) -> int:
        yes = self._near(yes)
        no = self._near(no)
        here = len(self._backwards)
        self._backwards.append((code, here - yes, here - no, value))
        return here + 1

    def _near(self, place: int) -> int:
        """Return a place from which a comparison reaches: a jump to it, or a copy of a return."""
        here = len(self._backwards)
        if here - place <= _REACH:
            return place
        there = self._backwards[place - 1]
        self._backwards.append(there if there[0] == _RETURN else (_JUMP, 0, 0, here - place))
        return here + 1
