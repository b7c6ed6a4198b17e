"""The execution domain (config-linux.md, "Personality")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.oci.errors import ConfigError
from seatrial.oci.operations import Kind, Op, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Config

#: personality(2).
DOMAINS = {"LINUX": 0x0000, "LINUX32": 0x0008}


def compile(config: Config) -> Iterator[Op]:  # noqa: A001 - the compiler's verb
    """Yield the change of domain; raises ``ConfigError`` for any flag, as the spec has none."""
    personality = config.linux.personality
    if personality is None:
        return
    pointer = "/linux/personality"
    if personality.domain not in DOMAINS:
        raise ConfigError(f"{pointer}/domain", f"unknown domain {personality.domain!r}")
    for number, name in enumerate(personality.flags):
        raise ConfigError(f"{pointer}/flags/{number}", f"unknown flag {name!r}: there is none yet")
    yield Op(
        Kind.PERSONALITY,
        Stage.START,
        f"execute programs as for {personality.domain}",
        f"{pointer}/domain",
        numbers=(DOMAINS[personality.domain],),
    )
