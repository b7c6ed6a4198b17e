"""A container's processes as ``ps`` shows them, read from outside: nothing of its own is run.

The daemon looks its pids up in the host's /proc, so even the table of users is the host's.
"""

from __future__ import annotations

import os
import pwd
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from seatrial.engine.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

#: A mark at a title's end is not shown: it tells columns of one title apart.
_TITLES = {
    "pid": "PID", "ppid": "PPID", "user": "USER", "uid": "UID", "args": "COMMAND", "cmd": "CMD",
    "command": "COMMAND", "comm": "COMMAND ", "time": "TIME", "tty": "TT", "stat": "STAT",
    "etime": "ELAPSED", "vsz": "VSZ", "rss": "RSS", "nice": "NI", "ni": "NI", "stime": "STIME",
}  # fmt: skip
_FULL = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")
_USER = ("USER", "PID", "%CPU", "%MEM", "VSZ", "RSS", "TTY", "STAT", "START", "TIME*", "COMMAND")
_DAY_S = 86400
_SHORT = ("PID", "TTY", "TIME", "CMD")


def table(pids: list[int], arguments: str) -> tuple[list[str], list[list[str]]]:
    """Return titles and rows for the arguments that people give to ps."""
    words = arguments.split()
    titles: tuple[str, ...]
    if words and words[0] in {"-o", "-eo", "o"}:
        wanted = ",".join(words[1:]).split(",")
        unknown = [each for each in wanted if each not in _TITLES]
        if unknown:
            raise BadRequest(f"ps: unknown column {unknown[0]!r}")
        titles = tuple(_TITLES[each] for each in wanted)
        if "PID" not in titles:
            raise BadRequest("Couldn't find PID field in ps output")
    elif words in ([], ["-ef"], ["-f"]):
        titles = _FULL
    elif words in (["aux"], ["-aux"], ["u"]):
        titles = _USER
    elif words in (["-e"], ["-A"], ["a"]):
        titles = _SHORT
    else:
        raise BadRequest(
            f"ps: arguments {arguments!r} are not supported (hint: -ef, aux, -o pid,args)"
        )
    rows = [row for pid in pids if (row := _row(pid, titles)) is not None]
    return [title.rstrip(" *") for title in titles], rows


def end_session(leader: int) -> None:
    """Kill the processes of a session whose leader is gone, and wait until they are.

    A session's number is no new process's as long as one is in it: while there is a leader, it is
    another, and nothing is done.
    """
    if not leader or os.path.exists(f"/proc/{leader}"):
        return
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            held = os.pidfd_open(int(name))
            try:
                if int(_Process(int(name)).stat[3]) == leader:
                    signal.pidfd_send_signal(held, signal.SIGKILL)
                    select.select([held], [], [])
            finally:
                os.close(held)


def _row(pid: int, titles: tuple[str, ...]) -> list[str] | None:
    try:
        process = _Process(pid)
    except OSError:  # it has ended meanwhile
        return None
    return [_COLUMNS[title](process) for title in titles]


class _Process:
    """What /proc says of a process (proc(5))."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        text = _read(f"/proc/{pid}/stat")
        self.name = text[text.index("(") + 1 : text.rindex(")")]
        self.stat = text[text.rindex(")") + 2 :].split()
        self.uid = os.stat(f"/proc/{pid}").st_uid
        words = _read(f"/proc/{pid}/cmdline").rstrip("\0").replace("\0", " ")
        self.command = words or f"[{self.name}]"
        ticks = os.sysconf("SC_CLK_TCK")
        self.used_s = (int(self.stat[11]) + int(self.stat[12])) // ticks
        uptime = float(_read("/proc/uptime").split()[0])
        self.age_s = max(uptime - int(self.stat[19]) / ticks, 0.0)

    @property
    def user(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    @property
    def started(self) -> str:
        began = time.localtime(time.time() - self.age_s)
        return time.strftime("%H:%M" if self.age_s < _DAY_S else "%b%d", began)

    @property
    def terminal(self) -> str:
        number = int(self.stat[4])
        return "?" if not number else f"pts/{os.minor(number)}"

    @property
    def state(self) -> str:
        """The state with what ps says of priority, session, threads and foreground (ps(1))."""
        nice, session = int(self.stat[16]), int(self.stat[3])
        foreground = self.stat[2] == self.stat[5]
        marks = (
            ("<", nice < 0), ("N", nice > 0), ("s", session == self.pid),
            ("l", int(self.stat[17]) > 1), ("+", foreground),
        )  # fmt: skip
        return self.stat[0] + "".join(mark for mark, there in marks if there)

    @property
    def time(self) -> str:
        return f"{self.used_s // 3600:02}:{self.used_s // 60 % 60:02}:{self.used_s % 60:02}"

    @property
    def cpu(self) -> float:
        return 100 * self.used_s / self.age_s if self.age_s else 0.0

    @property
    def rss_kib(self) -> int:
        return int(self.stat[21]) * os.sysconf("SC_PAGE_SIZE") // 1024

    @property
    def memory(self) -> float:
        return 100 * int(self.stat[21]) / os.sysconf("SC_PHYS_PAGES")


_COLUMNS: dict[str, Callable[[_Process], str]] = {
    "UID": lambda each: each.user,
    "USER": lambda each: each.user,
    "PID": lambda each: str(each.pid),
    "PPID": lambda each: each.stat[1],
    "C": lambda each: str(int(each.cpu)),
    "%CPU": lambda each: f"{each.cpu:.1f}",
    "%MEM": lambda each: f"{each.memory:.1f}",
    "VSZ": lambda each: str(int(each.stat[20]) // 1024),
    "RSS": lambda each: str(each.rss_kib),
    "STIME": lambda each: each.started,
    "START": lambda each: each.started,
    "TTY": lambda each: each.terminal,
    "TT": lambda each: each.terminal,
    "STAT": lambda each: each.state,
    "TIME*": lambda each: f"{each.used_s // 60}:{each.used_s % 60:02}",
    "TIME": lambda each: each.time,
    "ELAPSED": lambda each: f"{int(each.age_s) // 60:02}:{int(each.age_s) % 60:02}",
    "NI": lambda each: each.stat[16],
    "CMD": lambda each: each.command,
    "COMMAND": lambda each: each.command,
    "COMMAND ": lambda each: each.name,
}


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
