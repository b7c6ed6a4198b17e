"""Plans that this process remembers: a further container of a bundle is not compiled again.

It is as with plans that are kept in files (``kept``): one is used where the config's bytes are the
same, we are the same, and the host gives the same answers to all that the compiler asked it; the
same C code asks again (runtime/csrc/facts).  What a file has to say besides, by which build it was
made and since which boot it holds, is the same for as long as the process lives.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from seatrial.oci import _core, kept

if TYPE_CHECKING:
    from seatrial.oci.sources import Source


class Way(NamedTuple):
    """What is compiled, and how; the bundle's path has no links in it."""

    bundle: str
    root: str
    systemd: bool
    new_keyring: bool


class _Remembered(NamedTuple):
    source: Source
    caller: bytes
    facts: bytes


_all: dict[Way, _Remembered] = {}


def find(way: Way, content: bytes, identifier: str) -> Source | None:
    """Return what was compiled before and would be compiled now; ``None`` if that is not known."""
    found = _all.get(way)
    if (
        found is not None
        and not kept.is_off()
        and found.source.content == content
        and found.caller == _core.caller()
        and _core.facts_hold(found.facts, identifier.encode())
    ):
        return found.source
    return None


def add(way: Way, source: Source) -> None:
    """Remember what was just compiled, unless only Python could ask the host that again."""
    asked = source.compiled.asked
    if kept.is_off() or asked.beyond or not os.path.isabs(way.root):
        return
    _all.pop(way, None)
    _all[way] = _Remembered(source, _core.caller(), kept.packed(asked.answers))
    # By a copy, as other threads remember too.
    for oldest in list(_all)[: -kept.MOST_SLOTS]:
        _all.pop(oldest, None)
