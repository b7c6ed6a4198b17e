"""Running a command of the runtime under a timeout, and what came of it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from seatrial.conformance import processes
from seatrial.conformance.errors import Crashed, Hung, UnfitError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CHUNK_BYTES = 1 << 16
_SHOWN_CHARACTERS = 2000


@dataclass(frozen=True)
class Result:
    """One finished command: ``exit_status`` is negative when a signal ended it (waitpid(2))."""

    argv: tuple[str, ...]
    exit_status: int
    stdout: bytes = b""
    stderr: bytes = b""
    duration_s: float = field(default=0.0, compare=False)

    @property
    def ok(self) -> bool:
        """Whether the command reported success."""
        self._not_crashed()
        return self.exit_status == 0

    @property
    def failed(self) -> bool:
        """Whether the command reported an error; a crash is neither and raises ``Crashed``."""
        self._not_crashed()
        return self.exit_status != 0

    def _not_crashed(self) -> None:
        if self.exit_status < 0:
            name = signal.Signals(-self.exit_status).name
            raise Crashed(f"ended by {name}: {self!r}")

    def __repr__(self) -> str:
        """Show argv as a shell would take it, the exit status and both streams."""
        streams = [
            f"{name} {_shown(content)}"
            for name, content in (("stdout", self.stdout), ("stderr", self.stderr))
            if content
        ]
        said = ", ".join([f"exit status {self.exit_status}", *streams]) + (
            "" if streams else ", both streams empty"
        )
        return f"<{shlex.join(self.argv)} → {said}>"


def _shown(content: bytes) -> str:
    text = content.decode(errors="backslashreplace").strip()
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")


class Stream:
    """The reading end of a pipe whose other end a command, and what it leaves running, holds."""

    def __init__(self) -> None:
        """Make the pipe; ``writer`` is for the command and is closed here once it has it."""
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.reader, False)
        # The largest pipe an ordinary user gets: a whole report fits even when nobody reads yet.
        with contextlib.suppress(OSError):
            fcntl.fcntl(self.reader, fcntl.F_SETPIPE_SZ, 1 << 20)
        self.content = b""
        self.ended = False

    def read(self) -> None:
        """Take in all that is there now, without waiting."""
        while not self.ended:
            try:
                chunk = os.read(self.reader, _CHUNK_BYTES)
            except BlockingIOError:
                return
            self.content += chunk
            self.ended = not chunk

    def close_writer(self) -> None:
        """Give up our copy of the writing end, so that the end of the stream can be seen."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def close(self) -> None:
        """Close what is open; safe to repeat."""
        self.close_writer()
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1
            self.ended = True


@dataclass(frozen=True)
class Streams:
    """The standard output and error that a command and its container share."""

    stdout: Stream = field(default_factory=Stream)
    stderr: Stream = field(default_factory=Stream)

    def open(self) -> list[Stream]:
        """Return the streams that have not ended."""
        return [stream for stream in (self.stdout, self.stderr) if not stream.ended]

    def read(self) -> None:
        """Take in all that is there now on both."""
        self.stdout.read()
        self.stderr.read()

    def close(self) -> None:
        """Close both; safe to repeat."""
        self.stdout.close()
        self.stderr.close()


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    environ: Mapping[str, str],
    cwd: str | None = None,
    stdin: int = subprocess.DEVNULL,
    streams: Streams | None = None,
    pass_fds: Sequence[int] = (),
    umask: int = -1,
) -> Result:
    """Run ``argv`` to its end and return the ``Result``.

    Returns when the command itself has ended, even if something it started still holds its
    streams; ``streams`` then go on to be read by the caller.  Raises ``Hung`` when ``timeout_s``
    has passed, after killing the command and all below it, and ``UnfitError`` when it cannot be
    executed.
    """
    own = streams is None
    streams = streams if streams is not None else Streams()
    began = time.monotonic()
    try:
        try:
            process = subprocess.Popen(
                argv,
                stdin=stdin,
                stdout=streams.stdout.writer,
                stderr=streams.stderr.writer,
                cwd=cwd,
                env=dict(environ),
                pass_fds=tuple(pass_fds),
                umask=umask,
                start_new_session=True,
            )
        except OSError as error:
            raise UnfitError(f"cannot execute {argv[0]}: {error.strerror}") from None
        streams.stdout.close_writer()
        streams.stderr.close_writer()
        before = len(streams.stdout.content), len(streams.stderr.content)
        _wait(process, streams, began + timeout_s, timeout_s)
        streams.read()
        return Result(
            argv=tuple(argv),
            exit_status=process.returncode,
            stdout=streams.stdout.content[before[0] :],
            stderr=streams.stderr.content[before[1] :],
            duration_s=time.monotonic() - began,
        )
    finally:
        if own:
            streams.close()


def _wait(
    process: subprocess.Popen[bytes], streams: Streams, deadline: float, timeout_s: float
) -> None:
    pidfd = os.pidfd_open(process.pid)
    try:
        while True:
            readers = {stream.reader: stream for stream in streams.open()}
            ready = processes.poll([pidfd, *readers], deadline - time.monotonic())
            for descriptor in ready:
                if descriptor in readers:
                    readers[descriptor].read()
            if pidfd in ready:
                process.wait()
                return
            if not ready:
                _end(process)
                streams.read()
                said = _shown(streams.stderr.content)
                raise Hung(
                    f"no answer within {timeout_s:g} s: {shlex.join(map(str, process.args))}"  # type: ignore[arg-type]
                    f" (stderr so far {said})"
                )
    finally:
        os.close(pidfd)


def _end(process: subprocess.Popen[bytes]) -> None:
    processes.end_all(below=process.pid)
    process.kill()
    process.wait()
