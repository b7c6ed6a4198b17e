"""Capability sets as bit masks (capabilities(7); config.md, "Linux Process").

A capability that cannot be mapped or granted is a warning and not an error.  A process without
``capabilities`` has none: what is not asked for is not given (decision 22).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import msgspec

from seatrial.oci import host
from seatrial.oci.log import warn
from seatrial.oci.operations import Kind, Op, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from seatrial.oci.config import Capabilities

NAMES = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
]
NUMBERS = {f"CAP_{name}": number for number, name in enumerate(NAMES)}
SYS_ADMIN = 1 << NUMBERS["CAP_SYS_ADMIN"]
BASE = "/process/capabilities"


@functools.cache
def held() -> int:
    """Return our own permitted set: what can be granted without a new user namespace."""
    return host.permitted()


def every() -> int:
    """Return all that the kernel knows, which is what there is in a new user namespace."""
    return (1 << (int(host.text("/proc/sys/kernel/cap_last_cap")) + 1)) - 1


class Sets(msgspec.Struct, frozen=True):
    """The five sets as masks, such that the kernel takes them."""

    bounding: int
    permitted: int
    effective: int
    inheritable: int
    ambient: int


def mask(names: Iterable[str], pointer: str, granted: int | None = None) -> int:
    """Return the bits of ``names`` that are ``granted``, with a warning for each that is not."""
    granted = held() if granted is None else granted
    bits = 0
    for name in names:
        bit = 1 << NUMBERS[name] if name in NUMBERS else 0
        if not bit & granted:
            why = "cannot be granted" if bit else "is unknown"
            warn(f"config.json#{pointer}: capability {name} {why} and is left out")
            continue
        bits |= bit
    return bits


def _within(bits: int, limit: int, what: str, pointer: str) -> int:
    for name, number in NUMBERS.items():
        if bits & ~limit & 1 << number:
            warn(
                f"config.json#{pointer}: capability {name} cannot be granted, as it is not {what}, "
                "and is left out"
            )
    return bits & limit


def sets(wanted: Capabilities, *, granted: int) -> Sets:
    """Return the sets that can be granted: the kernel's rules between them are in capset(2)."""
    bounding = mask(wanted.bounding, f"{BASE}/bounding", granted)
    permitted = mask(wanted.permitted, f"{BASE}/permitted", granted)
    effective = mask(wanted.effective, f"{BASE}/effective", granted)
    inheritable = mask(wanted.inheritable, f"{BASE}/inheritable", granted)
    ambient = mask(wanted.ambient, f"{BASE}/ambient", granted)
    effective = _within(effective, permitted, "permitted", f"{BASE}/effective")
    inheritable = _within(inheritable, bounding, "in the bounding set", f"{BASE}/inheritable")
    ambient = _within(
        ambient, permitted & inheritable, "permitted and inheritable", f"{BASE}/ambient"
    )
    return Sets(bounding, permitted, effective, inheritable, ambient)


def bound(wanted: Capabilities, found: Sets) -> Op:
    """Return what is done before the ids change: the bounding set is for whoever may."""
    return Op(
        Kind.BOUNDING,
        Stage.START,
        f"keep {len(set(wanted.bounding))} capabilities in the bounding set",
        f"{BASE}/bounding",
        numbers=(found.bounding,),
    )


def grant(found: Sets, *, for_filter: bool) -> Iterator[Op]:
    """Yield what is done after the ids changed.

    ``for_filter`` keeps CAP_SYS_ADMIN, without which no filter can be loaded, up to exec.  It ends
    there: exec makes the new sets of the inheritable, bounding and ambient ones alone, unless there
    is no_new_privs, with which a filter needs no capability (capabilities(7), "Transformation of
    capabilities during execve").
    """
    extra = SYS_ADMIN if for_filter else 0
    says = ", and CAP_SYS_ADMIN up to exec to load a filter" if for_filter else ""
    yield Op(
        Kind.CAPABILITIES,
        Stage.START,
        f"set effective, permitted and inheritable capabilities{says}",
        BASE,
        numbers=(found.effective | extra, found.permitted | extra, found.inheritable),
    )
    yield Op(
        Kind.AMBIENT,
        Stage.START,
        "set ambient capabilities",
        f"{BASE}/ambient",
        numbers=(found.ambient,),
    )
