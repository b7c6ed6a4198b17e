"""config.md, "Root": readonly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

#: Everything by which a program could change a file system, on files of the bundle's.
CHANGES = [
    ["write", "/new", "text"],
    ["write", "/file", "text"],
    ["append", "/file", "text"],
    ["mkdir", "/folder"],
    ["unlink", "/file"],
    ["symlink", "/file", "/link"],
    ["chown", "/file", "0", "0"],
    ["mknod", "/fifo", "p", "0", "0"],
]


def changing(harness: Harness, *change: str, readonly: bool | None) -> Config:
    """Return a config whose program looks at its root and then tries to make a change there."""
    config = harness.config("statvfs", "/", "+", *change)
    if readonly is not None:
        config["root"]["readonly"] = readonly
    return config


@requirement("config.root.readonly-true")
@pytest.mark.parametrize("change", CHANGES, ids=" ".join)
def test_a_readonly_root_cannot_be_changed(harness: Harness, change: list[str]) -> None:
    config = changing(harness, *change, readonly=True)
    with harness.bundle(config) as bundle:
        (bundle.rootfs / "file").touch()
        with harness.created(config, bundle=bundle) as container:
            assert container.start().ok
            container.read_line()  # the flag of statvfs(3), which not every kernel gives
            assert container.read_line().get("errno") == "EROFS"


@requirement("config.root.readonly-default-false")
@pytest.mark.parametrize("readonly", [None, False], ids=["unset", "false"])
@pytest.mark.parametrize("change", CHANGES, ids=" ".join)
def test_a_root_that_is_not_readonly_can_be_changed(
    harness: Harness, change: list[str], *, readonly: bool | None
) -> None:
    config = changing(harness, *change, readonly=readonly)
    with harness.bundle(config) as bundle:
        (bundle.rootfs / "file").touch()
        with harness.created(config, bundle=bundle) as container:
            assert container.start().ok
            assert not container.read_line()["read_only"]
            assert container.read_line()["ok"]


@requirement("config.root.readonly-default-false")
def test_what_is_written_is_in_the_bundles_root_filesystem(harness: Harness) -> None:
    config = changing(harness, "write", "/new", "text", readonly=None)
    with harness.bundle(config) as bundle:
        with harness.stopped(config, bundle=bundle):
            pass
        assert (bundle.rootfs / "new").read_text() == "text"
