"""One container from its creation to its end.

The supervisor starts the runtime's command line, owns the container's streams, and writes down its
end exactly once. It is told what to do by the daemon, and needs no daemon to go on.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from seatrial.engine import messages
from seatrial.engine.supervisor.attachments import Attachment, by_names
from seatrial.engine.supervisor.logfile import LogFile
from seatrial.engine.supervisor.loop import HANGUP, READ, Loop
from seatrial.engine.supervisor.streams import Streams, receive_terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.engine.messages import Message

SOCKET = "supervisor.sock"
EXIT_FILE = "exit.json"
PID_FILE = "supervisor.pid"
#: For clients that do not take what they asked for, once the container has ended.
_LAST_WORDS_S = 10.0
#: For processes that docker exec's process has left behind with its streams.
_LEFT_BEHIND_S = 2.0
_OOM_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


class Process:
    """A process whose streams we own: the container's first, or one of docker exec."""

    def __init__(self, name: str, streams: Streams) -> None:
        self.name, self.streams = name, streams
        self.pid = 0
        self.exit_code: int | None = None
        self.finished_ns = 0


class Supervisor:
    """The container's process, those of docker exec, and the daemons that are connected."""

    def __init__(self, order: Message, control: socket.socket) -> None:
        self._folder: str = order["folder"]
        self._id: str = order["id"]
        self._runtime: list[str] = order["runtime"]
        self._bundle: str = order["bundle"]
        self._oom_file: str = order["oom_file"]
        self._environment = {**os.environ, **order["environment"]}
        self._loop = Loop()
        log = None
        if order["log"] is not None:
            log = LogFile(
                order["log"]["path"], order["log"]["max_bytes"], order["log"]["max_files"]
            )
        self._main = Process(
            "",
            Streams(
                self._loop,
                stdin=order["stdin"],
                stdin_once=order["stdin_once"],
                tty=order["tty"],
                log=log,
            ),
        )
        self._main.streams.on_end = self._perhaps_over
        self._processes = {"": self._main}
        self._ordered = self._started = self._deleted = self._oom_killed = self._over = False
        self._started_ns = 0
        #: Who wants to know how it is; while it starts nobody can say.
        self._asking: list[Callable[[], None]] = []
        self._daemons: list[socket.socket] = []
        self._listener = messages.listen(self._folder, SOCKET)
        self._loop.watch(self._listener.fileno(), READ, self._accept)
        self._welcome(control)

    def run(self) -> None:
        """Go on until all is over."""
        self._loop.run()

    # --- the daemon's side ----------------------------------------------------------------------

    def _accept(self, _events: int) -> None:
        self._welcome(self._listener.accept()[0])

    def _welcome(self, daemon: socket.socket) -> None:
        daemon.setblocking(False)  # a daemon that does not read is not waited for
        self._daemons.append(daemon)
        self._loop.watch(daemon.fileno(), READ, lambda events: self._on_message(daemon, events))

    def _on_message(self, daemon: socket.socket, events: int) -> None:
        received = messages.receive(daemon) if events & (READ | HANGUP) else None
        if received is None:
            self._loop.forget(daemon.fileno())
            self._daemons.remove(daemon)
            daemon.close()
            if not self._daemons and not self._ordered:
                self._loop.stopped = True
            return
        message, descriptors = received

        def answer(text: str = "", **more: object) -> None:
            self._send(daemon, {"answer": message["number"], "error": text, **more})

        try:
            getattr(self, f"_do_{message['do']}")(message, descriptors, answer)
        except (OSError, KeyError) as error:
            answer(f"{type(error).__name__}: {error}")

    def _tell(self, message: Message) -> None:
        for daemon in list(self._daemons):
            self._send(daemon, message)

    def _send(self, daemon: socket.socket, message: Message) -> None:
        with suppress(OSError):  # it is gone; its end of the connection will tell
            messages.send(daemon, message)

    # --- what a daemon asks for -----------------------------------------------------------------

    def _do_attach(
        self, message: Message, descriptors: list[int], answer: Callable[..., None]
    ) -> None:
        connection = socket.socket(fileno=descriptors[0])
        process = self._processes.get(message["exec"])
        if process is None or process.exit_code is not None:
            connection.close()
            answer("the process has ended")
            return
        process.streams.attach(_attachment(message, connection, raw=process.streams.tty))
        answer()

    def _do_state(self, _message: Message, _: list[int], answer: Callable[..., None]) -> None:
        def tell() -> None:
            answer(pid=self._main.pid, started_ns=self._started_ns)

        if self._ordered and not self._started:
            self._asking.append(tell)
        else:
            tell()

    def _do_resize(self, message: Message, _: list[int], answer: Callable[..., None]) -> None:
        process = self._processes.get(message["exec"])
        if process is not None:
            process.streams.resize(message["rows"], message["columns"])
        answer("" if process is not None else "the process has ended")

    def _do_start(self, message: Message, _: list[int], answer: Callable[..., None]) -> None:
        del message
        self._ordered = True
        pid_file = f"{self._folder}/init.pid"
        argv = ["create", "--bundle", self._bundle, "--pid-file", pid_file]
        console = self._console(self._main, argv)
        streams = self._main.streams

        def created(code: int) -> None:
            self._end_console(console)
            if code:
                streams.finish()
                answer(self._complaint("create"))
                self._delete(lambda _: self._stop())
                return
            self._main.pid = int(_read(pid_file))
            streams.begin()
            self._loop.expect(self._main.pid, self._exited)
            self._call(["start", self._id], {}, started)

        def started(code: int) -> None:
            if code:
                self._over = True  # what follows is no end of a container that has run
                streams.finish()
                answer(self._complaint("start"))
                self._delete(lambda _: self._stop())
                return
            self._started, self._started_ns = True, time.time_ns()
            answer(pid=self._main.pid, started_ns=self._started_ns)
            for tell in self._asking:
                tell()
            self._perhaps_over()

        self._call([*argv, self._id], streams.given, created)

    def _do_kill(self, message: Message, _: list[int], answer: Callable[..., None]) -> None:
        """Kill a process of docker exec: it is our child, so its pid is nobody else's."""
        process = self._processes.get(message["exec"])
        if process is not None and process.pid and process.exit_code is None:
            os.kill(process.pid, signal.SIGKILL)
        answer()

    def _do_exec(
        self, message: Message, descriptors: list[int], answer: Callable[..., None]
    ) -> None:
        name = message["exec"]
        streams = Streams(
            self._loop, stdin=message["stdin"], stdin_once=True, tty=message["tty"], log=None
        )
        process = self._processes[name] = Process(name, streams)
        if descriptors:
            connection = socket.socket(fileno=descriptors[0])
            streams.attach(_attachment(message, connection, raw=message["tty"]))
        pid_file = f"{self._folder}/{name}.pid"
        argv = ["exec", "--detach", "--pid-file", pid_file, "--process", message["process"]]
        console = self._console(process, argv)

        def executed(code: int) -> None:
            self._end_console(console)
            os.unlink(message["process"])
            if code:
                del self._processes[name]
                streams.give_back()
                answer(self._complaint(f"exec-{name}"))
                return
            process.pid = int(_read(pid_file))
            os.unlink(pid_file)
            streams.begin()
            answer(pid=process.pid)
            self._loop.expect(process.pid, lambda status: self._exec_ended(process, status))

        self._call([*argv, self._id], streams.given, executed, log=f"exec-{name}")

    # --- the runtime's command line -------------------------------------------------------------

    def _call(
        self,
        words: list[str],
        streams: dict[int, int],
        ended: Callable[[int], None],
        log: str = "",
    ) -> None:
        """Start the runtime; what it complains of is in a file, as stderr is the container's."""
        path = f"{self._folder}/{log or words[0]}.log"
        argv = [*self._runtime, "--log", path, "--log-format", "json", *words]
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._loop.spawn(argv, streams or {0: null, 1: null, 2: null}, ended, self._environment)
        finally:
            os.close(null)

    def _complaint(self, log: str) -> str:
        """Return the last error of the runtime's log."""
        try:
            lines = _read(f"{self._folder}/{log}.log").splitlines()
        except FileNotFoundError:
            lines = []
        for line in reversed(lines):
            try:
                told = json.loads(line)
            except ValueError:
                return line
            if told.get("level") in {"error", "fatal"}:
                return str(told.get("msg"))
        return f"{self._runtime[0]} failed and gave no reason"

    def _console(self, process: Process, argv: list[str]) -> socket.socket | None:
        if not process.streams.tty:
            return None
        path = f"{self._folder}/{process.name[:12] or 'tty'}.sock"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen(1)
        argv += ["--console-socket", path]
        if argv[0] == "exec":
            argv += ["--tty"]
        self._loop.watch(
            listener.fileno(),
            READ,
            lambda _: process.streams.take_terminal(receive_terminal(listener)),
        )
        return listener

    def _end_console(self, listener: socket.socket | None) -> None:
        if listener is not None:
            os.unlink(listener.getsockname())
            self._loop.forget(listener.fileno())
            listener.close()

    def _delete(self, ended: Callable[[int], None]) -> None:
        self._call(["delete", "--force", self._id], {}, ended)

    # --- ends -----------------------------------------------------------------------------------

    def _exited(self, code: int) -> None:
        """Remember the end, and remove what is left: other processes may hold the streams."""
        self._main.exit_code, self._main.finished_ns = code, time.time_ns()
        self._oom_killed = self._was_oom_killed()
        if self._over:
            return

        def deleted(_: int) -> None:
            self._deleted = True
            self._perhaps_over()

        self._delete(deleted)

    def _was_oom_killed(self) -> bool:
        try:
            found = _OOM_KILLS.search(_read(self._oom_file)) if self._oom_file else None
        except OSError:
            return False
        return found is not None and int(found[1]) > 0

    def _perhaps_over(self) -> None:
        """Tell of the end once it is one: exited, deleted, started, and nothing more to be read."""
        main = self._main
        if self._over or main.exit_code is None or not self._deleted or not self._started:
            return
        if not main.streams.ended:
            return
        self._over = True
        record = {
            "exit_code": main.exit_code,
            "finished_ns": main.finished_ns,
            "oom_killed": self._oom_killed,
        }
        for process in list(self._processes.values()):
            process.streams.on_sent = self._perhaps_gone
            process.streams.finish()
        _write_once(f"{self._folder}/{EXIT_FILE}", json.dumps(record))
        self._tell({"event": "exited", **record})
        self._loop.after(_LAST_WORDS_S, self._stop)
        self._perhaps_gone()

    def _perhaps_gone(self) -> None:
        if all(process.streams.sent for process in self._processes.values()):
            self._stop()

    def _stop(self) -> None:
        self._loop.stopped = True

    def _exec_ended(self, process: Process, code: int) -> None:
        process.exit_code = code

        def finish() -> None:
            if self._processes.pop(process.name, None) is not None:
                self._tell({"event": "exec-exited", "exec": process.name, "exit_code": code})
                process.streams.finish()

        process.streams.on_end = finish
        if process.streams.ended:
            finish()
        else:
            self._loop.after(_LEFT_BEHIND_S, finish)


def _attachment(message: Message, connection: socket.socket, *, raw: bool) -> Attachment:
    return Attachment(
        connection,
        wanted=tuple(message["wanted"]),
        raw=raw,
        typed=bytes.fromhex(message["typed"]),
        detach_keys=by_names(message["detach_keys"]) if raw else b"",
    )


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def _write_once(path: str, text: str) -> None:
    """Make a file with all of its text, or not at all; fail if it is there."""
    made = f"{path}.new"
    with open(made, "w", encoding="utf-8") as file:
        file.write(text)
    os.link(made, path)
    os.unlink(made)
