"""Fixtures of the tests of kept plans."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from keeping import PROGRAM, Bundle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "program"
    command = ["cc", "-static", "-x", "c", "-", "-o", str(path)]
    subprocess.run(command, input=PROGRAM, text=True, check=True)
    return path


@pytest.fixture
def bundle(tmp_path: Path, program: Path) -> Iterator[Bundle]:
    found = Bundle(tmp_path, program)
    yield found
    found.clean()
