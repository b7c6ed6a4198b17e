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
#: The largest pipe an ordinary user gets: a whole report fits even when nobody reads yet.
_PIPE_BYTES = 1 << 20
#: What is kept of a stream; the longest report is a small part of it.
_KEPT_BYTES = 1 << 24
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
            raise Crashed(f"ended by {_signal_name(-self.exit_status)}: {self!r}")

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


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _shown(content: bytes) -> str:
    text = content.decode(errors="backslashreplace").strip()
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")


class Stream:
    """The reading end of a pipe whose other end a command, and what it leaves running, holds."""

    def __init__(self) -> None:
        """Make the pipe; ``writer`` is for the command and is closed here once it has it."""
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.reader, False)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self.reader, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self.content = b""
        self.ended = False

    def read(self) -> None:
        """Take in all that is there now, without waiting."""
        # Twice what the pipe holds, and not until it is empty: that may never be.
        for _ in range(2 * _PIPE_BYTES // _CHUNK_BYTES):
            if self.ended:
                return
            try:
                chunk = os.read(self.reader, _CHUNK_BYTES)
            except BlockingIOError:
                return
            # The rest of an endless stream is read, so that its writer goes on, and not kept.
            self.content += chunk[: _KEPT_BYTES - len(self.content)]
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


def run(  # noqa: PLR0913 - each is one property of the command
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
    has passed, after killing the command and all that it started, and ``UnfitError`` when it
    cannot be executed.
    """
    others = frozenset(processes.children(os.getpid()))
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
            raise UnfitError(f"cannot execute {argv[0]}: {_why(argv[0], error)}") from None
        streams.stdout.close_writer()
        streams.stderr.close_writer()
        before = len(streams.stdout.content), len(streams.stderr.content)
        try:
            _wait(process, streams, began + timeout_s, timeout_s)
        except BaseException:
            # All that is new below us, not only below the command: what it started may have been
            # orphaned, and has become our child if we are its subreaper.
            processes.end_all(others)
            process.wait()
            raise
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
    try:
        pidfd = os.pidfd_open(process.pid)
    except ProcessLookupError:  # it has ended, and was collected
        _collect(process)
        return
    try:
        while True:
            readers = {stream.reader: stream for stream in streams.open()}
            ready = processes.poll([pidfd, *readers], deadline - time.monotonic())
            for descriptor in ready:
                if descriptor in readers:
                    readers[descriptor].read()
            if pidfd in ready:
                _collect(process)
                return
            if not ready or time.monotonic() > deadline:
                said = _shown(streams.stderr.content)
                raise Hung(
                    f"no answer within {timeout_s:g} s: {shlex.join(map(str, process.args))}"  # type: ignore[arg-type]
                    f" (stderr so far {said})",
                    killed=True,
                )
    finally:
        os.close(pidfd)


def _collect(process: subprocess.Popen[bytes]) -> None:
    """Take the exit status of a command that has ended, whoever has collected it."""
    status = processes.reap(process.pid, block=True)
    if status is not None:
        process.returncode = status
    process.wait()


def _why(path: str, error: OSError) -> str:
    if error.filename != path:  # the working directory
        return f"{error.strerror}: {error.filename}"
    if isinstance(error, FileNotFoundError) and os.path.exists(path):
        return "the interpreter that its first line names does not exist"
    return error.strerror or str(error)
