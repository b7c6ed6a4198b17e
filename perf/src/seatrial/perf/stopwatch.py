"""The stopwatch, from Python's side: orders down a pipe, one line of JSON back for each."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seatrial.perf.errors import RunError
from seatrial.perf.programs import program

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What contenders are started with; nothing else of the caller's environment reaches them.
ENVIRON = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
}


#: As whom a step with the flag ``u`` runs (stopwatch.h).
UNPRIVILEGED = 64123


@dataclass(frozen=True)
class Step:
    """One command; ``flags`` say what has to come before the next one (stopwatch.h)."""

    name: str
    words: tuple[str, ...]
    flags: str = ""

    def line(self) -> str:
        """Return the order for it."""
        words = ("step", self.name, self.flags or "-", *self.words)
        if any(character in word for word in words for character in "\t\n") or "" in words:
            raise RunError(f"a word of a command is empty or holds a tab or a newline: {words}")
        return "\t".join(words)


class Stopwatch:
    """The running program."""

    def __init__(self, *, environ: dict[str, str] | None = None) -> None:
        """Start it, out of reach of the terminal's Ctrl-C: a sample is done or not begun."""
        self._process = subprocess.Popen(
            [program("stopwatch")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=ENVIRON | (environ or {}),
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def sample(
        self,
        steps: Sequence[Step],
        *,
        timeout_s: float,
        pid_file: str = "",
        count: bool = False,
    ) -> dict[str, Any]:
        """Do the steps and return what was seen; what went wrong is at ``error``."""
        lines = [*([f"pidfile\t{pid_file}"] if pid_file else []), *(["count"] if count else [])]
        return self._do([*lines, *(step.line() for step in steps), "go"], timeout_s)

    def burst(self, step: Step, *, parallel: int, total: int, timeout_s: float) -> dict[str, Any]:
        """Do one step ``total`` times, ``parallel`` at once."""
        return self._do([step.line(), f"burst\t{parallel}\t{total}"], timeout_s)

    def _do(self, lines: list[str], timeout_s: float) -> dict[str, Any]:
        text = "\n".join([f"timeout\t{int(timeout_s * 1000)}", *lines, ""])
        assert self._process.stdin is not None  # noqa: S101 - a pipe, as asked for
        assert self._process.stdout is not None  # noqa: S101
        try:
            self._process.stdin.write(text.encode())
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        if not answer:
            raise RunError(f"the stopwatch ended (exit status {self._process.wait()})")
        result: dict[str, Any] = json.loads(answer)
        return result

    def close(self) -> None:
        """End it, and what it has running."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
