"""The results folder: environment.json and skipped.json beside the samples and pyperf's files."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

from seatrial.perf.errors import RunError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = "environment.json"
SKIPPED = "skipped.json"
FORMAT = 1


def make(folder: Path) -> None:
    """Make the folder of a new run; raises ``UsageError`` where there is something in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(
                f"{folder} is not empty", hint="another --output DIR, or --resume DIR to go on"
            )
    except OSError as error:
        raise UsageError(f"cannot make {folder}: {error.strerror}") from None


def write(folder: Path, name: str, document: object) -> None:
    """Write a document, as a whole or not at all; raises ``RunError``."""
    fresh = folder / f".{name}.{os.getpid()}"
    try:
        fresh.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        fresh.replace(folder / name)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise RunError(
            f"cannot write {folder / name}: {error.strerror}",
            hint="what was measured before is kept; make room, then go on with --resume",
        ) from None


def read(folder: Path, name: str = ENVIRONMENT) -> Any:  # noqa: ANN401 - what JSON holds
    """Return a document of a results folder; raises ``UsageError``."""
    path = folder / name
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise UsageError(f"{path} is not JSON") from None
