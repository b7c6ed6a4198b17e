"""What the arguments of ``compare``, ``report`` and ``gate`` name: folders and contenders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.perf.comparison import Side
from seatrial.perf.errors import UsageError
from seatrial.perf.results import Results, newest

if TYPE_CHECKING:
    from collections.abc import Callable

#: Where ``seatrial bench run`` puts results when it is not told otherwise.
DEFAULT = Path("results/perf")
HELP = "a results folder, a contender's file in one (DIR/crun.json), or a contender's name"


class Selection:
    """Reads every folder once."""

    def __init__(self, results: Path | None) -> None:
        """``results`` is the folder that bare names of contenders are looked up in."""
        self._default = results
        self._read: dict[Path, Results] = {}

    def folder(self, path: Path | None) -> Results:
        """Return a folder's results; without a path, those of the newest folder."""
        path = path or self._default or newest(DEFAULT)
        if path not in self._read:
            self._read[path] = Results.read(path)
        return self._read[path]

    def pairs(self, old: str, new: str) -> list[tuple[Side, Side]]:
        """Return what is to be compared: two contenders, or all that two folders share."""
        if Path(old).is_dir() and Path(new).is_dir():
            first, second = self.folder(Path(old)), self.folder(Path(new))
            shared = [name for name in first.contenders if name in second.contenders]
            if not shared:
                raise UsageError(f"{old} and {new} have no contender in common")
            return [
                (Side(first, first.contenders[name]), Side(second, second.contenders[name]))
                for name in shared
            ]
        one, other = self._side(old), self._side(new)
        # A folder beside one contender stands for the same contender in that folder.
        if callable(one) and not callable(other):
            return [(one(other.contender.name), other)]
        if callable(other) and not callable(one):
            return [(one, other(one.contender.name))]
        if callable(one) or callable(other):
            raise UsageError(f"{old} and {new} name no contender")
        return [(one, other)]

    def _side(self, text: str) -> Side | Callable[[str], Side]:
        path = Path(text)
        if path.is_dir():
            results = self.folder(path)
            return lambda name: Side(results, results.contender(name))
        if path.name.endswith((".json", ".json.gz")) or len(path.parts) > 1:
            if not path.is_file():
                raise UsageError(f"there is no {text}")
            results = self.folder(path.parent)
            return Side(results, results.contender(path.name.partition(".json")[0]))
        results = self.folder(None)
        return Side(results, results.contender(text))
