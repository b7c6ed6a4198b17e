"""The seccomp agent: who is told of the listener, and what.

config-linux.md, "The Container Process State".
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import msgspec

from seatrial.oci.errors import OCIError, reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from seatrial.oci.config import Config


NOTIFY = "SCMP_ACT_NOTIFY"


class Listener(msgspec.Struct, frozen=True):
    """What start has to know of ``linux.seccomp``."""

    path: str
    metadata: str = ""


def of(config: Config) -> Listener | None:
    """Return the listener of a config whose filter notifies; ``None`` for any other."""
    found = config.linux.seccomp
    if found is None or NOTIFY not in {found.default_action, *(c.action for c in found.syscalls)}:
        return None
    return Listener(found.listener_path, found.listener_metadata)


@contextlib.contextmanager
def reach(
    listener: Listener | None, state: dict[str, Any], pid: int
) -> Iterator[tuple[()] | tuple[int, int, bytes]]:
    """Connect to the agent, for one container process state; raises ``OCIError``.

    Yields what ``_core.start`` needs besides its connection: nothing where there is no listener.
    """
    if listener is None:
        yield ()
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
        try:
            agent.connect(listener.path)
        except OSError as error:
            raise OCIError(
                f"cannot connect to {listener.path}: {reason(error.errno)} "
                "(config.json#/linux/seccomp/listenerPath)"
            ) from None
        yield pid, agent.fileno(), process_state(listener, state, pid)


def process_state(listener: Listener, state: dict[str, Any], pid: int) -> bytes:
    """Return the JSON that goes with the descriptor."""
    found = {"ociVersion": state["ociVersion"], "fds": ["seccompFd"], "pid": pid}
    if listener.metadata:
        found["metadata"] = listener.metadata
    import json  # only here: a filter that notifies is rare

    return json.dumps({**found, "state": state}).encode()
