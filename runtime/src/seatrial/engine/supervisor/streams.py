"""The standard streams of one process: the container's own, or one of docker exec."""

from __future__ import annotations

import array
import fcntl
import os
import socket
import struct
import termios
from typing import TYPE_CHECKING

from seatrial.engine.supervisor.attachments import CHUNK, PATIENCE_BYTES, Attachment
from seatrial.engine.supervisor.loop import HANGUP, READ, WRITE

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.engine.supervisor.logfile import LogFile
    from seatrial.engine.supervisor.loop import Loop


class Streams:
    """Pipes or a terminal on one side, clients and the log on the other."""

    def __init__(
        self, loop: Loop, *, stdin: bool, stdin_once: bool, tty: bool, log: LogFile | None
    ) -> None:
        self._loop, self._log = loop, log
        self.tty, self._stdin_once = tty, stdin_once
        self._attachments: list[Attachment] = []
        self._outputs: dict[int, str] = {}
        self._input = -1
        self._to_write = bytearray()
        self._closing = False
        #: Called when the process has said its last, and whenever a client is done with.
        self.on_end: Callable[[], None] = lambda: None
        self.on_sent: Callable[[], None] = lambda: None
        #: What the process gets as its 0, 1 and 2; closed here once it is started.
        self.given: dict[int, int] = {}
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        if tty:
            self.given = {0: null, 1: os.dup(null), 2: os.dup(null)}
            return
        self.given[0] = null
        if stdin:
            os.close(null)
            self.given[0], self._input = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(self._input, False)
        for number, name in ((1, "stdout"), (2, "stderr")):
            ours, self.given[number] = os.pipe2(os.O_CLOEXEC)
            self._outputs[ours] = name

    def take_terminal(self, terminal: int) -> None:
        """Take the terminal's other end, which the runtime has sent."""
        os.set_blocking(terminal, False)
        self._outputs[terminal] = "stdout"
        self._input = terminal

    def begin(self) -> None:
        """Start to read, now that the process has its ends of the streams."""
        for descriptor in self.given.values():
            os.close(descriptor)
        self.given = {}
        for descriptor in self._outputs:
            os.set_blocking(descriptor, False)
        self._watch()
        for attachment in list(self._attachments):
            if attachment.has_typed:
                self._on_typed(attachment)

    def attach(self, attachment: Attachment) -> None:
        """Add a client."""
        self._attachments.append(attachment)
        self._watch()
        if not self.given and attachment.has_typed:
            self._on_typed(attachment)

    def resize(self, rows: int, columns: int) -> None:
        """Tell the terminal its size; the kernel tells the program (SIGWINCH)."""
        if self.tty and self._input >= 0:
            size = struct.pack("HHHH", rows & 0xFFFF, columns & 0xFFFF, 0, 0)
            fcntl.ioctl(self._input, termios.TIOCSWINSZ, size)

    @property
    def ended(self) -> bool:
        """Whether the process has said its last."""
        return not self._outputs

    def finish(self) -> None:
        """Close everything; clients get what is still to be sent, if they take it."""
        self._closing = True
        for descriptor in list(self._outputs):
            self._end_output(descriptor)
        self._close_input()
        for descriptor in self.given.values():
            os.close(descriptor)
        self.given = {}
        for attachment in list(self._attachments):
            attachment.ending = True
            attachment.flush()
            if not attachment.waiting_bytes:
                self._drop(attachment)
        self._watch()

    def give_back(self) -> None:
        """Let go of the clients: nothing was started, and the daemon has to tell them so."""
        for client in self._attachments:
            self._loop.forget(client.connection.fileno())
            client.connection.close()
        self._attachments.clear()
        self.finish()

    @property
    def sent(self) -> bool:
        """Whether no client has anything more to get."""
        return not self._attachments

    def _watch(self) -> None:
        """Watch what can make progress now; called whenever that may have changed."""
        stuck = any(client.waiting_bytes > PATIENCE_BYTES for client in self._attachments)
        if not self.given:
            for descriptor, name in self._outputs.items():
                events = 0 if stuck else READ
                if descriptor == self._input and self._to_write:
                    events |= WRITE
                self._watch_if(descriptor, events, self._output_ready(descriptor, name))
            if self._input >= 0 and self._input not in self._outputs:
                self._watch_if(self._input, WRITE if self._to_write else 0, self._input_ready)
        for client in self._attachments:
            reading = client.wants_stdin and not self.given and len(self._to_write) < CHUNK
            events = (READ if reading else 0) | (WRITE if client.waiting_bytes else 0)
            self._loop.watch(client.connection.fileno(), events, self._client_ready(client))

    def _watch_if(self, descriptor: int, events: int, call: Callable[[int], None]) -> None:
        """Watch for events, or for nothing: a hang-up that nobody reads would be told for ever."""
        if events:
            self._loop.watch(descriptor, events, call)
        else:
            self._loop.forget(descriptor)

    def _output_ready(self, descriptor: int, name: str) -> Callable[[int], None]:
        def ready(events: int) -> None:
            if events & WRITE:
                self._write_input()
            if events & (READ | HANGUP):
                self._read_output(descriptor, name)
            self._watch()

        return ready

    def _input_ready(self, _events: int) -> None:
        self._write_input()
        self._watch()

    def _read_output(self, descriptor: int, name: str) -> None:
        try:
            data = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return
        except OSError:  # EIO: nobody has the terminal open any more
            data = b""
        if not data:
            self._end_output(descriptor)
            if self.ended:
                self.on_end()
            return
        if self._log is not None:
            self._log.write(name, data)
        for client in self._attachments:
            client.take(name, data)
        self._drop_broken()

    def _end_output(self, descriptor: int) -> None:
        name = self._outputs.pop(descriptor)
        self._loop.forget(descriptor)
        if self._log is not None:
            self._log.end(name)
        if descriptor == self._input:
            self._input = -1
            self._to_write.clear()
        os.close(descriptor)

    def _client_ready(self, client: Attachment) -> Callable[[int], None]:
        def ready(events: int) -> None:
            if events & WRITE:
                client.flush()
            if events & READ and client.wants_stdin:
                self._on_typed(client)
            elif events & HANGUP:
                client.broken = True
            if client.broken or (client.ending and not client.waiting_bytes):
                self._drop(client)
            self._watch()

        return ready

    def _on_typed(self, client: Attachment) -> None:
        data = client.read()
        if data:
            if self._input >= 0:
                self._to_write += data
                self._write_input()
        elif data is None:
            client.wants_stdin = False
            if self._stdin_once and not self.tty and not client.ending:
                self._closing = True
                if not self._to_write:
                    self._close_input()
        if client.ending:
            self._drop(client)

    def _write_input(self) -> None:
        while self._to_write and self._input >= 0:
            try:
                written = os.write(self._input, self._to_write)
            except BlockingIOError:
                return
            except OSError:  # EPIPE: the program reads no more
                self._to_write.clear()
                if not self.tty:
                    self._close_input()
                return
            del self._to_write[:written]
        if self._closing and not self.tty:
            self._close_input()

    def _close_input(self) -> None:
        if self._input >= 0 and self._input not in self._outputs:
            self._loop.forget(self._input)
            os.close(self._input)
        self._input = -1

    def _drop(self, client: Attachment) -> None:
        if client in self._attachments:
            self._attachments.remove(client)
            self._loop.forget(client.connection.fileno())
            client.close()
            self.on_sent()

    def _drop_broken(self) -> None:
        for client in list(self._attachments):
            if client.broken:
                self._drop(client)


def receive_terminal(listener: socket.socket) -> int:
    """Accept the runtime at the console socket; return the terminal that it sends."""
    connection, _ = listener.accept()
    with connection:
        size = array.array("i").itemsize
        _, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(size))
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                return int(array.array("i", data[:size])[0])
    raise OSError("the runtime sent no terminal")
