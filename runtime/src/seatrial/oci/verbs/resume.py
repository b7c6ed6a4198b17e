"""
usage: seatrial-oci resume ID

Let the processes of a paused container run on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.oci import pause

if TYPE_CHECKING:
    from seatrial.oci.command import Call

OPTIONS: dict[str, bool] = {}


def run(call: Call) -> None:
    """Resume it."""
    pause.resume(call.id(), root=call.root)
