"""config.md, "Linux Process": ``selinuxLabel``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness

#: What the kernel shows of the label (selinux(8)); it ends with a NUL.
CURRENT = "/proc/self/attr/current"


def other_label() -> str:
    """Return our own label with the lowest level alone, which is valid in any policy.

    It is our own where the policy has no levels, or we have this one.
    """
    own = Path(CURRENT).read_text(encoding="utf-8").strip("\0\n")
    user, role, kind, *level = own.split(":", 3)
    return ":".join([user, role, kind, *(["s0"] if level else [])])


@requirement("config.process.selinux-label.applied")
def test_the_label_is_that_of_the_program(harness: Harness) -> None:
    label = other_label()
    config = harness.config("read", CURRENT)
    config["process"]["selinuxLabel"] = label
    with harness.container(config) as container:
        if container.create().failed or container.start().failed:
            # What of it we may take, and by executing which file, is the policy's to say.
            harness.note("a label of our own type is refused")
            return
        assert container.read_line()["content"].strip("\0\n") == label
