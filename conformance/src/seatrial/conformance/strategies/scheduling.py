"""Values of ``process.scheduler``, ``process.ioPriority`` and ``process.execCPUAffinity``."""

from __future__ import annotations

import os
import string

from hypothesis import strategies as st

from seatrial.conformance.scheduling import FLAGS, POLICIES

#: Numbers of linux/ioprio.h, by the names of the spec.
IO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}

_MICROSECOND_NS = 1_000


# The scheduler


def nice_values() -> st.SearchStrategy[int]:
    """All nice values but 0, which could be taken for none."""
    return st.integers(-20, 19).filter(bool)


def lower_nice_values() -> st.SearchStrategy[int]:
    """Nice values that anybody may take."""
    return st.integers(1, 19)


def priorities() -> st.SearchStrategy[int]:
    """Static priorities of real-time policies (sched(7))."""
    return st.integers(1, 99)


@st.composite
def deadlines(draw: st.DrawFn) -> dict[str, int]:
    """Parameters of SCHED_DEADLINE in nanoseconds: runtime ≤ deadline ≤ period (sched(7)).

    Enough of each period for the program to come to its end, and so little that the kernel admits
    it beside others.
    """
    period_us = draw(st.integers(10_000, 40_000))
    runtime_us = draw(st.integers(1_000, period_us // 10))
    deadline_us = draw(st.integers(runtime_us, period_us))
    return {
        "runtime": runtime_us * _MICROSECOND_NS,
        "deadline": deadline_us * _MICROSECOND_NS,
        "period": period_us * _MICROSECOND_NS,
    }


def unknown_policies() -> st.SearchStrategy[str]:
    """Names that look like those of policies and are none."""
    return _words().map(lambda word: f"SCHED_{word}").filter(lambda name: name not in POLICIES)


def unknown_flags() -> st.SearchStrategy[str]:
    """Names that look like those of scheduling flags and are none."""
    return _words().map(lambda word: f"SCHED_FLAG_{word}").filter(lambda name: name not in FLAGS)


# I/O priorities


def io_levels() -> st.SearchStrategy[int]:
    """Levels within a class of I/O priority."""
    return st.integers(0, 7)


def wrong_io_levels() -> st.SearchStrategy[int]:
    """Levels outside the range, among them those that would change other bits of ioprio_set(2)."""
    return st.one_of(st.integers(8, 2**16), st.integers(-(2**16), -1))


def unknown_io_classes() -> st.SearchStrategy[str]:
    """Names that look like those of I/O classes and are none."""
    names = _words().map(lambda word: f"IOPRIO_CLASS_{word}")
    return names.filter(lambda name: name not in IO_CLASSES)


# Lists of CPUs


def cpu_sets() -> st.SearchStrategy[set[int]]:
    """Some of the CPUs that the harness may run on."""
    return st.sets(st.sampled_from(sorted(os.sched_getaffinity(0))), min_size=1)


@st.composite
def cpu_lists(draw: st.DrawFn, cpus: set[int]) -> str:
    """Return one way to write a set of CPUs: with ranges or without, in any order."""
    words: list[str] = []
    rest = sorted(cpus)
    while rest:
        run = next(
            (length for length in range(len(rest), 0, -1) if rest[length - 1] - rest[0] < length), 1
        )
        taken = draw(st.integers(1, run))
        first, last = rest[0], rest[taken - 1]
        words.append(str(first) if first == last else f"{first}-{last}")
        rest = rest[taken:]
    return ",".join(draw(st.permutations(words)))


def wrong_cpu_lists() -> st.SearchStrategy[str]:
    """Text that is no list of CPUs."""
    return st.sampled_from(["a", "a-b", "0-", "-1", "0;1", "0x0", "0-a", "0 1", "1-0"])


def absent_cpu() -> int:
    """Return the number of a CPU that this machine does not have."""
    return max(os.cpu_count() or 1, *os.sched_getaffinity(0)) + 500


def _words() -> st.SearchStrategy[str]:
    return st.text(string.ascii_uppercase, min_size=3, max_size=12)
