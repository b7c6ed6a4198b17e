"""The features document of the runtime under test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seatrial.conformance.agents import Agent
from seatrial.conformance.runtime import parse_object

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from seatrial.conformance.features import Document
    from seatrial.conformance.harness import Harness


@pytest.fixture
def features(harness: Harness) -> Document:
    """What the runtime says of itself."""
    result = harness.runtime.invoke("features")
    assert result.ok, result
    return parse_object(result)


@pytest.fixture
def agent_path(harness: Harness, tmp_path: Path) -> Iterator[str]:
    """The path of a seccomp agent that listens."""
    with Agent(tmp_path, timeout_s=harness.runtime.timeout_s) as agent:
        yield agent.path
