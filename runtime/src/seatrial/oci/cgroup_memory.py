"""Memory (config-linux.md, "Memory"; cgroup-v1/memory.rst, cgroup-v2.rst)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from seatrial.oci import host
from seatrial.oci.cgroup_files import NEED_NOT_BE, Writer
from seatrial.oci.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.cgroup_files import Groups
    from seatrial.oci.config import Memory
    from seatrial.oci.operations import Op, Stage

POINTER = "/linux/resources/memory"
UNLIMITED = -1
MEMSW = "memory.memsw.limit_in_bytes"
#: From here on v1 takes a limit of kernel memory and does nothing with it.
_NO_KERNEL_LIMIT = (5, 16)
_SWAPPINESS_MOST = 100


def compile(memory: Memory | None, groups: Groups, stage: Stage) -> Iterator[Op]:  # noqa: A001 - the compiler's verb
    """Yield the writes; raises ``ConfigError``."""
    if memory is None:
        return
    check(memory)
    members = {name for name in memory.__struct_fields__ if getattr(memory, name) is not None}
    members.discard("check_before_update")
    # What is anyway needs no controller.
    for name, value in (("disable_oom_killer", False), ("use_hierarchy", True)):
        if getattr(memory, name) is value and groups.find("memory", POINTER) is None:
            members.discard(name)
    if not members:
        return
    write = Writer(groups.get("memory", POINTER), stage, POINTER)
    yield from _v1(memory, write) if write.is_v1 else _v2(memory, write)


def check(memory: Memory) -> None:
    """Refuse what means nothing on any version."""
    for name, value in (
        ("limit", memory.limit),
        ("reservation", memory.reservation),
        ("swap", memory.swap),
        ("kernel", memory.kernel),
        ("kernelTCP", memory.kernel_tcp),
    ):
        if value is not None and value < UNLIMITED:
            raise ConfigError(f"{POINTER}/{name}", f"{value} is no size; -1 is no limit")
    if memory.swappiness is not None and memory.swappiness > _SWAPPINESS_MOST:
        raise ConfigError(f"{POINTER}/swappiness", f"{memory.swappiness} is more than 100")
    limit, swap = memory.limit, memory.swap
    if limit is not None and swap is not None and UNLIMITED != swap < limit:
        raise ConfigError(
            f"{POINTER}/swap", f"{swap} is memory and swap together, so not less than limit {limit}"
        )


def _v1(memory: Memory, write: Writer) -> Iterator[Op]:
    if memory.use_hierarchy is not None:
        yield write("memory.use_hierarchy", int(memory.use_hierarchy), "useHierarchy")
    yield from _v1_limits(memory, write)
    if memory.reservation is not None:
        yield write("memory.soft_limit_in_bytes", memory.reservation, "reservation")
    if memory.kernel is not None and memory.kernel != UNLIMITED:
        if kernel_release() >= _NO_KERNEL_LIMIT:
            write.refuse("kernel", "since Linux 5.16 there is no limit of kernel memory")
        yield write("memory.kmem.limit_in_bytes", memory.kernel, "kernel")
    if memory.kernel_tcp is not None:
        yield write("memory.kmem.tcp.limit_in_bytes", memory.kernel_tcp, "kernelTCP")
    if memory.swappiness is not None:
        yield write("memory.swappiness", memory.swappiness, "swappiness")
    if memory.disable_oom_killer is not None:
        yield write("memory.oom_control", int(memory.disable_oom_killer), "disableOOMKiller")


def _v1_limits(memory: Memory, write: Writer) -> Iterator[Op]:
    limit, swap = memory.limit, memory.swap
    member = "swap"
    if not host.exists(f"{write.group.hierarchy.path}/{MEMSW}"):
        if swap is not None and swap != UNLIMITED:
            write.refuse("swap", "this kernel does not account swap (swapaccount=1)")
        else:
            swap = None
    elif limit == UNLIMITED and swap is None:
        # The kernel takes no limit above that of memory and swap together, so that has to go too.
        swap, member = UNLIMITED, "limit"
    writes = []
    if limit is not None:
        writes.append(write("memory.limit_in_bytes", limit, "limit"))
    if swap is not None:
        writes.append(write(MEMSW, swap, member))
        # Memory alone is never allowed more than both together: in between neither.
        before = write.number(MEMSW)
        if before is not None and (swap == UNLIMITED or swap > before):
            writes.reverse()
    yield from writes


def _v2(memory: Memory, write: Writer) -> Iterator[Op]:
    _refuse_v1_only(memory, write)
    _check_usage(memory, write)
    limit = memory.limit
    if memory.swap is not None and limit is None:
        limit = _present_limit(write)
    swap = v2_swap(limit, memory.swap)
    if swap is not None:
        # Without swap in the kernel none of it can be used either.
        missing = swap == "max" or not host.exists("/proc/swaps")
        flags = NEED_NOT_BE if missing else 0
        member = "limit" if memory.swap is None else "swap"
        yield write("memory.swap.max", swap, member, flags=flags)
    if memory.limit is not None:
        yield write("memory.max", v2_number(memory.limit), "limit")
    if memory.reservation is not None:
        yield write("memory.low", v2_number(memory.reservation), "reservation")


def _refuse_v1_only(memory: Memory, write: Writer) -> None:
    for member, value in (("kernel", memory.kernel), ("kernelTCP", memory.kernel_tcp)):
        if value is not None and value != UNLIMITED:
            write.refuse(member, "cgroup v2 has no such limit")
    if memory.swappiness is not None:
        write.refuse("swappiness", "cgroup v2 has no swappiness")
    if memory.disable_oom_killer:
        write.refuse("disableOOMKiller", "cgroup v2 cannot do without the OOM killer")
    if memory.use_hierarchy is False:
        write.refuse("useHierarchy", "cgroup v2 always accounts for child cgroups too")


def _check_usage(memory: Memory, write: Writer) -> None:
    # v1 refuses a limit below what is in use, v2 starts killing.
    limit = memory.limit
    if memory.check_before_update and limit is not None and limit != UNLIMITED:
        usage = write.number("memory.current")
        if usage is not None and usage > limit:
            write.refuse("limit", f"{limit} is less than the {usage} bytes in use")


def _present_limit(write: Writer) -> int | None:
    text = write.group.read("memory.max")
    return UNLIMITED if text == "max" else int(text) if text else None


def v2_number(value: int) -> str:
    """Return a size as v2 writes it."""
    return "max" if value == UNLIMITED else str(value)


def v2_swap(limit: int | None, swap: int | None) -> str | None:
    """Return ``memory.swap.max``, of swap alone, for limits of memory and of both together.

    ``None`` leaves it as it is; raises ``ConfigError`` where it cannot be told.
    """
    if swap is None:
        # On v1 unlimited memory is unlimited swap too.
        return "max" if limit == UNLIMITED else None
    if UNLIMITED in (swap, limit):
        return v2_number(swap)
    if limit is None:
        raise ConfigError(
            f"{POINTER}/swap", "is memory and swap together: without limit swap alone is not known"
        )
    if swap < limit:
        raise ConfigError(f"{POINTER}/swap", f"{swap} is less than the limit of memory, {limit}")
    return str(swap - limit)


def kernel_release() -> tuple[int, int]:
    """Return the kernel's version."""
    major, minor = re.findall(r"\d+", host.release())[:2]
    return int(major), int(minor)
