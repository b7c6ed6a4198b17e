"""runtime-linux.md, "File descriptors"."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance import consoles
from seatrial.conformance.marks import needs, requirement

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness

_STANDARD = [0, 1, 2]


@requirement("runtime-linux.fds.only-std-open")
@given(numbers=st.sets(st.integers(100, 250), max_size=6))
@settings(max_examples=15)
def test_a_program_has_the_three_standard_descriptors_and_no_others(
    harness: Harness, numbers: set[int]
) -> None:
    """Whatever else the caller of create has open and hands down."""
    descriptors = []
    try:
        for number in sorted(numbers):
            with open(os.devnull) as file:
                descriptors.append(fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, number))
        with harness.container(harness.config()) as container:
            assert container.create(pass_fds=tuple(descriptors)).ok
            assert container.start().ok
            assert [each["fd"] for each in container.report()["fds"]] == _STANDARD
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


@requirement("runtime-linux.fds.only-std-open")
@needs("pty")
def test_a_program_with_a_terminal_has_no_others_either(harness: Harness) -> None:
    config = harness.config()
    config["process"]["terminal"] = True
    config["mounts"].append(consoles.DEVPTS)
    assert [each["fd"] for each in consoles.run(harness, config)["fds"]] == _STANDARD
