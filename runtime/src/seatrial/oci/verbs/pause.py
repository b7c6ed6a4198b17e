"""
usage: seatrial-oci pause ID

Stop all processes of a container, until resume.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.oci import pause

if TYPE_CHECKING:
    from seatrial.oci.command import Call

OPTIONS: dict[str, bool] = {}


def run(call: Call) -> None:
    """Pause it."""
    pause.pause(call.id(), root=call.root)
