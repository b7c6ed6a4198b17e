"""The seccomp agent of a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seatrial.conformance.agents import Agent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from seatrial.conformance.harness import Harness


@pytest.fixture
def agent(harness: Harness, tmp_path: Path) -> Iterator[Agent]:
    """An agent that listens."""
    with Agent(tmp_path, timeout_s=harness.runtime.timeout_s) as listening:
        yield listening
