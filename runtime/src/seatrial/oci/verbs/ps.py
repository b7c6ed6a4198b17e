"""
usage: seatrial-oci ps [--format table|json] ID [PS-OPTION]...

Show the processes of a container; options go to ps(1), -ef without any.

  -f, --format FORMAT   table (default), or json: an array of pids
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

from seatrial.oci import cgroup_processes
from seatrial.oci.command import Usage
from seatrial.oci.errors import OCIError
from seatrial.oci.store import Folder

if TYPE_CHECKING:
    from seatrial.oci.command import Call

OPTIONS = {"format": True}
SHORT = {"f": "format"}


def run(call: Call) -> None:
    """Show them."""
    if not call.arguments:
        raise Usage("a container id is needed")
    identifier, *words = call.arguments
    folder = Folder(call.root, identifier)
    folder.record()
    pids = cgroup_processes.pids(folder.plan())
    form = call.value("format") or "table"
    if form == "json":
        print(json.dumps(pids))
    elif form == "table":
        _table(pids, words or ["-ef"])
    else:
        raise Usage(f"--format takes table or json, not {form!r}")


def _table(pids: list[int], words: list[str]) -> None:
    try:
        found = subprocess.run(
            ["ps", *words],
            capture_output=True,
            check=False,
            text=True,
            errors="surrogateescape",
        )
    except FileNotFoundError:
        raise OCIError("there is no ps(1) here; --format json does without") from None
    if found.returncode:
        raise OCIError(f"ps {' '.join(words)}: {found.stderr.strip()}")
    head, *rows = found.stdout.splitlines()
    titles = head.split()
    if "PID" not in titles:
        raise OCIError(f"ps {' '.join(words)} shows no PID by which to choose")
    place = titles.index("PID")
    wanted = {str(pid) for pid in pids}
    chosen = [row for row in rows if row.split()[place : place + 1][0] in wanted]
    os.write(1, "\n".join([head, *chosen, ""]).encode(errors="surrogateescape"))
