"""Limits: what ``-m``, ``--cpus`` and the like become in a container's config."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Any

from seatrial.engine import payloads
from seatrial.engine.errors import BadRequest

if TYPE_CHECKING:
    from seatrial.engine.payloads import Device, Rate, Resources

_LEAST_MEMORY = 6 << 20
_PERIOD_US = 100_000
_SWAPPINESS, _WEIGHTS = range(-1, 101), range(10, 1001)
_PERIODS_US, _LEAST_QUOTA_US = range(1000, 1_000_001), 1000
_BILLION = 1_000_000_000
#: One number or two, as in cpuset's lists.
_SPAN = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?", re.ASCII)
#: No rules but these: the devices of config-linux.md and terminals (major 136).
_ALLOWED = (
    (1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, None),
)  # fmt: skip


def check(limits: Resources) -> None:
    """Refuse what makes no sense on any host."""
    if limits.memory < 0 or limits.nano_cpus < 0 or limits.cpu_shares < 0:
        raise BadRequest("a limit cannot be negative")
    _check_memory(limits)
    _check_cpu(limits)
    if limits.blkio_weight and limits.blkio_weight not in _WEIGHTS:
        raise BadRequest("Range of blkio weight is from 10 to 1000")


def _check_memory(limits: Resources) -> None:
    if 0 < limits.memory < _LEAST_MEMORY:
        raise BadRequest("Minimum memory limit allowed is 6MB")
    if limits.memory_swap > 0 and not limits.memory:
        raise BadRequest(
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        )
    if limits.memory and 0 < limits.memory_swap < limits.memory:
        raise BadRequest("Minimum memoryswap limit should be larger than memory limit, see usage")
    if limits.memory and limits.memory_reservation > limits.memory:
        raise BadRequest(
            "Minimum memory limit can not be less than memory reservation limit, see usage"
        )
    if limits.memory_swappiness is not None and limits.memory_swappiness not in _SWAPPINESS:
        raise BadRequest(
            f"Invalid value: {limits.memory_swappiness}, valid memory swappiness range is 0-100"
        )


def _check_cpu(limits: Resources) -> None:
    if limits.nano_cpus and (limits.cpu_period or limits.cpu_quota):
        raise BadRequest(
            "Conflicting options: Nano CPUs and CPU Period or Quota cannot both be set"
        )
    cpus = os.cpu_count() or 1
    if limits.nano_cpus > cpus * _BILLION:
        raise BadRequest(
            f"Range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
        )
    if limits.cpu_period and limits.cpu_period not in _PERIODS_US:
        raise BadRequest(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        )
    if 0 < limits.cpu_quota < _LEAST_QUOTA_US:
        raise BadRequest("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    _check_set("CPUs", "cpus", limits.cpuset_cpus, "/sys/devices/system/cpu/online")
    _check_set("memory nodes", "mems", limits.cpuset_mems, "/sys/devices/system/node/online")


def _check_set(what: str, name: str, asked: str, path: str) -> None:
    """Refuse a set of processors or memory nodes that this host does not have (cpuset(7))."""
    wanted = _numbers_of(asked)
    if wanted is None:
        raise BadRequest(f"Invalid value {asked} for cpuset {name}: invalid format: {asked}")
    if not wanted:
        return
    with open(path, encoding="ascii") as file:
        online = file.read().strip()
    there = {each for span in _numbers_of(online) or () for each in span}
    if not all(there.issuperset(span) for span in wanted):
        raise BadRequest(
            f"Requested {what} are not available - requested {asked}, available: {online}"
        )


def _numbers_of(text: str) -> list[range] | None:
    """Read a list such as ``0-2,4`` as ranges; None if it is none."""
    found = []
    for part in text.split(",") if text else ():
        match = _SPAN.fullmatch(part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            return None
        found.append(range(int(match[1]), int(match[2] or match[1]) + 1))
    return found


def resources(limits: Resources) -> dict[str, Any]:
    """Return ``linux.resources`` without devices; what was not asked for is not there."""
    made = {
        "memory": _memory(limits),
        "cpu": _cpu(limits),
        "pids": {"limit": max(limits.pids_limit, -1)} if limits.pids_limit else {},
        "blockIO": _block_io(limits),
    }
    return {name: section for name, section in made.items() if section}


def _memory(limits: Resources) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if limits.memory:
        made["limit"] = limits.memory
        # Without a word about swap there is as much of it as of memory.
        made["swap"] = limits.memory_swap or 2 * limits.memory
    if limits.memory_reservation:
        made["reservation"] = limits.memory_reservation
    if limits.memory_swappiness is not None and limits.memory_swappiness >= 0:
        made["swappiness"] = limits.memory_swappiness
    if limits.oom_kill_disable:
        made["disableOOMKiller"] = True
    return made


def _cpu(limits: Resources) -> dict[str, Any]:
    quota = limits.nano_cpus * _PERIOD_US // _BILLION
    asked = {
        "shares": limits.cpu_shares,
        "period": limits.cpu_period or (_PERIOD_US if limits.nano_cpus else 0),
        "quota": limits.cpu_quota or quota,
        "realtimePeriod": limits.cpu_realtime_period,
        "realtimeRuntime": limits.cpu_realtime_runtime,
        "cpus": limits.cpuset_cpus,
        "mems": limits.cpuset_mems,
    }
    return {name: value for name, value in asked.items() if value}


def check_change(limits: Resources, changed: Resources) -> None:
    """Refuse a change that makes no sense with what stays."""
    for name, text in (("cpu_quota", "CPU Quota"), ("cpu_period", "CPU Period")):
        if getattr(changed, name) and limits.nano_cpus:
            raise BadRequest(
                f"Conflicting options: {text} cannot be updated as NanoCPUs has already been set"
            )
        if changed.nano_cpus and getattr(limits, name):
            raise BadRequest(
                f"Conflicting options: Nano CPUs cannot be updated as {text} has already been set"
            )
    swap = limits.memory_swap
    if changed.memory and not changed.memory_swap and 0 <= swap < changed.memory:
        raise BadRequest(
            "Memory limit should be smaller than already set memoryswap limit, update the "
            "memoryswap at the same time"
        )


def take(limits: Resources, changed: Resources) -> None:
    """Let limits be what was asked for by a change; what it does not name stays."""
    nothing = payloads.Resources()
    for name in payloads.Resources.__struct_fields__:
        value = getattr(changed, name)
        if value != getattr(nothing, name):
            setattr(limits, name, value)


def _block_io(limits: Resources) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if limits.blkio_weight:
        made["weight"] = limits.blkio_weight
    weights = [
        {**_numbers(each.path), "weight": each.weight} for each in limits.blkio_weight_device or ()
    ]
    if weights:
        made["weightDevice"] = weights
    for name, rates in (
        ("throttleReadBpsDevice", limits.blkio_device_read_bps),
        ("throttleWriteBpsDevice", limits.blkio_device_write_bps),
        ("throttleReadIOPSDevice", limits.blkio_device_read_iops),
        ("throttleWriteIOPSDevice", limits.blkio_device_write_iops),
    ):
        if rates:
            made[name] = [_throttle(each) for each in rates]
    return made


def _throttle(rate: Rate) -> dict[str, int]:
    return {**_numbers(rate.path), "rate": rate.rate}


def _numbers(path: str) -> dict[str, int]:
    number = _stat(path).st_rdev
    return {"major": os.major(number), "minor": os.minor(number)}


def _stat(path: str) -> os.stat_result:
    try:
        return os.stat(path)
    except OSError as error:
        raise BadRequest(
            f'error gathering device information while adding custom device "{path}": '
            f"{(error.strerror or str(error)).lower()}"
        ) from None


def device_rules(
    devices: list[Device] | None, rules: list[str] | None, *, privileged: bool
) -> list[dict[str, Any]]:
    """Return ``linux.resources.devices``: all for the privileged, a short list otherwise."""
    if privileged:
        return [{"allow": True, "access": "rwm"}]
    made: list[dict[str, Any]] = [
        {"allow": False, "access": "rwm"},
        # Making a node of any device does no harm: opening it is what counts.
        {"allow": True, "type": "c", "access": "m"},
        {"allow": True, "type": "b", "access": "m"},
    ]
    for major, minor in _ALLOWED:
        rule: dict[str, Any] = {"allow": True, "type": "c", "major": major, "access": "rwm"}
        made.append(rule if minor is None else {**rule, "minor": minor})
    for device in devices or ():
        for node in nodes(device):
            rule = {key: node[key] for key in ("type", "major", "minor")}
            access = device.cgroup_permissions or "rwm"
            made.append({"allow": True, **rule, "access": access})
    made.extend(_rule(text) for text in rules or ())
    return made


def _rule(text: str) -> dict[str, Any]:
    kind, _, rest = text.partition(" ")
    numbers, _, access = rest.partition(" ")
    major, _, minor = numbers.partition(":")
    parts = (major, minor)
    if kind not in {"a", "b", "c"} or not access or set(access) - set("rwm"):
        raise BadRequest(f"invalid device cgroup rule format: '{text}'")
    if any(part != "*" and not part.isdecimal() for part in parts):
        raise BadRequest(f"invalid device cgroup rule format: '{text}'")
    found = zip(("major", "minor"), parts, strict=True)
    numbered = {name: int(part) for name, part in found if part != "*"}
    return {"allow": True, "type": kind, **numbered, "access": access}


def nodes(device: Device) -> list[dict[str, Any]]:
    """Return ``linux.devices`` for one that the client names: a node, or a folder of them."""
    held = device.path_on_host
    inside = device.path_in_container or held
    if set(device.cgroup_permissions) - set("rwm"):
        raise BadRequest(f"invalid device mode: {device.cgroup_permissions}")
    found = _stat(held)
    if stat.S_ISDIR(found.st_mode):
        return [
            _node(
                os.path.join(where, name), os.path.join(inside, os.path.relpath(where, held), name)
            )
            for where, _, names in os.walk(held)
            for name in names
            if _is_device(os.stat(os.path.join(where, name), follow_symlinks=False))
        ]
    if not _is_device(found):
        raise BadRequest(
            f'error gathering device information while adding custom device "{held}": '
            "not a device node"
        )
    return [_node(held, inside)]


def _is_device(found: os.stat_result) -> bool:
    return stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)


def _node(held: str, inside: str) -> dict[str, Any]:
    found = os.stat(held)
    return {
        "path": os.path.normpath(inside),
        "type": "c" if stat.S_ISCHR(found.st_mode) else "b",
        "major": os.major(found.st_rdev),
        "minor": os.minor(found.st_rdev),
        "fileMode": stat.S_IMODE(found.st_mode),
        "uid": found.st_uid,
        "gid": found.st_gid,
    }


def rlimits(limits: Resources) -> list[dict[str, Any]]:
    """Return ``process.rlimits``."""
    import resource

    made = []
    for each in limits.ulimits or ():
        name = f"RLIMIT_{each.name.upper()}"
        if not hasattr(resource, name):
            raise BadRequest(f"invalid ulimit type: {each.name}")
        hard = each.hard or each.soft
        if each.soft > hard >= 0:
            raise BadRequest(
                f"ulimit soft limit must be less than or equal to hard limit: {each.soft} > {hard}"
            )
        unlimited = (1 << 64) - 1
        made.append(
            {
                "type": name,
                "soft": unlimited if each.soft < 0 else each.soft,
                "hard": unlimited if hard < 0 else hard,
            }
        )
    return made
