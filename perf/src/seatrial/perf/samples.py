"""samples.jsonl: every sample as it was seen, a line each, written at once."""

from __future__ import annotations

import json
import lzma
from typing import TYPE_CHECKING, Any

from seatrial.perf.errors import RunError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Line = dict[str, Any]
NAME = "samples.jsonl"
#: What it is called in a published run.
COMPRESSED = f"{NAME}.xz"


class Samples:
    """The file of one run, open for more."""

    def __init__(self, folder: Path) -> None:
        """Open it, and begin a line of its own after one that was cut off."""
        self.path = folder / NAME
        try:
            before = self.path.read_bytes() if self.path.exists() else b""
            self._file = self.path.open("ab", buffering=0)
            if before and not before.endswith(b"\n"):
                self._write(b"\n")
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> RunError:
        return RunError(
            f"cannot write {self.path}: {error.strerror}",
            hint="what was measured before is kept; make room, then go on with --resume",
        )

    def _write(self, content: bytes) -> None:
        while content:
            content = content[self._file.write(content) :]

    def add(self, line: Line) -> None:
        """Write one line; raises ``RunError`` where there is no room for it."""
        try:
            self._write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        except OSError as error:
            raise self._unwritable(error) from None

    def close(self) -> None:
        """Close it."""
        self._file.close()


def content_of(folder: Path) -> bytes:
    """Return the file's bytes; raises ``UsageError`` where it is missing or cannot be read."""
    path = folder / NAME
    try:
        if not path.exists() and (folder / COMPRESSED).exists():
            path = folder / COMPRESSED
            return lzma.decompress(path.read_bytes())
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except (lzma.LZMAError, EOFError):
        raise UsageError(f"{path} is damaged or cut off") from None


def read(folder: Path) -> Iterator[Line]:
    """Yield the lines of a run; one that was cut off by the end of the run is passed over."""
    path, content = folder / NAME, content_of(folder)
    for number, text in enumerate(content.split(b"\n"), 1):
        if not text:
            continue
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if not isinstance(line, dict) or "block" not in line:
            raise UsageError(f"{path}, line {number} is not a sample")
        yield line
