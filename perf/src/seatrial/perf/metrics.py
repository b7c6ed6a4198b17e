"""What a benchmark's name says: ``<suite>/<case>/<metric>``, and how its figures are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from seatrial.perf.contenders import AGAIN, FLOOR

#: The order in which suites are shown; those that are not named here come last.
SUITES = (
    "lifecycle", "axes", "exec", "engine", "scaling", "density", "tax", "floor", "micro",
)  # fmt: skip
RATE = "starts-per-second"
#: The metrics that stand for a case, as far as it has them: a burst's rate, the one command, the
#: three commands. Of a case without them it is the first of its times, or what else it has.
HEADLINES = (RATE, "run-wall", "whole-wall")
#: What ``whole`` is.
WHOLE = "create, start, delete"
_LIFE = {
    "create-wall": "create",
    "first-instruction-wall": "start to first instruction",
    "exit-seen-wall": "first instruction to exit seen",
    "delete-wall": "delete",
}
#: What is measured in parts that follow one another: its parts, in order, and from what to what
#: each is.
PHASES = {
    "whole": _LIFE,
    **{
        action: {
            f"{action}-first-instruction-wall": f"{action} to first instruction",
            f"{action}-exit-seen-wall": "first instruction to exit seen",
        }
        for action in ("run", "exec")
    },
}


@dataclass(frozen=True, order=True)
class Metric:
    """One benchmark's name, taken apart."""

    suite: str
    case: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take a name apart; raises ``ValueError`` when it has no three parts."""
        parts = text.split("/")
        if len(parts) != 3 or not all(parts):  # noqa: PLR2004 - suite, case, metric
            raise ValueError(f"{text!r} is not <suite>/<case>/<metric>")
        return cls(*parts)

    @property
    def short(self) -> str:
        """The case, and what is measured where that is not the usual."""
        if self.name in {"run-wall", "wall"}:
            return self.case
        return f"{self.case} ({WHOLE if self.name == 'whole-wall' else self.name})"

    def __str__(self) -> str:
        return f"{self.suite}/{self.case}/{self.name}"

    @property
    def more_is_better(self) -> bool:
        """Whether a larger figure is the better one: rates, and nothing else."""
        return self.name.endswith("-per-second")

    @property
    def action(self) -> str:
        """What was done, such as ``run`` in ``run-wall``; its other figures begin with it too."""
        return self.name.rpartition("-")[0]


def headlines(names: list[str]) -> list[str]:
    """Return the metrics that stand for a case which has these."""
    found = [name for name in HEADLINES if name in names]
    if found[:1] == [RATE]:
        return [RATE]
    # A command's own time has the shortest name: exec-wall, exec-first-instruction-wall.
    times = sorted((name for name in names if name.endswith("wall")), key=len)
    return found or (times or names)[:1]


def suite_order(suite: str) -> tuple[int, str]:
    """Sort suites by this."""
    return (SUITES.index(suite) if suite in SUITES else len(SUITES), suite)


def case_order(case: str) -> tuple[int, str]:
    """Sort cases by this: numbers (a parallelism) by size, then the plain case, then others."""
    if case.isascii() and case.isdigit():
        return (int(case), "")
    return (1 << 62, "" if case == "plain" else case)


def contender_order(name: str) -> tuple[int, str, int]:
    """Sort contenders by this: the floor, ours, then by name; the A/A twin after its pair."""
    own = name.removesuffix(AGAIN)
    rank = 0 if own == FLOOR else 1 if own.startswith("seatrial") else 2
    return (rank, own, int(name != own))
