"""Tar archives read entry by entry: ustar, PAX and GNU's long names (tar(5)), and nothing else.

Python's own module reads more formats, keeps what an archive makes it keep, and takes several times
as long for each entry. Here an entry costs little, and no header makes us read more than it may.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from seatrial.engine.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    class Source(Protocol):
        """What can be read."""

        def read(self, size: int = ..., /) -> bytes:
            """Read at most so much; nothing at the end."""


FILE, LINK, SYMLINK, CHARACTER, BLOCK, FOLDER, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
_FILES = frozenset({b"0", b"\0", b"7"})
_PAX, _PAX_FOR_ALL, _LONG_NAME, _LONG_LINK = b"x", b"g", b"L", b"K"
_SPARSE = b"S"
#: What has no content, whatever its size says.
_EMPTY = frozenset({LINK, SYMLINK, CHARACTER, BLOCK, FOLDER, FIFO})
_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s8s64x8s8s155s12x")
_SIZE = 512
_ADLER = 65521
_END = bytes(_SIZE)
#: Of a PAX header, a long name: Linux takes no longer path, and attributes are at most 64 KiB each.
_LONGEST_HEADER = 1 << 20
_LONGEST_PATH = 4096
_CHUNK = 1 << 16
_XATTR = "SCHILY.xattr."


class Entry(NamedTuple):
    """One entry; ``kind`` is FILE and so on, or a byte that has no meaning here."""

    name: str
    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    link: str
    device: tuple[int, int]
    xattrs: dict[str, bytes]


class Reader:
    """Gives the entries of an archive, and of each the content as far as somebody wants it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._buffer, self._at = b"", 0
        #: Of the entry at hand: what was not read of its content, and of the block after it.
        self._left = self._padding = 0

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entries; raises BadRequest for what is no archive."""
        for_all: dict[str, bytes] = {}
        own: dict[str, bytes] = {}
        begun = False
        while True:
            self._skip(self._left + self._padding)
            self._left = self._padding = 0
            block = self._take(_SIZE)
            if len(block) < _SIZE or block == _END:
                if len(block) not in {0, _SIZE} or not (block or begun) or own:
                    raise _invalid("truncated header")
                return
            begun = True
            fields = _fields(block)
            kind, size = fields[7], _number(fields[4])
            if kind in {_PAX, _PAX_FOR_ALL, _LONG_NAME, _LONG_LINK}:
                data = self._header_data(size)
                if kind == _PAX:
                    own.update(_records(data))
                elif kind == _PAX_FOR_ALL:
                    for_all.update(_records(data))
                else:
                    name = "path" if kind == _LONG_NAME else "linkpath"
                    own[name] = data.partition(b"\0")[0]
                continue
            entry = _entry(fields, size, {**for_all, **own} if own or for_all else own)
            own = {}
            if entry.kind not in _EMPTY:
                self._left, self._padding = entry.size, -entry.size % _SIZE
            yield entry

    def read(self) -> memoryview:
        """Read on in the entry's content, as much as is at hand; nothing at its end."""
        if not self._left:
            return memoryview(b"")
        if self._at == len(self._buffer):
            self._buffer, self._at = self._source.read(_CHUNK), 0
            if not self._buffer:
                raise _invalid("it ends within a file")
        end = min(self._at + self._left, len(self._buffer))
        data = memoryview(self._buffer)[self._at : end]
        self._left -= len(data)
        self._at = end
        return data

    def _header_data(self, size: int) -> bytes:
        if size > _LONGEST_HEADER:
            raise _invalid(f"a header of {size} bytes")
        data = self._take(size)
        self._skip(-size % _SIZE)
        if len(data) < size:
            raise _invalid("truncated header")
        return data

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end <= len(self._buffer):
            data = self._buffer[self._at : end]
            self._at = end
            return data
        pieces = [self._buffer[self._at :]]
        missing = size - len(pieces[0])
        while missing > 0:
            self._buffer = self._source.read(_CHUNK)
            self._at = min(missing, len(self._buffer))
            if not self._buffer:
                break
            pieces.append(self._buffer[: self._at])
            missing -= self._at
        return b"".join(pieces)

    def _skip(self, size: int) -> None:
        while size > 0:
            data = self._take(min(size, _CHUNK))
            if not data:
                raise _invalid("it ends within a file")
            size -= len(data)


