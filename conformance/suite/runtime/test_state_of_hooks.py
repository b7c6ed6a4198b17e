"""runtime.md, "State": the state as hooks are handed it (config.md, "POSIX-platform Hooks")."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.conformance.hooks import KINDS, Hook, hooked, live, records
from seatrial.conformance.marks import requirement
from seatrial.conformance.states import SEMVER, STATUSES, breaches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.conformance.config import Config
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness

_each_kind = pytest.mark.parametrize("kind", KINDS)


def _handed(harness: Harness, kind: str, config: Config | None = None) -> dict[str, Any]:
    """Return the state that a hook was handed in the life of a container."""
    with hooked(harness, {kind: [Hook("hook")]}, config=config) as container:
        live(container)
        return _state(container)


def _state(container: Container) -> dict[str, Any]:
    found = [record.state for record in records(container.bundle) if record.tag == "hook"]
    assert found, "the hook was not run"
    return found[0]
