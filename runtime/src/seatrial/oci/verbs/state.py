"""
usage: seatrial-oci state ID

Print a container's state as JSON.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from seatrial.oci import runtime

if TYPE_CHECKING:
    from seatrial.oci.command import Call

OPTIONS: dict[str, bool] = {}


def run(call: Call) -> None:
    """Print it, a member per line: as the launcher does (csrc/launcher/verbs.c)."""
    found = runtime.state(call.id(), root=call.root)
    lines = (f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in found.items())
    print("{\n" + ",\n".join(lines) + "\n}")
