"""Which devices may be used (config-linux.md, "Allowed Device list").

The last rule that matches decides, for reading, writing and mknod each.  Rules that deny whole
types are followed by what every container has: its default devices, its terminals, and making
nodes; a rule after them can still deny one of those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from seatrial.oci import device_filter, host
from seatrial.oci.cgroup_files import WHERE_POSSIBLE, Writer
from seatrial.oci.errors import ConfigError
from seatrial.oci.operations import Kind, Op

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.cgroup_files import Groups
    from seatrial.oci.config import DeviceCgroup
    from seatrial.oci.operations import Stage

POINTER = "/linux/resources/devices"
ALL = frozenset("rwm")
ANY = None
IN_PLACE, WHERE_ALLOWED = 1, 2


class Rule(msgspec.Struct, frozen=True):
    """One rule about one type, ``c`` or ``b``; ``ANY`` number matches all."""

    allow: bool
    type: str
    major: int | None
    minor: int | None
    access: frozenset[str]
    pointer: str = POINTER
    default: bool = False

    def covers(self, other: Rule) -> bool:
        """Whether all devices of the other are devices of this one."""
        return (
            self.type == other.type
            and self.major in {ANY, other.major}
            and self.minor in {ANY, other.minor}
        )

    def meets(self, other: Rule) -> bool:
        """Whether some device belongs to both, with some access in common."""
        return (
            self.type == other.type
            and (ANY in {self.major, other.major} or self.major == other.major)
            and (ANY in {self.minor, other.minor} or self.minor == other.minor)
            and bool(self.access & other.access)
        )

    def text(self) -> str:
        """Return the rule as v1 writes it."""
        numbers = ":".join("*" if each is ANY else str(each) for each in (self.major, self.minor))
        return f"{self.type} {numbers} {''.join(each for each in 'rwm' if each in self.access)}"


def _default(kind: str, major: int | None, minor: int | None, access: str = "rwm") -> Rule:
    return Rule(
        allow=True, type=kind, major=major, minor=minor, access=frozenset(access), default=True
    )


#: What runc and crun allow every container too.
DEFAULTS = (
    _default("c", ANY, ANY, "m"),
    _default("b", ANY, ANY, "m"),
    _default("c", 1, 3),  # null
    _default("c", 1, 5),  # zero
    _default("c", 1, 7),  # full
    _default("c", 1, 8),  # random
    _default("c", 1, 9),  # urandom
    _default("c", 5, 0),  # tty
    _default("c", 5, 2),  # ptmx
    _default("c", 136, ANY),  # pts
)


def compile(  # noqa: A001 - the compiler's verb
    devices: list[DeviceCgroup], groups: Groups, stage: Stage, *, update: bool
) -> Iterator[Op]:
    """Yield the writes of v1 or the filter of v2; without rules all stays as it is."""
    if not devices:
        return
    wanted = rules(devices)
    group = groups.find("devices", POINTER)
    if group is not None and group.hierarchy.version == 1:
        write = Writer(group, stage, POINTER)
        denies, listed = v1_rules(wanted)
        if denies or group.read("devices.list") not in {None, "a *:* rwm"}:
            yield write("devices.deny" if denies else "devices.allow", "a", "")
        for rule in listed:
            op = write("devices.allow" if denies else "devices.deny", rule.text(), "")
            # A cgroup above may allow less; for what nobody asked for that is no error.
            flags = WHERE_POSSIBLE if rule.default else 0
            yield msgspec.structs.replace(op, pointer=rule.pointer, flags=flags)
    elif groups.unified is not None:
        flags = IN_PLACE if update else 0
        # In a user namespace nobody can make devices, nor load filters.
        flags |= 0 if host.ids()[0] == 0 and owns_devices() else WHERE_ALLOWED
        yield Op(
            Kind.DEVICE_FILTER,
            stage,
            f"filter the use of devices in {groups.unified.path} by {len(wanted)} rules",
            POINTER,
            path=groups.unified.path,
            blob=device_filter.program(wanted),
            flags=flags,
        )
    elif host.ids()[0] == 0 and owns_devices():
        host.refuse(POINTER, "no cgroup hierarchy that we can use has the devices controller")


def owns_devices() -> bool:
    """Whether this is the first user namespace, the only one with rights over devices."""
    return host.text("/proc/self/uid_map").split() == ["0", "0", str(2**32 - 1)]


def drivers() -> dict[tuple[str, int], str]:
    """Return the names of drivers by type and major number (proc(5), devices)."""
    found: dict[tuple[str, int], str] = {}
    kind = ""
    for line in host.lines("/proc/devices"):
        words = line.split()
        if line.endswith("devices:\n"):
            kind = line[0].lower()
        elif len(words) == 2 and "/" not in words[1]:  # noqa: PLR2004 - number and name
            found.setdefault((kind, int(words[0])), words[1])
    return found


def rules(devices: list[DeviceCgroup]) -> list[Rule]:
    """Return the rules in order, each of one type, with the default ones in their place."""
    found: list[Rule] = []
    for number, each in enumerate(devices):
        pointer = f"{POINTER}/{number}"
        if each.access == "":
            raise ConfigError(f"{pointer}/access", "is empty, so the rule is about nothing")
        # runc's callers write -1 for any number.
        major, minor = (ANY if value == -1 else value for value in (each.major, each.minor))
        for name, value in (("major", major), ("minor", minor)):
            if value is not None and not 0 <= value < 2**32:
                raise ConfigError(f"{pointer}/{name}", f"no device has the number {value}")
        access = ALL if each.access is None else frozenset(each.access)
        found += [
            Rule(each.allow, kind, major, minor, access, pointer)
            for kind in ("c", "b")
            if each.type in {"a", kind}
        ]
    wide = [n for n, rule in enumerate(found) if not rule.allow and rule.major is rule.minor is ANY]
    if wide:
        found[wide[-1] + 1 : wide[-1] + 1] = DEFAULTS
    return found


def v1_rules(wanted: list[Rule]) -> tuple[bool, list[Rule]]:
    """Return whether v1 has to deny all but a list, or to allow all but it, and the list.

    In v1 an entry of the list is taken away only by the same entry, so a rule about a part of an
    entry cannot be had: raises ``ConfigError``.
    """
    denies, rest = _last_word(wanted)
    listed: list[Rule] = []
    for rule in rest:
        if not denies and not rule.allow and rule.major is rule.minor is ANY:
            denies, listed = True, _without(rule, listed)
        elif rule.allow == denies:
            listed = _with(rule, listed)
        else:
            listed = _reduced(rule, listed)
    return denies, [each for each in listed if each.access]


def _last_word(wanted: list[Rule]) -> tuple[bool, list[Rule]]:
    """Return whether the last rule about every device denies, and the rules that come after it."""
    for number in range(len(wanted) - 1, 0, -1):
        pair = wanted[number - 1 : number + 1]
        if (
            {each.type for each in pair} == {"c", "b"}
            and all(each.major is each.minor is ANY and each.access == ALL for each in pair)
            and pair[0].allow == pair[1].allow
        ):
            return not pair[0].allow, wanted[number + 1 :]
    return False, wanted


def _without(rule: Rule, denied: list[Rule]) -> list[Rule]:
    """Turn "all but ``denied``" into "nothing but", as ``rule`` denies a whole type."""
    listed = []
    for kind in ("c", "b"):
        access = ALL - rule.access if kind == rule.type else ALL
        whole = Rule(True, kind, ANY, ANY, access, rule.pointer)  # noqa: FBT003 - reads as the config
        for each in denied:
            if each.meets(whole):
                raise _hole(each)
        listed.append(whole)
    return [each for each in listed if each.access]


def _with(rule: Rule, listed: list[Rule]) -> list[Rule]:
    for number, each in enumerate(listed):
        if each.covers(rule) and rule.covers(each) and each.default == rule.default:
            both = msgspec.structs.replace(each, access=each.access | rule.access)
            return [*listed[:number], both, *listed[number + 1 :]]
    return [*listed, rule]


def _reduced(rule: Rule, listed: list[Rule]) -> list[Rule]:
    found = []
    for each in listed:
        if not rule.meets(each):
            found.append(each)
        elif rule.covers(each):
            found.append(msgspec.structs.replace(each, access=each.access - rule.access))
        elif each.default:
            continue  # given to be convenient, and what the config denies comes first
        else:
            raise _hole(rule)
    return found


def _hole(rule: Rule) -> ConfigError:
    return ConfigError(
        rule.pointer,
        f"cgroup v1 cannot treat {rule.text()} otherwise than the rule it is a part of; "
        "put the narrow rules of one kind after the wide one, or use cgroup v2",
    )
