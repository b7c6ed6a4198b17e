"""Namespaces that are there before a container, as files for its config to name."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.errors import HarnessError
from seatrial.conformance.namespaces import TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def prepared(*kinds: str, ids: str = "0 0 65536") -> Iterator[dict[str, str]]:
    """Give a path to a new namespace of each type, which lives as long as the context.

    All but ``pid``, whose namespace lives no longer than its init.  ``ids`` is the mapping of a
    user namespace, which the others then belong to.
    """
    descriptors = _open(kinds, ids)
    try:
        yield {kind: f"/proc/{os.getpid()}/fd/{fd}" for kind, fd in descriptors.items()}
    finally:
        for descriptor in descriptors.values():
            os.close(descriptor)


def _open(kinds: tuple[str, ...], ids: str) -> dict[str, int]:
    """Return descriptors of namespaces; the process that made them is gone then."""
    flags = 0
    for kind in kinds:
        flags |= TYPES[kind][1]
    with subprocess.Popen(
        [probe_binary(), "unshare", str(flags), "+", "pause"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as maker:
        try:
            said = maker.stdout.readline() if maker.stdout else b""
            if b'"ok":true' not in said:
                raise HarnessError(f"cannot make namespaces ({', '.join(kinds)}): {said!r}")
            links = Path(f"/proc/{maker.pid}/ns")
            if "user" in kinds:
                for file in ("uid_map", "gid_map"):
                    (links.parent / file).write_text(ids)
            opened = {}
            for kind in kinds:
                # Who unshares a time namespace is not in it; its children would be.
                name = "time_for_children" if kind == "time" else TYPES[kind][0]
                opened[kind] = os.open(links / name, os.O_RDONLY | os.O_CLOEXEC)
            return opened
        finally:
            maker.kill()