def _invalid(why: str) -> BadRequest:
    return BadRequest(f"invalid tar archive: {why}")


_Fields = tuple[
    bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes
]


def _fields(block: bytes) -> _Fields:
    """Part a header; its checksum is the sum of its bytes, with spaces in the checksum's place.

    Half of Adler's checksum is that sum too (RFC 1950), and zlib twenty times as fast as sum().
    """
    fields: _Fields = _HEADER.unpack(block)
    expected = _number(fields[6]) + sum(fields[6]) - 8 * 0x20
    if zlib.adler32(block) & 0xFFFF != (expected + 1) % _ADLER:
        raise _invalid("bad checksum")
    return fields


def _number(field: bytes) -> int:
    if field[0] & 0x80:  # GNU's way to write large ones
        value = int.from_bytes(field[1:])
        return value if field[0] == 0x80 else value - (1 << 8 * (len(field) - 1))  # noqa: PLR2004
    try:
        return int(field.partition(b"\0")[0].strip() or b"0", 8)
    except ValueError:
        raise _invalid(f"no number: {field!r}") from None


def _entry(fields: _Fields, size: int, pax: dict[str, bytes]) -> Entry:
    name, mode, uid, gid, _, mtime, _, kind, link, magic, major, minor, prefix = fields
    path = name.partition(b"\0")[0]
    if prefix[0] and magic.startswith(b"ustar\0"):
        path = prefix.partition(b"\0")[0] + b"/" + path
    values = (_number(mode), _number(uid), _number(gid), size, _number(mtime) * 1_000_000_000)
    target = link.partition(b"\0")[0]
    xattrs: dict[str, bytes] = {}
    if kind == _SPARSE or any(each.startswith("GNU.sparse.") for each in pax):
        raise _invalid("sparse files are not read (hint: tar without --sparse)")
    if pax:
        path, target = pax.get("path", path), pax.get("linkpath", target)
        values = _overridden(values, pax)
        xattrs = {
            each.removeprefix(_XATTR): value
            for each, value in pax.items()
            if each.startswith(_XATTR)
        }
    if kind in _FILES:
        # A slash at the end meant a folder before there was a kind for it.
        kind = FOLDER if kind == b"\0" and path.endswith(b"/") else FILE
    if len(path) > _LONGEST_PATH or len(target) > _LONGEST_PATH:
        raise _invalid(f"a name of {max(len(path), len(target))} bytes")
    if b"\0" in path or b"\0" in target or not path:
        raise _invalid(f"an entry's name is {path!r}")
    if values[3] < 0:
        raise _invalid("an entry of less than nothing")
    numbers = (_number(major), _number(minor)) if kind in {CHARACTER, BLOCK} else (0, 0)
    return Entry(_text(path), kind, *values, _text(target), numbers, xattrs)


def _overridden(
    values: tuple[int, int, int, int, int], pax: dict[str, bytes]
) -> tuple[int, int, int, int, int]:
    mode, uid, gid, size, mtime = values
    try:
        uid, gid = int(pax.get("uid", uid)), int(pax.get("gid", gid))
        size = int(pax.get("size", size))
        if "mtime" in pax:
            seconds, _, part = pax["mtime"].decode().partition(".")
            nanoseconds = int(part[:9].ljust(9, "0") or "0")
            mtime = int(seconds) * 1_000_000_000 + nanoseconds * (-1 if seconds[:1] == "-" else 1)
    except ValueError as error:
        raise _invalid(str(error)) from None
    return mode, uid, gid, size, mtime


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _records(data: bytes) -> dict[str, bytes]:
    """Read a PAX header: records of a length, a space, NAME=VALUE and the end of a line."""
    found: dict[str, bytes] = {}
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        try:
            length = int(data[at:space]) if space > at else 0
        except ValueError:
            length = 0
        name, equals, value = data[space + 1 : at + length].partition(b"=")
        if length <= 0 or not equals or value[-1:] != b"\n" or at + length > len(data):
            raise _invalid("a PAX header that is none")
        found[_text(name)] = value[:-1]
        at += length
    return found
