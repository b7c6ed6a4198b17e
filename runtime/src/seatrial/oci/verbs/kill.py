"""
usage: seatrial-oci kill [--all] ID [SIGNAL]

Send a signal, by name or number (default TERM), to the container process.

  -a, --all   to all processes of the container
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from seatrial.oci import runtime
from seatrial.oci.command import Usage

if TYPE_CHECKING:
    from seatrial.oci.command import Call

OPTIONS = {"all": False}
SHORT = {"a": "all"}
_MOST = 64


def run(call: Call) -> None:
    """Send it."""
    if not 1 <= len(call.arguments) <= 2:  # noqa: PLR2004 - id and signal
        raise Usage("a container id, and a signal if it is not TERM, are needed")
    runtime.kill(
        call.arguments[0], number(*call.arguments[1:]), root=call.root, everyone=call.flag("all")
    )


def number(name: str = "TERM") -> int:
    """Return the number of a signal, such as ``KILL``, ``SIGKILL``, ``9``, ``RTMIN+3``."""
    if name.isdigit():
        if not 1 <= int(name) <= _MOST:
            raise Usage(f"there is no signal {name}")
        return int(name)
    base, plus, offset = name.upper().removeprefix("SIG").partition("+")
    found = getattr(signal, "SIG" + base, None)
    if not isinstance(found, signal.Signals) or (plus and not offset.isdigit()):
        raise Usage(f"there is no signal {name}")
    return int(found) + (int(offset) if plus else 0)
