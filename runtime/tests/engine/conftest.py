"""The engine in a room of its own, with docker's client: `make engine-packages` installs that."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from daemons import image
from daemons.room import PATH, Room
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
    layer = tmp_path_factory.mktemp("image") / "layer.tar"
    image.write_layer(layer)
    with Room(tmp_path_factory.mktemp("seatriald")) as room:
        yield Seatriald(room, _REFERENCE, layer)


@pytest.fixture(scope="session")
def spare(tmp_path_factory: pytest.TempPathFactory, engine: Seatriald) -> Iterator[Seatriald]:
    """Return another engine, for tests that spoil one: it is no other test's."""
    folder = tmp_path_factory.mktemp("spare")
    layer = folder / "layer.tar"
    image.write_layer(layer)
    with Room(folder) as room:
        yield Seatriald(room, engine.runtime, layer)
