"""No plan is kept in these tests, so that a state root is empty when its containers are gone.

Those of kept plans, in kept/, switch that on.
"""

from __future__ import annotations

import os

from seatrial.oci import kept

os.environ[kept.SWITCH] = "off"
