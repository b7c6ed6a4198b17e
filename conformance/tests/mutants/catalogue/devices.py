"""Mutants for devices and links in /dev: config-linux.md and runtime-linux.md."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from conformance.tests.mutants.mutation import (
    COMPILING,
    altered,
    around,
    edited,
    objects,
    of,
    plan,
    replacing,
    verb,
    without,
)

from seatrial.oci import compiler, rootfs
from seatrial.oci.operations import Kind

LINKS = ("fd", "stdin", "stdout", "stderr")
DEFAULTS = ("null", "zero", "full", "random", "urandom", "tty")
MODE, DEVICE, UID, GID = range(4)

for name in LINKS:
    plan(
        f"links-no-{name}",
        f"makes no link /dev/{name}",
        f"runtime-linux.dev-symlinks.{name}",
        change=without(of(Kind.SYMLINK, path=f"/dev/{name}")),
    )


def _other(**numbers: Any) -> Any:
    """Return what changes the numbers of an operation, by their names."""

    def change(op: Any) -> tuple[int, ...]:
        found = list(op.numbers)
        for name, value in numbers.items():
            place = {"mode": MODE, "device": DEVICE, "uid": UID, "gid": GID}[name]
            found[place] = value(found[place])
        return tuple(found)

    return change


for name, other in zip(DEFAULTS, (*DEFAULTS[1:], DEFAULTS[0]), strict=True):
    numbers = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8),
               "urandom": (1, 9), "tty": (5, 0)}[other]  # fmt: skip
    plan(
        f"{name}-is-{other}",
        f"makes the device {other} at /dev/{name}",
        f"linux.default-devices.{name}",
        change=altered(
            of(Kind.DEVICE, path=f"/dev/{name}"),
            numbers=_other(device=lambda _, numbers=numbers: os.makedev(*numbers)),
        ),
    )
plan(
    "binds-no-console",
    "does not bind the terminal at /dev/console",
    "linux.default-devices.console",
    change=without(of(Kind.CONSOLE_MOUNT)),
)
plan(
    "makes-a-ptmx-of-its-own",
    "links /dev/ptmx to another device",
    "linux.default-devices.ptmx",
    change=altered(of(Kind.SYMLINK, path="/dev/ptmx"), text="null"),
)

# Configured ones

CONFIGURED = of(Kind.DEVICE, Kind.NODE, at="/linux/devices")
plan(
    "makes-no-devices",
    "makes none of linux.devices",
    "linux.devices.available",
    "linux.devices.path-anywhere",
    "linux.devices.type-u-is-char",
    "linux.devices.fifo",
    "linux.devices.file-mode-applied",
    "linux.devices.owner-applied",
    change=without(CONFIGURED),
)
for name, says, row, change in (
    ("minor", "takes the next minor number", "available", _other(device=lambda each: each ^ 1)),
    ("mode", "takes the opposite permission for others", "file-mode-applied",
     _other(mode=lambda each: each ^ 1)),
    ("uid", "gives a device to the next user", "owner-applied", _other(uid=lambda each: each ^ 1)),
    ("gid", "gives a device to the next group", "owner-applied", _other(gid=lambda each: each ^ 1)),
):  # fmt: skip
    plan(f"devices-of-another-{name}", says, f"linux.devices.{row}",
         change=altered(CONFIGURED, numbers=change))  # fmt: skip
replacing(
    "type-u-is-block",
    "/linux/devices/*/type",
    lambda value: "b" if value == "u" else value,
    "linux.devices.type-u-is-char",
)


def _typed(document: Any) -> None:
    for each in objects(document, "/linux/devices/*"):
        if each.get("type") not in {"c", "b", "u", "p"}:
            each["type"] = "c"


edited(
    "any-type-is-char",
    "makes a character device of every type that it does not know",
    "linux.devices.type-present",
    edit=_typed,
)


@verb(
    "replaces-what-is-at-the-path-of-a-device",
    "removes what is at the path of a device and is not it",
    "linux.devices.mismatch-errors",
    verbs=COMPILING,
)
def _() -> None:
    def compile_plan(right: Any, config: Any, *, bundle: str, **options: Any) -> Any:
        for device in config.linux.devices:
            there = Path(rootfs.path(config, bundle) + device.path)
            if there.is_dir():
                shutil.rmtree(there)
            else:
                there.unlink(missing_ok=True)
        return right(config, bundle=bundle, **options)

    around(compiler, "compile_plan", compile_plan)
