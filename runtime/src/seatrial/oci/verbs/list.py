"""
usage: seatrial-oci list [--format table|json] [--quiet]

List the containers below the state root.

  -f, --format FORMAT   table (default) or json
  -q, --quiet           ids only
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from seatrial.oci import log, states
from seatrial.oci.command import Usage
from seatrial.oci.errors import Damaged, OCIError

if TYPE_CHECKING:
    from seatrial.oci.command import Call

OPTIONS = {"format": True, "quiet": False}
SHORT = {"f": "format", "q": "quiet"}


def run(call: Call) -> None:
    """Print them."""
    form = call.value("format") or "table"
    if form not in {"table", "json"}:
        raise Usage(f"--format takes table or json, not {form!r}")
    found = []
    for identifier in sorted(os.listdir(call.root)) if os.path.isdir(call.root) else []:
        try:
            found.append(states.summary(identifier, root=call.root))
        except Damaged as error:
            log.warn(str(error))
        except OCIError:
            continue  # being created or deleted just now
    if call.flag("quiet"):
        for each in found:
            print(each["id"])
    elif form == "json":
        print(json.dumps(found))
    else:
        print(f"{'ID':<24} {'PID':<8} {'STATUS':<10} {'BUNDLE':<40} CREATED")
        for each in found:
            print(
                f"{each['id']:<24} {each['pid']:<8} {each['status']:<10} {each['bundle']:<40}"
                f" {each['created']}"
            )
