"""How far a run is, and how long it will still take.

One line on a terminal; elsewhere, as in a log, a line for each tenth of the turns.
"""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from seatrial.perf.schedule import Turn

_BAR = 24
_EVERY_S = 0.1


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


class Progress:
    """The line, or the lines."""

    def __init__(self, stream: TextIO, turns: list[Turn]) -> None:
        """Begin with all turns to do."""
        self._stream = stream
        self._shown = stream.isatty()
        self._left: dict[tuple[str, str], int] = {}
        self._took: dict[tuple[str, str], list[float]] = {}
        self._last = 0.0
        self.total = len(turns)
        self.done = 0
        for turn in turns:
            key = self._key(turn)
            self._left[key] = self._left.get(key, 0) + 1

    @staticmethod
    def _key(turn: Turn) -> tuple[str, str]:
        return (turn.case.key, turn.contender.name)

    def turn(self, turn: Turn, took_s: float) -> None:
        """A turn was done."""
        key = self._key(turn)
        self._left[key] -= 1
        self._took.setdefault(key, []).append(took_s)
        self.done += 1
        if not self._shown:
            self._log()
        self.show(f"{turn.case.suite}/{turn.case.name} {turn.contender.name}")

    def _log(self) -> None:
        tenth = 10 * self.done // self.total
        if tenth > 10 * (self.done - 1) // self.total and self.done < self.total:
            left = duration(self.left_s() or 0)
            self._stream.write(f"{self.done} of {self.total} turns are done, {left} left\n")
            self._stream.flush()

    def left_s(self) -> float | None:
        """Return the seconds that are left, by what turns like those took; none known: ``None``."""
        times = [took for each in self._took.values() for took in each]
        if not times:
            return None
        mean = sum(times) / len(times)
        left = 0.0
        for key, count in self._left.items():
            took = self._took.get(key)
            left += count * (sum(took) / len(took) if took else mean)
        return left

    def show(self, what: str) -> None:
        """Write the line anew, not more often than eyes can follow."""
        if not self._shown or time.monotonic() - self._last < _EVERY_S:
            return
        self._last = time.monotonic()
        filled = _BAR * self.done // max(self.total, 1)
        left = self.left_s()
        rest = f"{duration(left)} left" if left is not None else ""
        line = f"[{'#' * filled}{'.' * (_BAR - filled)}] {self.done}/{self.total} {rest}  {what}"
        width = shutil.get_terminal_size().columns
        self._stream.write(f"\r\x1b[K{line[: width - 1]}")
        self._stream.flush()

    def clear(self) -> None:
        """Take the line off."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
