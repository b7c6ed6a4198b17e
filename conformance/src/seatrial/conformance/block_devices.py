"""Block devices for a test: loop devices that nobody else has."""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.conformance.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Iterator

# linux/loop.h
_LOOP_CTL_ADD = 0x4C80
_LOOP_CTL_REMOVE = 0x4C81


@dataclass(frozen=True)
class Device:
    """A block device by its numbers."""

    major: int
    minor: int

    def __str__(self) -> str:
        """Name it as cgroup files do."""
        return f"{self.major}:{self.minor}"


@contextlib.contextmanager
def spare(*, scheduler: str | None = None) -> Iterator[Device]:
    """Have a new loop device with no file behind it, with an I/O scheduler of one's choice."""
    try:
        control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise HarnessError(f"/dev/loop-control: {error.strerror}") from None
    try:
        number = fcntl.ioctl(control, _LOOP_CTL_ADD, -1)
        try:
            folder = Path(f"/sys/block/loop{number}")
            if scheduler:
                (folder / "queue" / "scheduler").write_text(scheduler)
            major, _, minor = (folder / "dev").read_text().strip().partition(":")
            yield Device(int(major), int(minor))
        finally:
            fcntl.ioctl(control, _LOOP_CTL_REMOVE, number)
    except OSError as error:
        raise HarnessError(f"cannot have a loop device: {error}") from None
    finally:
        os.close(control)
