"""The engine in a room of its own, with docker's client: `make engine-packages` installs that."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from daemons.room import PATH
from daemons.seatriald import Seatriald

if TYPE_CHECKING:
    from collections.abc import Iterator

_REFERENCE = str(Path(sys.executable).parent / "seatrial-oci")


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seatriald]:
    """Return the engine on the reference runtime, with an image made of busybox."""
    assert os.geteuid() == 0, "containers are made by root"
    for name in ("docker", "busybox"):
        assert shutil.which(name, path=PATH), f"no {name} (hint: make engine-packages)"
    with Seatriald.in_a_room(tmp_path_factory.mktemp("seatriald"), _REFERENCE) as begun:
        yield begun


@pytest.fixture(scope="session")
def spare(tmp_path_factory: pytest.TempPathFactory, engine: Seatriald) -> Iterator[Seatriald]:
    """Return another engine, for tests that spoil one: it is no other test's."""
    with Seatriald.in_a_room(tmp_path_factory.mktemp("spare"), engine.runtime) as begun:
        yield begun
