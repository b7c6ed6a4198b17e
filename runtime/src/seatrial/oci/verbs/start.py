"""
usage: seatrial-oci start ID

Run the program of a created container.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.oci import runtime

if TYPE_CHECKING:
    from seatrial.oci.command import Call

OPTIONS: dict[str, bool] = {}


def run(call: Call) -> None:
    """Start it."""
    runtime.start(call.id(), root=call.root)
