"""Whether create and run would make use of the plan that is kept for a bundle, and if not, why not.

The launcher decides that by itself and says nothing (runtime/csrc/launcher/kept.c); this asks the
same, in the same order, for people.
"""

from __future__ import annotations

import itertools
import os
import re
import struct
from typing import TYPE_CHECKING

from seatrial.oci import _core, host, kept

if TYPE_CHECKING:
    from collections.abc import Iterator

_FACT = struct.Struct("<2Ii2I")
#: What a question was about, by its kind.
_QUESTIONS = {
    host.Ask.READ: "what {} says",
    host.Ask.ACCESS: "whether {} is there, or may be used",
    host.Ask.STAT: "what {} is",
    host.Ask.MOUNTS: "what is mounted at {}",
    host.Ask.REAL: "where {} leads",
    host.Ask.ENVIRON: "the variable {}",
    host.Ask.RELEASE: "the kernel's release{}",
    host.Ask.ABOVE: "whether {} can be made",
}


def why_not(root: str, bundle: str, content: bytes, identifier: str) -> str | None:
    """Return why no kept plan would be used for a container of this id; ``None``: one would be.

    ``content`` is the bundle's config.json.
    """
    if kept.is_off():
        return f"{kept.SWITCH} is off"
    if not os.path.isabs(root):
        return "the state root is not given by its whole path"
    folder = kept.folder_of(root)
    path = os.path.join(folder, kept.name_of(bundle, new_keyring=True))
    try:
        if not kept.is_ours(os.stat(folder, follow_symlinks=False)):
            return f"{folder} is not ours alone"
        with open(path, "rb") as file:
            sections = kept.sections_of(file.read(kept.MOST_BYTES))
    except FileNotFoundError:
        return "there is none"
    except (OSError, ValueError, struct.error) as error:
        return f"{path}: {error}"
    build, *place, _, _, caller, config, _, facts, _ = sections
    same = (
        (build, _core.build().encode(), "it is of another build of this runtime"),
        (place, [os.fsencode(root), os.fsencode(bundle)], "it is for another bundle or state root"),
        (caller, _core.caller(), "our ids or capabilities were others"),
        (config, content, "config.json was another"),
    )
    differing = (why for was, now, why in same if was != now)
    return next(itertools.chain(differing, _changed(facts, identifier)), None)


def _changed(facts: bytes, identifier: str) -> Iterator[str]:
    """Yield what the host answers otherwise now."""
    at = 0
    while at < len(facts):
        kind, flags, number, name, answer = _FACT.unpack_from(facts, at)
        at += _FACT.size
        said = _text(facts[at : at + name - 1], os.fsencode(identifier))
        at += (name + 3) & ~3
        before = number, facts[at : at + answer]
        at += (answer + 3) & ~3
        try:
            now = 0, _core.ask(kind, flags, said)
        except OSError as error:
            now = error.errno or 0, b""
        if now != before:
            yield _QUESTIONS[host.Ask(kind)].format(os.fsdecode(said)) + " has changed"


def _text(template: bytes, identifier: bytes) -> bytes:
    """Return what ``plan.template_of`` was given, for one container."""
    return re.sub(
        rb"\x02(.)|\x01",
        lambda found: identifier if found[1] is None else found[1],
        template,
        flags=re.DOTALL,
    )
