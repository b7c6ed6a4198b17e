"""Scheduling policies as the kernel knows them, and whether it grants them to a process here.

A policy that the kernel refuses cannot be had by any runtime, so these are needs of tests: a
SCHED_DEADLINE process is subject to admission control, and a kernel with RT_GROUP_SCHED gives a
new cgroup of version 1 no time for real-time processes (sched(7); cgroup-v1's sched-rt-group.txt).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import subprocess
import time
from typing import TYPE_CHECKING

from seatrial.conformance import cgroups
from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.cgroups import PARENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Numbers of linux/sched.h, by the names of the spec.
POLICIES = {
    "SCHED_OTHER": 0,
    "SCHED_FIFO": 1,
    "SCHED_RR": 2,
    "SCHED_BATCH": 3,
    "SCHED_ISO": 4,
    "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}
#: Bits of linux/sched.h, by the names of the spec.
FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01,
    "SCHED_FLAG_RECLAIM": 0x02,
    "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08,
    "SCHED_FLAG_KEEP_PARAMS": 0x10,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}

#: Of a second's microseconds, what real-time processes get: all runs, one run, one container.
_SHARES_US = (400_000, 100_000, 50_000)
_PATIENCE_S = 5.0

_SCHED_SETATTR = {"x86_64": 314, "i686": 351, "aarch64": 274, "riscv64": 274}
_SCHED_SETATTR |= {"armv7l": 380, "ppc64le": 355, "s390x": 345, "loongarch64": 274}
_libc = ctypes.CDLL(None, use_errno=True)


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime_ns", ctypes.c_uint64),
        ("deadline_ns", ctypes.c_uint64),
        ("period_ns", ctypes.c_uint64),
    )


def refusal_of_deadline() -> str:
    """Try SCHED_DEADLINE on a child of ours: why the kernel refuses it, empty if it does not."""
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None:
        return f"no number for sched_setattr(2) on {platform.machine()}"

    def take(pid: int) -> None:
        it = _Attributes(policy=POLICIES["SCHED_DEADLINE"])
        it.size = ctypes.sizeof(it)
        it.runtime_ns, it.deadline_ns, it.period_ns = 1_000_000, 10_000_000, 10_000_000
        if _libc.syscall(number, pid, ctypes.byref(it), 0) != 0:
            raise OSError(ctypes.get_errno(), "sched_setattr")

    return _refusal(take)


def refusal_of_real_time() -> str:
    """Try SCHED_FIFO on a child in a new cgroup: why the kernel refuses it, empty if not."""
    path = f"/{PARENT}/need-{os.getpid()}"

    def take(pid: int) -> None:
        folders = _cpu_cgroups(path)
        if folders:
            (folders[-1] / "cgroup.procs").write_text(str(pid), encoding="ascii")
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(1))

    try:
        with real_time_cgroup(path):
            return _refusal(take)
    except OSError as error:
        return f"{error.filename or path}: {_name(error)}"


def _refusal(take: Callable[[int], None]) -> str:
    with subprocess.Popen([probe_binary(), "pause"], stdout=subprocess.DEVNULL) as child:
        try:
            take(child.pid)
        except OSError as error:
            return _name(error)
        finally:
            child.kill()
    return ""


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "?")


@contextlib.contextmanager
def real_time_cgroup(path: str) -> Iterator[None]:
    """Make the cgroup ``path`` and give it time for real-time processes, where there is a need to.

    At the end what was made is removed unless it is busy.  Raises ``OSError`` where the host has
    no time to give.
    """
    made: list[Path] = []
    try:
        for folder, share_us in zip(_cpu_cgroups(path), _SHARES_US, strict=False):
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                made.append(folder)
            _enable(folder.parent / "cgroup.subtree_control")
            _give(folder / "cpu.rt_runtime_us", share_us)
        yield
    finally:
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _cpu_cgroups(path: str) -> list[Path]:
    """Return the folders on the way to the cgroup ``path``, in the hierarchy with cpu if any."""
    for each in cgroups.hierarchies():
        if "cpu" in each.controllers:
            steps = path.strip("/").split("/")
            return [each.path.joinpath(*steps[:depth]) for depth in range(1, len(steps) + 1)]
    return []


def _enable(control: Path) -> None:
    # In version 2 a process is only in its cgroup's scheduling group where the controller is on.
    if control.exists():
        with contextlib.suppress(OSError):
            control.write_text("+cpu", encoding="ascii")


def _give(file: Path, share_us: int) -> None:
    if not file.exists() or int(file.read_text(encoding="ascii")) >= share_us:
        return
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            file.write_text(str(share_us), encoding="ascii")
        except OSError as error:
            # A removed cgroup keeps its share until the kernel has freed it, and tells no one.
            if error.errno != errno.EINVAL or time.monotonic() > deadline:
                raise OSError(error.errno, error.strerror, str(file)) from None
            os.sched_yield()
        else:
            return
