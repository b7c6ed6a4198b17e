"""config.md, "Linux mount options": tmpcopyup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.conformance.config import mount, with_mounts
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness


@requirement("config.mounts.option.tmpcopyup")
def test_tmpcopyup_fills_a_tmpfs_with_what_it_hides(harness: Harness) -> None:
    act = ("read", "/m/in/file", "+", "readlink", "/m/link", "+", "stat", "/m/in/file")
    config = with_mounts(
        harness.config(*act, "+", "write", "/m/in/file", "new"), mount("/m", "tmpcopyup")
    )
    with harness.bundle(config) as bundle:
        place = bundle.rootfs / "m"
        (place / "in").mkdir(parents=True)
        (place / "in" / "file").write_text("text")
        (place / "in" / "file").chmod(0o640)
        (place / "link").symlink_to("in/file")
        with harness.container(config, bundle=bundle) as container:
            if container.create().failed:
                harness.note("tmpcopyup is refused")
                return
            assert container.start().ok
            file, link, status, _ = container.lines()
            assert file.get("content") == "text"
            assert link.get("target") == "in/file"
            assert status["mode"] == 0o640
        assert (place / "in" / "file").read_text() == "text"
