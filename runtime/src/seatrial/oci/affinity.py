"""CPUs on which a further process of the container runs (config.md, "execCPUAffinity").

Nothing of it is about the container's first process: what is here is checked at create, and used by
exec.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.oci.errors import ConfigError
from seatrial.oci.operations import Kind, Op, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Process

#: More than any kernel is built for (CONFIG_NR_CPUS is 8192 at most; nodes are fewer).
_MOST = 8192
BASE = "/process/execCPUAffinity"


def parse_list(text: str, pointer: str) -> list[int]:
    """Return the numbers of a list such as ``0-3,7`` (cpuset(7), "List format")."""
    found: set[int] = set()
    for part in text.strip().split(","):
        first, dash, last = part.strip().partition("-")
        digits = (first, last) if dash else (first,)
        if not all(each.isascii() and each.isdigit() for each in digits):
            raise ConfigError(pointer, f"{part!r} is neither a number nor a range of a-b")
        low, high = int(first), int(last or first)
        if low > high:
            raise ConfigError(pointer, f"the range {part} ends before it starts")
        if high >= _MOST:
            raise ConfigError(pointer, f"{high} is beyond any kernel's last, {_MOST - 1}")
        found.update(range(low, high + 1))
    return sorted(found)


def mask(numbers: list[int]) -> bytes:
    """Return a bit mask in whole words, as sched_setaffinity(2) and set_mempolicy(2) take it."""
    bits = sum(1 << number for number in numbers)
    words = bits.bit_length() // 64 + 1
    return bits.to_bytes(words * 8, "little")


def check(process: Process) -> None:
    """Refuse lists that are none."""
    affinity = process.exec_cpu_affinity
    if affinity is None:
        return
    for member in ("initial", "final"):
        text = getattr(affinity, member)
        if text:
            parse_list(text, f"{BASE}/{member}")


def initial(process: Process, stage: Stage = Stage.JOIN) -> Iterator[Op]:
    """Yield what an exec does before it enters the container's cgroup."""
    affinity = process.exec_cpu_affinity
    if affinity is not None and affinity.initial:
        yield _run_on(affinity.initial, stage, f"{BASE}/initial")


def final(process: Process, stage: Stage = Stage.START) -> Iterator[Op]:
    """Yield what an exec does once it is in the container's cgroup."""
    affinity = process.exec_cpu_affinity
    if affinity is not None and affinity.final:
        yield _run_on(affinity.final, stage, f"{BASE}/final")


def _run_on(text: str, stage: Stage, pointer: str) -> Op:
    cpus = parse_list(text, pointer)
    return Op(Kind.AFFINITY, stage, f"run on CPUs {text}", pointer, blob=mask(cpus))
