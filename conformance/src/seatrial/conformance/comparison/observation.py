"""What is compared: a state or a report as a tree without what differs in every run.

Members of objects are by their names; lists are sets of texts, as their order says nothing, and
where it does a text says it.  Numbers that are given out anew (pids, inodes, mount ids, devices of
file systems in memory), times, and the run's own paths are replaced by words in angle brackets.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from seatrial.conformance.facts import CAPABILITIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: An object, a set of texts as a sorted list, or a plain value.
Tree = Any

#: Members of the report that are other numbers in every run, or are said by another member.
_LEFT_OUT = ("argv", "cgroup", "clock", "fds", "probe", "status", "mountinfo")
#: Lines of /proc/self/status that no other member of the report says.
_STATUS = (
    *("Seccomp_filters", "Speculation_Store_Bypass", "SpeculationIndirectBranch"),
    *("THP_enabled", "Threads", "CoreDumping", "Cpus_allowed_list", "Mems_allowed_list"),
)
_NUMBERED = re.compile(r"^(pipe|socket|anon_inode):.*$")
_PROPAGATION = re.compile(r"^(shared|master|propagate_from):\d+$|^unbindable$")


def named(value: Tree, places: Mapping[str, str]) -> Tree:
    """Replace the run's own paths, longest first, in every text of ``value``."""
    if isinstance(value, dict):
        return {named(key, places): named(each, places) for key, each in value.items()}
    if isinstance(value, list):
        return [named(each, places) for each in value]
    if isinstance(value, str):
        for path in sorted(places, key=len, reverse=True):
            value = value.replace(path, places[path])
    return value


def of_state(document: Mapping[str, Any], pid: int | None) -> Tree:
    """Return a state (runtime.md, "State") without what the run gave it."""
    state = dict(document)
    if "pid" in state and pid is not None and state["pid"] == pid:
        state["pid"] = "<pid>"
    if isinstance(state.get("created"), str):
        state["created"] = "<time>"
    return state


def of_report(document: Mapping[str, Any], own: Mapping[str, str]) -> Tree:
    """Return the probe's report as a tree; ``own`` are the namespaces of the runtime's caller."""
    report = {name: value for name, value in document.items() if name not in _LEFT_OUT}
    for name in ("pgid", "sid"):
        report[name] = "<pid>" if report[name] == document["pid"] else report[name]
    report["pid"] = document["pid"] if document["pid"] == 1 else "<pid>"
    report["ppid"] = document["ppid"] if document["ppid"] == 0 else "<pid>"
    report["affinity"] = [str(cpu) for cpu in document["affinity"]]
    report["groups"] = sorted(str(number) for number in document["groups"])
    report["capabilities"] = {
        kind: sorted(map(_capability, numbers)) for kind, numbers in report["capabilities"].items()
    }
    report["devices"] = {
        each["path"]: {name: value for name, value in each.items() if name != "path"}
        for each in document["devices"]
    }
    report["environ"] = _environ(document["environ"])
    report["fds"] = {
        str(each["fd"]): {
            "cloexec": each["cloexec"],
            "flags": each["flags"],
            "target": _NUMBERED.sub(r"<\1>", each["target"] or ""),
        }
        for each in document["fds"]
    }
    report["memory_policy"] = _texts(report["memory_policy"])
    report["namespaces"] = {
        kind: "the caller's" if name == own.get(kind.removesuffix("_for_children")) else "another"
        for kind, name in document["namespaces"].items()
    }
    report["root"] = {
        name: value for name, value in document["root"].items() if name not in {"device", "inode"}
    }
    status = dict(line.split(":\t", 1) for line in document["status"] or () if ":\t" in line)
    report["status"] = {name: status[name] for name in _STATUS if name in status}
    for name in ("uid_map", "gid_map", "setgroups", "time_offsets"):
        report[name] = "; ".join(
            " ".join(line.split()) for line in (document[name] or "").splitlines()
        )
    report["mounts"] = mounts(document["mountinfo"] or ())
    return report


def mounts(lines: Sequence[str]) -> Tree:
    """Return the mounts by their place, further ones on the same place with a number.

    Each has root, type, source, options, those of its file system, and its propagation.
    """
    found: dict[str, Any] = {}
    order: list[str] = []
    for line in lines:
        left, _, right = line.partition(" - ")
        fields, kind = left.split(" "), right.split(" ")
        place, number = fields[4], 1
        while place in found:
            number += 1
            place = f"{fields[4]} #{number}"
        order.append(place)
        found[place] = {
            "root": fields[3],
            "type": kind[0],
            "source": kind[1] if len(kind) > 1 else "",
            "options": sorted(set(fields[5].split(","))),
            "data": sorted(set(kind[2].split(","))) if len(kind) > 2 else [],  # noqa: PLR2004
            "propagation": sorted(
                each.partition(":")[0] for each in fields[6:] if _PROPAGATION.match(each)
            ),
        }
    return found


def of_act(line: Mapping[str, Any]) -> Tree:
    """Return the line of an act without the numbers that are given out anew."""
    left_out = {"act", "inode", "device"}
    if line.get("type") == "directory":
        left_out |= {"size"}
    return _texts({name: value for name, value in line.items() if name not in left_out})


def _environ(entries: Sequence[str]) -> Tree:
    found: dict[str, Any] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        key, number = name + ("" if equals else " (no =)"), 1
        while key in found:
            number += 1
            key = f"{name} #{number}"
        found[key] = value
    return found


def _capability(number: int) -> str:
    return CAPABILITIES[number] if number < len(CAPABILITIES) else f"CAP_{number}"


def _texts(value: Tree) -> Tree:
    """Return ``value`` with its lists as sets of texts."""
    if isinstance(value, dict):
        return {name: _texts(each) for name, each in value.items()}
    return sorted(map(str, value)) if isinstance(value, list) else value
