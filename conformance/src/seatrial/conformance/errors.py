"""Every error of the harness.

::

    Exception
    └── SeatrialError            one sentence, with an optional hint; never shown as a traceback
        ├── UsageError           the caller asked for something that is not there      exit 2
        ├── UnfitError           the host or the adapter is not fit for a run          exit 3
        └── HarnessError         the harness itself went wrong in a test               status error
    AssertionError
    └── Misbehaved               the runtime did wrong, in a way that has its own name
        ├── Crashed              it was ended by a signal
        ├── Ignored              it accepted a property and did nothing about it
        ├── Leaked               it left something behind
        └── Malformed            what it printed cannot be read
    BaseException
    └── Hung                     it did not come back in time
"""

from __future__ import annotations

import re


class SeatrialError(Exception):
    """An error for the user: what went wrong, in lower case, and what may help."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        """Keep ``message`` as the text and ``hint`` beside it."""
        super().__init__(message)
        self.hint = hint


class UsageError(SeatrialError):
    """The caller named something that does not exist or cannot be read (exit status 2)."""


class UnfitError(SeatrialError):
    """The host, the adapter or the runtime's basic function does not allow a run (exit 3)."""


class HarnessError(SeatrialError):
    """The harness failed within a test; says nothing about the runtime (status error)."""


class Misbehaved(AssertionError):  # noqa: N818 - a verdict, not an error of ours
    """The runtime did something wrong that is worth a name of its own."""

    kind = "wrong"


class Crashed(Misbehaved):
    """The runtime was ended by a signal, which is never a way to report an error."""

    kind = "crashed"


class Ignored(Misbehaved):
    """The runtime accepted a property and silently did nothing about it."""

    kind = "ignored"


class Leaked(Misbehaved):
    """Something that was not there before is left behind."""

    kind = "leaked"


class Malformed(Misbehaved):
    """The runtime printed something that cannot be read as what it has to be."""

    kind = "malformed"


class Hung(BaseException):
    """The runtime did not come back within the timeout.

    Not an ``Exception``: Hypothesis would otherwise shrink it and pay for the timeout every time.
    ``killed`` says that a command of the runtime was ended for it, so that what it leaves behind
    is not its own doing.
    """

    kind = "hung"

    def __init__(self, message: str, *, killed: bool = False) -> None:
        """Keep ``message`` as the text."""
        super().__init__(message)
        self.killed = killed


_ECHO = re.compile(
    r"\nassert (?:not )?(?:True|False)\n \+  where (?:True|False) = <.*>\.(?:ok|failed)\Z",
    re.DOTALL,
)


def said(error: BaseException) -> str:
    """Return the text of an error, without the echo pytest adds to ``assert result.ok, result``."""
    return _ECHO.sub("", str(error)).strip()
