"""
usage: seatrial-oci features

Print what this runtime knows as a features document (features.md).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from seatrial.oci import features

if TYPE_CHECKING:
    from seatrial.oci.command import Call

OPTIONS: dict[str, bool] = {}


def run(_call: Call) -> None:
    """Print it."""
    print(json.dumps(features.document(), indent=2))
