"""What the probe saw from inside a container."""

from __future__ import annotations

import json
from typing import Any

from seatrial.conformance.errors import Ignored, Malformed, Misbehaved
from seatrial.conformance.facts import CAPABILITIES
from seatrial.conformance.namespaces import Mount

#: The version of the probe's report that this module reads.
FORMAT = 1


def raw(text: str) -> bytes:
    """Return the bytes that the probe printed one code point per byte."""
    return text.encode("latin-1")


class Report(dict[str, Any]):
    """The probe's report, as it was printed, with readings for what is asked most.

    ``line`` is the text that it was read from, ``asked`` the members that anybody looked at.
    """

    def __init__(self, document: dict[str, Any], line: str = "") -> None:
        """Take the members of ``document``."""
        super().__init__(document)
        self.line = line
        self.asked: dict[str, None] = {}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - what JSON holds
        """Return one member, and remember that it was asked for."""
        self.asked[name] = None
        return super().__getitem__(name)

    def of_kernel(self, name: str) -> Any:  # noqa: ANN401 - what JSON holds
        """Return a member that not every kernel has; raises ``Ignored`` where it is null.

        A container may have a kernel of its own: what the config says of it then has no effect.
        """
        value = self[name]
        if value is None:
            raise Ignored(f"the container's kernel has nothing of the kind: {name}")
        return value

    @property
    def argv(self) -> list[bytes]:
        """The program's arguments, byte for byte."""
        return [raw(word) for word in self["argv"]]

    @property
    def environ(self) -> list[bytes]:
        """The program's environment, byte for byte and in its order."""
        return [raw(entry) for entry in self["environ"]]

    @property
    def cwd(self) -> bytes:
        """The working directory."""
        return raw(self["cwd"])

    @property
    def mounts(self) -> list[Mount]:
        """What is mounted in the container; empty without /proc."""
        return [Mount.parse(line) for line in self["mountinfo"] or ()]

    def mount(self, target: str) -> Mount:
        """Return the mount on top at ``target``; raises ``Misbehaved`` if there is none."""
        found = [each for each in self.mounts if each.target == target]
        if not found:
            raise Misbehaved(f"nothing is mounted at {target} in the container")
        return found[-1]

    def capabilities(self, kind: str) -> set[str]:
        """Return the names in one capability set: effective, permitted, bounding, ..."""
        return {
            CAPABILITIES[number] if number < len(CAPABILITIES) else f"CAP_{number}"
            for number in self["capabilities"][kind] or ()  # null: the kernel has no such set
        }


def parse(line: str | bytes) -> Report:
    """Read one report; raises ``Malformed``."""
    document = parse_line(line)
    if document.get("probe") != FORMAT:
        raise Malformed(f"not a report of the probe: {line[:200]!r}")
    return Report(document, line if isinstance(line, str) else line.decode(errors="replace"))


def parse_line(line: str | bytes) -> dict[str, Any]:
    """Read one line that the probe printed for an act; raises ``Malformed``."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        raise Malformed(f"the program did not print what the probe prints: {line!r}") from None
    if not isinstance(document, dict):
        raise Malformed(f"the program did not print what the probe prints: {line!r}")
    return document
