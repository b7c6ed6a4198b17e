"""
usage: seatrial-oci events [--stats] [--interval TIME] ID

Print what a container uses, one JSON object a line, and an "oom" whenever it runs out of memory,
until it ends.

  --stats           once, now
  --interval TIME   how often, such as 500ms, 5s (default), 1m
"""

from __future__ import annotations

import json
import os
import re
import select
import time
from typing import TYPE_CHECKING

from seatrial.oci import cgroups, oom, states, stats
from seatrial.oci.command import Usage
from seatrial.oci.errors import WrongStatus
from seatrial.oci.store import Folder, born

if TYPE_CHECKING:
    from seatrial.oci.command import Call
    from seatrial.oci.hierarchies import Group
    from seatrial.oci.store import Record

OPTIONS = {"stats": False, "interval": True}
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def run(call: Call) -> None:
    """Print them."""
    interval_s = duration_s(call.value("interval") or "5s")
    folder = Folder(call.root, call.id())
    record = folder.record()
    if states.status_of(folder, record) == "stopped":
        raise WrongStatus(f"container {record.id} is stopped")
    groups = cgroups.stored_groups(folder.plan())
    if call.flag("stats"):
        _tell(record.id, "stats", stats.collect(groups))
        return
    _follow(record, groups, interval_s)


def duration_s(text: str) -> float:
    """Return a time such as ``1m30s`` or ``0.5s`` in seconds."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    total = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or total <= 0:
        raise Usage(f"--interval takes a time such as 5s, not {text!r}")
    return total


def _follow(record: Record, groups: list[Group], interval_s: float) -> None:
    try:
        pidfd = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return
    if born(record.pid) != record.born:
        return
    watch, seen = oom.watch(groups), oom.count(groups)
    poller = select.poll()
    for fd in (pidfd, *([] if watch is None else [watch])):
        poller.register(fd, select.POLLIN)
    due = time.monotonic() + interval_s
    while True:
        ready = {fd for fd, _ in poller.poll(max(0.0, due - time.monotonic()) * 1000)}
        if watch is not None and watch in ready:
            os.read(watch, 4096)
            before, seen = seen, oom.count(groups)
            if seen == 0 or seen > before:
                _tell(record.id, "oom", None)
        if pidfd in ready:
            return
        if time.monotonic() >= due:
            _tell(record.id, "stats", stats.collect(groups))
            due += interval_s


def _tell(identifier: str, kind: str, data: object) -> None:
    event = {"type": kind, "id": identifier, **({"data": data} if data is not None else {})}
    print(json.dumps(event), flush=True)
