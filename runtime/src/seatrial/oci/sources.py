"""What containers are made of: a bundle's config, and the plan that it is compiled to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from seatrial.oci import log, remembered
from seatrial.oci.errors import OCIError, reason

if TYPE_CHECKING:
    from seatrial.oci.compiler import Compiled
    from seatrial.oci.config import Config


class Source(msgspec.Struct):
    """A bundle's config and what it was compiled to, for any container of the bundle."""

    bundle: str
    root: str
    content: bytes
    config: Config
    compiled: Compiled


def prepare(
    identifier: str,
    *,
    bundle: str,
    root: str,
    console: bool | None = None,
    systemd: bool = False,
    new_keyring: bool = True,
) -> Source:
    """Compile a bundle's config for a container, unless it is remembered; raises ``OCIError``.

    With ``console`` it is looked at whether there is a console socket where one is needed.
    """
    bundle = os.path.realpath(bundle)
    content = read_config(bundle)
    way = remembered.Way(bundle, root, systemd, new_keyring)
    source = remembered.find(way, content, identifier)
    if source is None:
        source = _compile(way, content, identifier, console=console)
        remembered.add(way, source)
    else:
        _check_console(source.config, console=console)
        for warning in source.compiled.warnings:
            log.warn(warning)
    return source


def _compile(
    way: remembered.Way, content: bytes, identifier: str, *, console: bool | None
) -> Source:
    # Nothing else needs the config's types and the compiler of each of its sections.
    from seatrial.oci import compiler, config

    spec = config.decode(content)
    _check_console(spec, console=console)
    compiled = compiler.compile_for(
        spec,
        bundle=way.bundle,
        identifier=identifier,
        root=way.root,
        systemd=way.systemd,
        new_keyring=way.new_keyring,
    )
    return Source(way.bundle, way.root, content, spec, compiled)


def _check_console(spec: Config, *, console: bool | None) -> None:
    terminal = spec.process is not None and spec.process.terminal
    if console is not None and terminal != console:
        raise OCIError(
            "process.terminal is set, so a console socket is needed"
            if terminal
            else "a console socket is given, but process.terminal is not set"
        )


def read_config(bundle: str) -> bytes:
    """Read a bundle's ``config.json``; raises ``OCIError``."""
    path = os.path.join(bundle, "config.json")
    try:
        with open(path, "rb", buffering=0) as file:
            return file.readall()
    except OSError as error:
        raise OCIError(f"cannot read {path}: {reason(error.errno)}") from None
