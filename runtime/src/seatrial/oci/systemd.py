"""The systemd driver: the container's cgroup is a scope that systemd makes (--systemd-cgroup).

``cgroupsPath`` then reads ``slice:prefix:name``.  systemd is asked over D-Bus; the messages are
written here and sent by the executor, which knows the pid (runtime/csrc/systemd.c).
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import msgspec

from seatrial.oci import cgroup_cpu, cgroup_memory, dbus, device_rules, host
from seatrial.oci.dbus import Variant
from seatrial.oci.errors import ConfigError
from seatrial.oci.operations import Kind, Op, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import CPU, Config, Memory, Resources
    from seatrial.oci.device_rules import Rule

POINTER = "/linux/cgroupsPath"
SYSTEM_BUS = "/run/dbus/system_bus_socket"
SYSTEMD = (
    "org.freedesktop.systemd1",
    "/org/freedesktop/systemd1",
    "org.freedesktop.systemd1.Manager",
)
BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
UINT64_MAX = 2**64 - 1
NEED_NOT_BE = 1
#: systemd rounds a share of CPU time up to whole percents.
_PERCENT_US = 10_000
_SECOND_US = 1_000_000
_SERIAL = 4


class Unit(msgspec.Struct, frozen=True):
    """The scope of a container: its name, its slice, and where systemd has them in the tree."""

    name: str
    slice: str
    path: str


def unit_of(config: Config, identifier: str) -> Unit:
    """Return the scope that ``cgroupsPath`` names; raises ``ConfigError`` for another form."""
    wanted = config.linux.cgroups_path
    default = "user.slice" if host.ids()[0] else "system.slice"
    parts = wanted.split(":") if wanted else ["", "", ""]
    if len(parts) != 3:  # noqa: PLR2004 - slice, prefix and name
        raise ConfigError(POINTER, f"{wanted!r} is not slice:prefix:name, as with --systemd-cgroup")
    parent, prefix, name = parts
    parent, name = parent or default, name or identifier
    unit = f"{prefix or 'seatrial-oci'}-{name}" if wanted == "" or prefix else name
    if not unit.endswith((".scope", ".slice")):
        unit += ".scope"
    for each in (parent, unit):
        if "/" in each or each.startswith("."):
            raise ConfigError(POINTER, f"{each!r} is not the name of a unit")
    above = path_of_slice(parent)
    if uid := host.ids()[0]:
        # A user's systemd has a tree of its own, below the service that it is.
        above = f"/user.slice/user-{uid}.slice/user@{uid}.service{above}"
    return Unit(unit, parent, f"{above}/{unit}")


def path_of_slice(name: str) -> str:
    """Return where a slice is: dashes are steps, ``a-b.slice`` lies in ``a.slice``."""
    base = name.removesuffix(".slice")
    if base == "-" != name:
        return ""
    steps = base.split("-")
    if base == name or not all(steps):
        raise ConfigError(POINTER, f"{name!r} is not the name of a slice")
    return "".join(f"/{'-'.join(steps[: n + 1])}.slice" for n in range(len(steps)))


def placed(config: Config, unit: Unit) -> Config:
    """Return the config with the scope's place in the tree as its path."""
    linux = msgspec.structs.replace(config.linux, cgroups_path=unit.path)
    return msgspec.structs.replace(config, linux=linux)


def bus() -> str:
    """Return the socket of the bus; raises ``HostError`` where there is none."""
    path = SYSTEM_BUS
    if uid := host.ids()[0]:
        path = os.path.join(host.environ("XDG_RUNTIME_DIR") or f"/run/user/{uid}", "bus")
    try:
        if stat.S_ISSOCK(host.type_of(path)):
            return path
    except OSError:
        pass
    host.refuse(
        POINTER,
        f"systemd cannot be asked for a cgroup, there is no {path}; without --systemd-cgroup "
        "cgroups are made directly",
    )
    return path


def start(unit: Unit, resources: Resources | None, *, unified: bool) -> Op:
    """Return what makes the scope, with the waiting process in it."""
    # The pid is not known yet, so its place is found by two that differ in it.
    bodies = [_start_body(unit, pid, resources, unified=unified) for pid in (0, UINT64_MAX >> 32)]
    place = next(n for n in range(len(bodies[0])) if bodies[0][n] != bodies[1][n])
    return _op(
        Stage.ADOPT,
        f"let systemd make {unit.name} in {unit.slice} and put the process there",
        unit.name,
        ("StartTransientUnit", "ssa(sv)a(sa(sv))", bodies[0]),
        place,
    )


def _start_body(unit: Unit, pid: int, resources: Resources | None, *, unified: bool) -> bytes:
    described = [
        ("Description", Variant("s", f"seatrial-oci container {unit.name}")),
        ("Slice", Variant("s", unit.slice)),
        ("PIDs", Variant("au", [pid])),
        ("Delegate", Variant("b", value=True)),
        ("DefaultDependencies", Variant("b", value=False)),
        *(
            (f"{each}Accounting", Variant("b", value=True))
            for each in ("CPU", "Memory", "IO" if unified else "BlockIO", "Tasks")
        ),
    ]
    values = properties(resources, unified=unified) if resources else []
    writer = dbus.Writer().write("ssa(sv)a(sa(sv))", unit.name, "replace", described + values, [])
    return bytes(writer.data)


def stop(unit: Unit) -> Op:
    """Return what stops the scope, if systemd has not seen that it is empty."""
    body = bytes(dbus.Writer().write("ss", unit.name, "replace").data)
    says = f"let systemd stop {unit.name} if it is still there"
    return _op(Stage.DELETED, says, unit.name, ("StopUnit", "ss", body), None, flags=NEED_NOT_BE)


