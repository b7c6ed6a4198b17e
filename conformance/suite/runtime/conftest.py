"""The stages of a container's life that the operations bring about, as fixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness


@pytest.fixture(params=["created", "running", "stopped"])
def stage(request: pytest.FixtureRequest) -> str:
    """Each stage in turn, by the value of ``status`` that names it."""
    return cast("str", request.param)


@pytest.fixture
def staged(harness: Harness, stage: str) -> Iterator[Container]:
    """A container at the stage."""
    with getattr(harness, stage)() as container:
        yield container
