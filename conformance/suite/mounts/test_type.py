"""config.md, "POSIX-platform Mounts": type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.config import mount, with_mounts
from seatrial.conformance.facts import filesystems
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness


@requirement("config.mounts.type.selects-filesystem", "config.mounts.parameters-as-mount2")
@pytest.mark.parametrize("kind", ["tmpfs", "ramfs", "proc", "sysfs", "mqueue", "devpts"])
def test_a_mount_is_of_the_type_that_is_named(harness: Harness, kind: str) -> None:
    place = "/sys" if kind == "sysfs" else "/proc" if kind == "proc" else "/m"
    config = harness.config()
    config["linux"]["namespaces"].append({"type": "network"})
    report = harness.run(with_mounts(config, mount(place, source=kind, kind=kind)))
    assert report.mount(place).fstype == kind


@requirement("config.mounts.type.unknown-errors")
@settings(max_examples=10)
@given(kind=st.text(st.characters(codec="ascii", categories=("Ll", "Nd")), min_size=3, max_size=12))
def test_a_type_that_the_kernel_does_not_know_is_an_error(harness: Harness, kind: str) -> None:
    kind = f"no{kind}"
    assert kind not in filesystems()
    config = with_mounts(harness.config("exit", "0"), mount("/m", kind=kind))
    assert harness.attempt(config).failed