def update(name: str, resources: Resources, *, unified: bool) -> Op | None:
    """Return what tells systemd of new limits, or it would set the old ones again one day."""
    values = properties(resources, unified=unified)
    if not values:
        return None
    body = bytes(dbus.Writer().write("sba(sv)", name, 1, values).data)
    says = f"tell systemd of the new limits of {name}"
    return _op(Stage.BEFORE, says, "", ("SetUnitProperties", "sba(sv)", body), None)


def properties(resources: Resources, *, unified: bool) -> list[tuple[str, Variant]]:
    """Return the settings that systemd knows: it sets its own again whenever it is reloaded."""
    found: list[tuple[str, Variant]] = []
    if resources.memory is not None:
        found += _memory(resources.memory, unified=unified)
    if resources.cpu is not None:
        found += _cpu(resources.cpu, unified=unified)
    if resources.devices and not unified:
        found += _devices(device_rules.rules(resources.devices))
    limit = resources.pids.limit if resources.pids is not None else None
    # 0 tasks is nothing that systemd can make a scope with.
    if limit:
        found.append(_number("TasksMax", UINT64_MAX if limit == -1 else limit))
    return found


def _number(name: str, value: int) -> tuple[str, Variant]:
    return name, Variant("t", value)


def _cpu(cpu: CPU, *, unified: bool) -> Iterator[tuple[str, Variant]]:
    if cpu.shares:
        if unified:
            yield _number("CPUWeight", cgroup_cpu.weight(cpu.shares))
        else:
            yield _number("CPUShares", cpu.shares)
    if cpu.period:
        yield _number("CPUQuotaPeriodUSec", cpu.period)
    if cpu.quota:
        yield _number("CPUQuotaPerSecUSec", quota_per_second(cpu.quota, cpu.period))
    for name, text in (("AllowedCPUs", cpu.cpus), ("AllowedMemoryNodes", cpu.mems)):
        if text and unified:
            yield name, Variant("ay", mask(text))


def _memory(memory: Memory, *, unified: bool) -> Iterator[tuple[str, Variant]]:
    if memory.limit is not None:
        yield _number("MemoryMax" if unified else "MemoryLimit", _size(memory.limit))
    if not unified:
        return
    if memory.reservation is not None:
        yield _number("MemoryLow", _size(memory.reservation))
    if memory.swap is not None and memory.limit is not None:
        swap = cgroup_memory.v2_swap(memory.limit, memory.swap)
        yield _number("MemorySwapMax", UINT64_MAX if swap in {None, "max"} else int(swap or 0))


def _devices(rules: list[Rule]) -> list[tuple[str, Variant]]:
    """Return the devices of v1; the filter of v2 is ours, and systemd leaves it alone."""
    denies, listed = device_rules.v1_rules(rules)
    if not denies:
        return [("DevicePolicy", Variant("s", "auto")), ("DeviceAllow", Variant("a(ss)", []))]
    kinds = {"c": "char", "b": "block"}
    majors = device_rules.drivers()
    allowed = []
    for rule in listed:
        name = f"{kinds[rule.type]}-*"
        if rule.minor is not None:
            name = f"/dev/{kinds[rule.type]}/{rule.major}:{rule.minor}"
        elif rule.major is not None:
            name = f"{kinds[rule.type]}-{majors.get((rule.type, rule.major), rule.major)}"
        allowed.append((name, "".join(each for each in "rwm" if each in rule.access)))
    return [
        ("DevicePolicy", Variant("s", "strict")),
        ("DeviceAllow", Variant("a(ss)", allowed)),
    ]


def _size(value: int) -> int:
    return UINT64_MAX if value == -1 else value


def quota_per_second(quota: int, period: int | None) -> int:
    """Return a quota as microseconds of CPU time in a second, as systemd takes it."""
    if quota < 0:
        return UINT64_MAX
    per_second = quota * _SECOND_US // (period or cgroup_cpu.DEFAULT_PERIOD)
    return -(-per_second // _PERCENT_US) * _PERCENT_US


def mask(text: str) -> bytes:
    """Return a list such as ``0-3,7`` as bits, the first in the lowest bit of the first byte."""
    bits = 0
    for part in text.strip().split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdigit() or (last and not last.isdigit()) or int(last or first) < int(first):
            raise ConfigError(
                "/linux/resources/cpu", f"{text!r} is not a list of numbers and ranges"
            )
        for number in range(int(first), int(last or first) + 1):
            bits |= 1 << number
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def _op(
    stage: Stage,
    says: str,
    awaited: str,
    request: tuple[str, str, bytes],
    place: int | None,
    *,
    flags: int = 0,
) -> Op:
    member, signature, body = request
    match = "type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'"
    arguments = bytes(dbus.Writer().write("s", match).data)
    messages = [
        dbus.call(1, BUS, "Hello"),
        dbus.call(2, BUS, "AddMatch", "s", arguments),
        dbus.call(3, SYSTEMD, "Subscribe"),
        dbus.call(_SERIAL, SYSTEMD, member, signature, body),
    ]
    blob = b"".join(messages)
    return Op(
        Kind.SYSTEMD,
        stage,
        says,
        POINTER,
        path=bus(),
        text=awaited,
        blob=blob,
        flags=flags,
        numbers=(0 if place is None else len(blob) - len(body) + place + 1, _SERIAL),
    )
