"""Archives as they come: plain, or compressed in one of the ways that images use.

All is decompressed in this process: no program is looked up and run on what a client has sent.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import zlib
from typing import IO, TYPE_CHECKING, cast

from seatrial.engine.errors import BadRequest, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

_ZSTD = b"\x28\xb5\x2f\xfd"
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (_ZSTD, "zstd"),
)


def kind_of(beginning: bytes) -> str:
    """Return how something is compressed by its first bytes; nothing for what is not."""
    return next((name for magic, name in _MAGIC if beginning.startswith(magic)), "")


def plain(file: IO[bytes]) -> IO[bytes]:
    """Return what is in a file that can be sought, decompressed while it is read."""
    beginning = file.read(8)
    file.seek(-len(beginning), io.SEEK_CUR)
    kind = kind_of(beginning)
    if kind == "gzip":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    if kind == "bzip2":
        return bz2.BZ2File(file)
    if kind == "xz":
        return lzma.LZMAFile(file)
    if kind == "zstd":
        return _zstd(file)
    return file


def _zstd(file: IO[bytes]) -> IO[bytes]:
    try:
        import zstandard
    except ImportError:
        raise Unsupported("zstd layers need the Python package zstandard") from None
    return io.BufferedReader(
        zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
    )


class Hashing(io.RawIOBase):
    """Reads from another file; knows the digest and the size of all that was read."""

    def __init__(self, source: IO[bytes], keep: Callable[[bytes], object] | None = None) -> None:
        super().__init__()
        self._source, self._keep = source, keep
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def readable(self) -> bool:
        """It is for that."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read, and take account."""
        try:
            data = self._source.read(size)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise BadRequest(f"invalid archive: {error}") from None
        self._hash.update(data)
        self.size_bytes += len(data)
        if self._keep is not None:
            self._keep(data)
        return data

    def drain(self) -> None:
        """Read what is left."""
        while self.read(1 << 18):
            pass

    @property
    def digest(self) -> str:
        """The digest of what was read."""
        return f"sha256:{self._hash.hexdigest()}"
