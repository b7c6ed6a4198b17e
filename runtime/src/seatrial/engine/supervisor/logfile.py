"""A container's log: a JSON object per line, as Docker's driver json-file writes it."""

from __future__ import annotations

import os
import time
from json.encoder import encode_basestring

#: A longer line is written in parts; only the last part ends with a newline.
LONGEST_LINE = 16 * 1024


class LogFile:
    """Appends what a container says; rotates when the file has grown to ``max_bytes``."""

    def __init__(self, path: str, max_bytes: int = 0, max_files: int = 1) -> None:
        self._path, self._max_bytes, self._max_files = path, max_bytes, max_files
        self._partial: dict[str, bytes] = {}
        self._open()

    def _open(self) -> None:
        self._file = os.open(
            self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640
        )
        self._size_bytes = os.fstat(self._file).st_size

    def write(self, stream: str, data: bytes) -> None:
        """Take what came from a stream; whole lines are written at once."""
        data = self._partial.pop(stream, b"") + data
        lines = []
        at = 0
        while at < len(data):
            end = data.find(b"\n", at, at + LONGEST_LINE) + 1
            if not end:
                if len(data) - at < LONGEST_LINE:
                    break
                end = at + LONGEST_LINE
            lines.append(_line(stream, data[at:end]))
            at = end
        if at < len(data):
            self._partial[stream] = data[at:]
        self._append(lines)

    def end(self, stream: str) -> None:
        """Write what a stream has said since its last newline."""
        rest = self._partial.pop(stream, b"")
        if rest:
            self._append([_line(stream, rest)])

    def _append(self, lines: list[bytes]) -> None:
        batch: list[bytes] = []
        size = 0
        for line in lines:
            full = self._size_bytes + size + len(line) > self._max_bytes
            if self._max_bytes and full and self._size_bytes + size:
                self._write(b"".join(batch))
                self._rotate()
                batch, size = [], 0
            batch.append(line)
            size += len(line)
        self._write(b"".join(batch))

    def _write(self, data: bytes) -> None:
        self._size_bytes += len(data)
        while data:
            data = data[os.write(self._file, data) :]

    def _rotate(self) -> None:
        os.close(self._file)
        names = [self._path, *(f"{self._path}.{number}" for number in range(1, self._max_files))]
        for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
            if os.path.exists(newer):
                os.rename(newer, older)
        if self._max_files == 1:
            os.unlink(self._path)
        self._open()


def _line(stream: str, data: bytes) -> bytes:
    text = encode_basestring(data.decode(errors="replace"))
    seconds, rest = divmod(time.time_ns(), 1_000_000_000)
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    line = f'{{"log":{text},"stream":"{stream}","time":"{moment}.{rest:09}Z"}}\n'
    return line.encode(errors="replace")
