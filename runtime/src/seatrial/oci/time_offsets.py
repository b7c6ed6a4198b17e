"""Offsets of the clocks in a new time namespace (config-linux.md, "Offset for Time Namespace")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.oci.errors import ConfigError
from seatrial.oci.operations import Kind, Op, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Config

CLOCKS = ("monotonic", "boottime")


def check(config: Config) -> None:
    """Refuse offsets of unknown clocks, and offsets that no new namespace could take."""
    offsets = config.linux.time_offsets
    if not offsets:
        return
    paths = [each.path for each in config.linux.namespaces if each.type == "time"]
    if not paths:
        raise ConfigError("/linux/timeOffsets", "offsets without a time namespace")
    if paths[0] is not None:
        raise ConfigError(
            "/linux/timeOffsets", f"the clocks of {paths[0]} are set already: it exists"
        )
    for clock, offset in offsets.items():
        pointer = "/linux/timeOffsets/" + clock.replace("~", "~0").replace("/", "~1")
        if clock not in CLOCKS:
            raise ConfigError(pointer, f"unknown clock {clock!r}: {' and '.join(CLOCKS)} are known")
        if offset.nanosecs >= 10**9:
            raise ConfigError(f"{pointer}/nanosecs", "a second has only 10^9 nanoseconds")


def compile(config: Config) -> Iterator[Op]:  # noqa: A001 - the compiler's verb
    """Yield what makes, sets up and enters the namespace; without offsets clone makes it."""
    offsets = config.linux.time_offsets
    if not offsets:
        return
    shown = ", ".join(
        f"{clock} {offset.secs + offset.nanosecs / 10**9:+g} s" for clock, offset in offsets.items()
    )
    yield Op(
        Kind.TIME_NAMESPACE,
        Stage.MOUNT,
        f"make and enter a time namespace: {shown}",
        "/linux/timeOffsets",
        text="".join(
            f"{clock} {offset.secs} {offset.nanosecs}\n" for clock, offset in offsets.items()
        ),
    )
