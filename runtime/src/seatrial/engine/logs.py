"""What a container has said: its log read, and followed while it grows."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, NamedTuple

from seatrial.engine import clock, kernel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

_CHUNK = 1 << 16


class Entry(NamedTuple):
    """A line, or a part of a long one."""

    stream: str
    text: bytes
    time: str


class Wanted(NamedTuple):
    """What of a log is to be told."""

    streams: frozenset[str]
    since_ns: int = 0
    until_ns: int | None = None
    #: How many entries from the end; None for all.
    tail: int | None = None


def files(path: str) -> list[str]:
    """Return the files of a log, the oldest first."""
    found, number = [path], 1
    while os.path.exists(f"{path}.{number}"):
        found.insert(0, f"{path}.{number}")
        number += 1
    return [each for each in found if os.path.exists(each)]


def _entry(line: bytes) -> Entry | None:
    try:
        told = json.loads(line)
        return Entry(str(told["stream"]), str(told["log"]).encode(), str(told["time"]))
    except (ValueError, KeyError, TypeError):
        return None  # half a line, of a supervisor that was killed


def _wanted(entry: Entry | None, wanted: Wanted) -> bool:
    if entry is None or entry.stream not in wanted.streams:
        return False
    if not wanted.since_ns and wanted.until_ns is None:
        return True
    moment = clock.to_ns(entry.time)
    return moment >= wanted.since_ns and (wanted.until_ns is None or moment <= wanted.until_ns)


class Log:
    """A log that is being read."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = -1
        self._rest = b""

    def past(self, wanted: Wanted) -> Iterator[Entry]:
        """Yield what is there; ``more`` goes on from its end."""
        paths = files(self._path)
        if wanted.tail is not None:
            entries = [each for path in paths for each in self._read(path, wanted)]
            yield from entries[len(entries) - min(wanted.tail, len(entries)) :]
        else:
            for path in paths:
                yield from self._read(path, wanted)

    def _read(self, path: str, wanted: Wanted) -> Iterator[Entry]:
        self.close()
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # rotated meanwhile
            return
        self._rest = b""
        yield from self.more(wanted)

    def more(self, wanted: Wanted) -> Iterator[Entry]:
        """Yield what was added."""
        while self._file >= 0 and (data := os.read(self._file, _CHUNK)):
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                entry = _entry(line)
                if entry is not None and _wanted(entry, wanted):
                    yield entry

    def again(self) -> None:
        """Go on with the file that has the name now: the log was rotated."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return
        if self._file < 0 or (found.st_ino != os.fstat(self._file).st_ino):
            self.close()
            self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            self._rest = b""

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


async def follow(
    path: str, wanted: Wanted, over: asyncio.Future[int], running: Callable[[], bool]
) -> AsyncGenerator[Entry]:
    """Yield what is there and then what comes, until the container has ended."""
    log = Log(path)
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()
    notifier = kernel.inotify_init()
    over.add_done_callback(lambda _: changed.set())
    try:
        mask = kernel.IN_MODIFY | kernel.IN_CREATE | kernel.IN_MOVED_TO
        kernel.inotify_add_watch(notifier, os.path.dirname(path), mask)

        def notified() -> None:
            os.read(notifier, 1 << 16)
            changed.set()

        loop.add_reader(notifier, notified)
        for entry in log.past(wanted):
            yield entry
        while True:
            ended = over.done() or not running()
            for entry in log.more(wanted):
                yield entry
            log.again()
            for entry in log.more(wanted):
                yield entry
            if ended:
                return
            await changed.wait()
            changed.clear()
    finally:
        loop.remove_reader(notifier)
        os.close(notifier)
        log.close()
