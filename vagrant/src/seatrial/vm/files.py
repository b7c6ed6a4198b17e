"""What is brought into a guest: this tree as a wheel, and the locked wheels that it needs."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from seatrial.vm.errors import VmError

if TYPE_CHECKING:
    from pathlib import Path

#: What only developers need stays here: it is much, and a guest has a slow disk.
_LEFT_OUT = (
    "clang-format", "grimp", "greenlet", "import-linter", "mypy", "playwright", "pre-commit",
    "ruff", "virtualenv",
)  # fmt: skip
#: The Python of Debian's releases, by which wheels with compiled code are chosen.
PYTHON = {"bookworm": "3.11", "trixie": "3.13"}


def gather(root: Path, suite: str) -> Path:
    """Fill ``build/vm/files/wheels`` for guests of Debian ``suite``; return the folder.

    Raises:
        VmError: the wheel cannot be built, or wheels cannot be had.
    """
    wheels = root / "build" / "vm" / "files" / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    for old in wheels.glob("seatrial-*.whl"):
        old.unlink()
    _run(root, sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels))
    needed = wheels.parent / f"needed-{suite}.txt"
    needed.write_text(without_tools((root / "requirements.lock").read_text("utf-8")), "utf-8")
    # What is there already is not asked for again: no network is needed the second time.
    _run(
        root, sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
        "--no-deps", "--require-hashes", "--only-binary=:all:", "--python-version", PYTHON[suite],
        "--find-links", str(wheels), "--requirement", str(needed), "--dest", str(wheels),
    )  # fmt: skip
    return wheels


def without_tools(lock: str) -> str:
    """Return the lock without what is left out: entries begin at the line's start."""
    kept, wanted = [], True
    for line in lock.splitlines(keepends=True):
        if line[:1].isalnum():
            wanted = line.split("=")[0].strip() not in _LEFT_OUT
        if wanted:
            kept.append(line)
    return "".join(kept)


def _run(root: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [*done.stdout.splitlines(), *done.stderr.splitlines()] or ["it did not say why"]
        raise VmError(f"{' '.join(command[1:4])} failed: {lines[-1]}")
