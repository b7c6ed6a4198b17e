"""The compiler: one config to one plan, section by section."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import msgspec

from seatrial.oci import (
    _core,
    cgroups,
    devices,
    filesystems,
    hooks,
    host,
    intel_rdt,
    log,
    mounts,
    namespaces,
    network_devices,
    paths,
    process,
    rootfs,
)
from seatrial.oci.operations import Kind, Op, Stage
from seatrial.oci.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Config


class Compiled(msgspec.Struct):
    """What was compiled, for any container, and what it takes to see whether it still holds.

    ``template`` is the plan in its binary form.
    """

    plan: Plan
    template: bytes
    asked: host.Asked
    warnings: list[str]
    new_keyring: bool
    #: The cgroup file by which a container is paused, or nothing.
    freezer: str

    def freezer_of(self, identifier: str) -> str:
        """Return the cgroup file by which this container is paused, or nothing."""
        return self.freezer.replace(host.ID, identifier)

    def bound(self, identifier: str) -> bytes:
        """Return the plan for one container, in its binary form."""
        return _core.bind(self.template, identifier.encode())


@contextlib.contextmanager
def _hearing(warnings: list[str]) -> Iterator[None]:
    log.hear(warnings)
    try:
        yield
    finally:
        log.hear(None)


def compile_for(
    config: Config, *, bundle: str, identifier: str, root: str, systemd: bool, new_keyring: bool
) -> Compiled:
    """Return the plan for any container of a bundle, of which ``identifier`` is one.

    Raises ``ConfigError`` as ``compile_plan`` does.
    """
    # systemd's messages have the id in them, with its length.
    name = identifier if systemd else host.ID
    warnings: list[str] = []
    with _hearing(warnings), host.asking(identifier) as asked:
        plan = compile_plan(
            config,
            bundle=bundle,
            identifier=name,
            place=f"{os.path.abspath(root)}/{name}@root",
            systemd=systemd,
            new_keyring=new_keyring,
        )
        template = plan.encode()
    if systemd:
        asked.beyond.append("the cgroups are made by way of systemd")
    freezer = next((op.extra for op in plan.ops if op.kind == Kind.ATTACH and op.extra), "")
    return Compiled(plan, template, asked, warnings, new_keyring, freezer)


def compile_plan(
    config: Config,
    *,
    bundle: str,
    identifier: str,
    place: str,
    systemd: bool = False,
    new_keyring: bool = True,
) -> Plan:
    """Return the plan for a container; raises ``ConfigError`` for what can be seen to be wrong.

    ``place`` is a folder for its root, to be made where it has no mount namespace.

    Looks at the host (hierarchies, capabilities, the root's existence) and changes nothing.
    """
    unit = None
    if systemd:
        from seatrial.oci import systemd as driver

        unit = driver.unit_of(config, identifier)
        config = driver.placed(config, unit)
    namespaces.check(config)
    program = config.process
    if program is not None:
        process.check(program)
    ops: list[Op] = []
    ops += cgroups.compile(config, identifier, unit=unit)
    ops += intel_rdt.compile(config, identifier)
    ops += namespaces.compile(config)
    if program is not None:
        ops += process.adopt(program, config)
    ops += network_devices.compile(config)
    ops += rootfs.compile(config, bundle, place)
    placed, late = mounts.compile(config, bundle, identifier)
    ops += placed
    ops += filesystems.compile(config)
    ops += devices.compile(config)
    ops += hooks.compile(config.hooks, Stage.CREATING)
    ops += hooks.compile(config.hooks, Stage.ENTER)
    if program is not None:
        ops += process.console(program)
        if program.terminal:
            ops.append(devices.console())
    ops += late
    # Before pivot_root: what masks a file is bound from the host's /dev/null.
    ops += paths.compile(config)
    ops += rootfs.close(config, bundle)
    ops += rootfs.enter(config)
    ops += paths.sysctl(config)
    ops += _names(config)
    if program is not None:
        ops += process.look(program, config)
    ops += hooks.compile(config.hooks, Stage.START)
    if program is not None:
        keyring = f"_ses.{identifier}" if new_keyring else None
        ops += process.compile(program, config, keyring=keyring)
    else:
        process.check_unused(config)
    ops += hooks.compile(config.hooks, Stage.STARTED)
    ops += rootfs.remove(config, place)
    ops += cgroups.remove(config, identifier, unit=unit)
    ops += hooks.compile(config.hooks, Stage.DELETED)
    # Stable: within a stage the order is the one above.
    ops.sort(key=lambda op: op.stage)
    return Plan(namespaces.new(config), ops)


def _names(config: Config) -> list[Op]:
    found = []
    if config.hostname:
        says = f"set the host name to {config.hostname}"
        found.append(Op(Kind.HOSTNAME, Stage.ENTER, says, "/hostname", text=config.hostname))
    if config.domainname:
        says = f"set the domain name to {config.domainname}"
        found.append(Op(Kind.DOMAINNAME, Stage.ENTER, says, "/domainname", text=config.domainname))
    return found
