"""
usage: seatrial-oci update [OPTION]... ID
       seatrial-oci update --resources FILE|- ID

Change the limits of a container.

  -r, --resources FILE      an object like config.json's linux.resources; other options then do
                            nothing
  --blkio-weight N          weight of block I/O, 10 to 1000
  --cpu-period N            microseconds of a period
  --cpu-quota N             microseconds of CPU time in a period
  --cpu-burst N             microseconds saved up at most
  --cpu-share N             relative weight of CPU time
  --cpu-rt-period N         microseconds of a realtime period
  --cpu-rt-runtime N        microseconds of realtime in a period
  --cpu-idle 0|1            1: only when nobody else wants the CPU
  --cpuset-cpus LIST        CPUs, such as 0-2,7
  --cpuset-mems LIST        memory nodes
  -m, --memory SIZE         memory, such as 512m; -1 is no limit
  --memory-reservation SIZE memory that is left to it when there is little
  --memory-swap SIZE        memory and swap together
  --kernel-memory SIZE      kernel memory (kernels before 5.16)
  --kernel-memory-tcp SIZE  buffers of TCP (cgroup v1)
  --pids-limit N            tasks; -1 is no limit
  --l3-cache-schema LINE    a line for its resctrl group
  --mem-bw-schema LINE      another
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

from seatrial.oci import config, update
from seatrial.oci.command import Usage
from seatrial.oci.errors import OCIError, reason

if TYPE_CHECKING:
    from seatrial.oci.command import Call

#: By option: the object and the member, and whether it is a number, a size or text.
MEMBERS = {
    "blkio-weight": ("blockIO", "weight", "number"),
    "cpu-period": ("cpu", "period", "number"),
    "cpu-quota": ("cpu", "quota", "number"),
    "cpu-burst": ("cpu", "burst", "number"),
    "cpu-share": ("cpu", "shares", "number"),
    "cpu-rt-period": ("cpu", "realtimePeriod", "number"),
    "cpu-rt-runtime": ("cpu", "realtimeRuntime", "number"),
    "cpu-idle": ("cpu", "idle", "number"),
    "cpuset-cpus": ("cpu", "cpus", "text"),
    "cpuset-mems": ("cpu", "mems", "text"),
    "memory": ("memory", "limit", "size"),
    "memory-reservation": ("memory", "reservation", "size"),
    "memory-swap": ("memory", "swap", "size"),
    "kernel-memory": ("memory", "kernel", "size"),
    "kernel-memory-tcp": ("memory", "kernelTCP", "size"),
    "pids-limit": ("pids", "limit", "number"),
}
SCHEMATA = ("l3-cache-schema", "mem-bw-schema")
OPTIONS = dict.fromkeys(("resources", *MEMBERS, *SCHEMATA), True)
SHORT = {"r": "resources", "m": "memory"}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?", re.IGNORECASE)


def run(call: Call) -> None:
    """Change them."""
    identifier = call.id()
    path = call.value("resources")
    schemata: list[str] = []
    if path is not None:
        content = _read(path)
    else:
        content = json.dumps(given(call)).encode()
        schemata = [text for name in SCHEMATA if (text := call.value(name))]
    wanted = config.decode_resources(content)
    update.update(identifier, wanted, root=call.root, schemata=schemata)


def given(call: Call) -> dict[str, dict[str, Any]]:
    """Return the options as an object like ``linux.resources``."""
    found: dict[str, dict[str, Any]] = {}
    for option, (section, member, kind) in MEMBERS.items():
        text = call.value(option)
        if text is None or text == "":
            continue
        value: str | int = text
        if kind == "number":
            value = call.number(option)
        elif kind == "size":
            value = size(text, option)
        found.setdefault(section, {})[member] = value
    return found


def size(text: str, option: str) -> int:
    """Return the bytes of a size such as ``512m`` or ``-1``."""
    if text == "-1":
        return -1
    match = _SIZE.fullmatch(text)
    if match is None:
        raise Usage(f"--{option} takes a size such as 512m, not {text!r}")
    return int(float(match[1]) * 1024 ** " kmgtp".index(match[2].lower() or " "))


def _read(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise OCIError(f"cannot read {path}: {reason(error.errno)}") from None
