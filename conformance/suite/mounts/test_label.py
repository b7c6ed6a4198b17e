"""config-linux.md, "Mount Label"."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seatrial.conformance.config import mount, with_mounts
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness


def label_of_a_file() -> str:
    """Return the label of the root folder: one that the policy has for files, and no alias."""
    return os.getxattr("/", "security.selinux").decode().strip("\0")


@requirement("linux.mount-label.applied")
def test_a_new_filesystem_has_the_label(harness: Harness) -> None:
    config = with_mounts(harness.config(), mount("/m"))
    config["linux"]["mountLabel"] = label = label_of_a_file()
    with harness.container(config) as container:
        if container.create().failed or container.start().failed:
            # Whether we may label a filesystem so is the policy's to say.
            harness.note("a label of a file is refused")
            return
        assert f"context={label}" in container.report().mount("/m").filesystem_options
