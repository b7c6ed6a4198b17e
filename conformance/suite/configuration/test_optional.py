"""config.md, "Configuration": what is OPTIONAL may be left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.config import PROBE, without
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.documents import OPTIONAL, Path, large

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness


def running(harness: Harness, config: Config) -> None:
    """Create, start and delete a container, each without an error."""
    with harness.stopped(config) as container:
        assert container.exit_status == 0
        assert container.delete().ok


@requirement("config.document.optional-omissible")
def test_a_config_may_have_nothing_but_what_is_required(harness: Harness) -> None:
    config = {
        "ociVersion": harness.config()["ociVersion"],
        "root": {"path": "rootfs"},
        "process": {"cwd": "/", "args": [PROBE, "exit", "0"], "user": {"uid": 0, "gid": 0}},
        # A container without a mount namespace of its own has the harness's.
        "linux": {"namespaces": [{"type": "mount"}]},
    }
    running(harness, config)


@requirement("config.document.optional-omissible")
@pytest.mark.parametrize("path", OPTIONAL, ids=lambda path: "/".join(map(str, path)))
def test_an_optional_member_may_be_left_out(harness: Harness, path: Path) -> None:
    running(harness, without(large(harness.config("exit", "0")), *path))


@requirement("config.document.optional-omissible")
@settings(max_examples=15)
@given(paths=st.sets(st.sampled_from(OPTIONAL), min_size=2))
def test_any_optional_members_may_be_left_out_together(harness: Harness, paths: set[Path]) -> None:
    config = large(harness.config("exit", "0"))
    # Those deeper down first, as others may take them along.
    for path in sorted(paths, key=lambda path: (-len(path), str(path))):
        config = without(config, *path)
    running(harness, config)
