"""config-linux.md, "Mount Label"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.conformance.config import mount, with_mounts
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness

_LABEL = "system_u:object_r:svirt_sandbox_file_t:s0:c715,c811"


@requirement("linux.mount-label.applied")
def test_a_new_filesystem_has_the_label(harness: Harness) -> None:
    config = with_mounts(harness.config(), mount("/m"))
    config["linux"]["mountLabel"] = _LABEL
    # The label has a comma of its own, which is why mountinfo shows it in quotes.
    shown = ",".join(sorted(harness.run(config).mount("/m").filesystem_options))
    assert "context=" in shown
    assert "svirt_sandbox_file_t" in shown
