"""
usage: seatrial-oci delete [--force] ID

Delete a stopped container.

  -f, --force   kill it first if it is not stopped; no error if there is none
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.oci import runtime

if TYPE_CHECKING:
    from seatrial.oci.command import Call

OPTIONS = {"force": False}
SHORT = {"f": "force"}


def run(call: Call) -> None:
    """Delete it."""
    runtime.delete(call.id(), root=call.root, force=call.flag("force"))
