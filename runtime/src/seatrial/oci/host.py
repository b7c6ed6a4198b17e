"""What this host would refuse: the one place where the compiler objects to a config that is right.

A config can be wrong, on every host: that is a ``ConfigError`` where it is found.  Or it can be
right and ask for what this host has not: a security module, a controller, a program, a folder.
The compiler then calls ``refuse``.  For a container that is to be created this raises, before
anything is touched; for a reader, within ``objections``, it is noted, and compiling goes on with
what would be done on a host that has it.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING

from seatrial.oci.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator

_noted: ContextVar[list[HostError] | None] = ContextVar("noted", default=None)


def refuse(pointer: str, why: str) -> None:
    """Object to a member of the config: raises ``HostError``, or notes it for a reader."""
    error = HostError(pointer, why)
    noted = _noted.get()
    if noted is None:
        raise error
    if str(error) not in map(str, noted):
        noted.append(error)


@contextlib.contextmanager
def objections() -> Iterator[list[HostError]]:
    """Collect what would be refused, in the order in which create would come to it."""
    noted: list[HostError] = []
    token = _noted.set(noted)
    try:
        yield noted
    finally:
        _noted.reset(token)
