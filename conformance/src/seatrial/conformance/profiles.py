"""Profiles: how many examples every property draws, and whether a run draws the same as the last.

Hypothesis draws the examples. ``quick`` and ``default`` draw the same ones in every run;
``thorough`` draws others each time, from a seed that it says, and keeps what failed in
``.hypothesis/examples``, to be tried first the next time.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import Phase, is_hypothesis_test, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from seatrial.conformance.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

_DATABASE = ".hypothesis/examples"
_THOROUGH_TIMES = 20


@dataclass(frozen=True)
class Profile:
    """How one run draws its examples; ``seed`` where not every run draws the same."""

    name: str
    seed: int | None = None

    @property
    def is_partial(self) -> bool:
        """Whether it draws so few that a known failure may not show."""
        return self.name == "quick"

    @property
    def arguments(self) -> list[str]:
        """Return the arguments by which pytest draws the same again."""
        if self.name == "default":
            return []
        seed = [] if self.seed is None else [f"--hypothesis-seed={self.seed}"]
        return ["--profile", self.name, *seed]

    def apply(self, items: Iterable[pytest.Item]) -> None:
        """Let the tests draw as the profile says."""
        if self.name == "default":
            return
        for item in items:
            test: Any = getattr(item, "obj", None)
            if test is not None and is_hypothesis_test(test):
                # Where Hypothesis's own plugin for pytest reads them.
                own: settings = test._hypothesis_internal_use_settings  # noqa: SLF001
                test._hypothesis_internal_use_settings = self._of(own)  # noqa: SLF001

    def _of(self, own: settings) -> settings:
        if self.name == "quick":
            return settings(own, max_examples=1)
        return settings(
            own,
            max_examples=own.max_examples * _THOROUGH_TIMES,
            derandomize=False,
            database=DirectoryBasedExampleDatabase(_DATABASE),
            phases=[*Phase],
        )


PROFILES = {
    "quick": "one example per property, under a minute",
    "default": "the same examples in every run",
    "thorough": f"{_THOROUGH_TIMES} times as many, others in every run: for a night",
}


def of(name: str, seed: str | None) -> Profile:
    """Return the profile of a run; a thorough one gets a seed if it was given none."""
    if name != "thorough":
        return Profile(name)
    if seed is not None and not seed.isdecimal():
        raise UsageError(f"--hypothesis-seed has to be a whole number, not {seed!r}")
    return Profile(name, int(seed) if seed else secrets.randbelow(2**32))
