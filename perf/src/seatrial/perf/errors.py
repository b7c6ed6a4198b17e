"""Every error of the benchmarks.

::

    Exception
    └── PerfError          one sentence, with an optional hint; never shown as a traceback
        ├── UsageError     the caller asked for something that is not there          exit 2
        ├── UnfitError     the host, or all contenders, are not fit for a run        exit 3
        └── RunError       the run came to an early end; what was measured is kept   exit 1
"""

from __future__ import annotations


class PerfError(Exception):
    """An error for the user: what went wrong, in lower case, and what may help."""

    status = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        """Keep ``message`` as the text and ``hint`` beside it."""
        super().__init__(message)
        self.hint = hint


class UsageError(PerfError):
    """The caller named something that does not exist or cannot be read."""

    status = 2


class UnfitError(PerfError):
    """Nothing can be measured here."""

    status = 3


class RunError(PerfError):
    """The run ended before its time; what it had measured is in its folder."""
