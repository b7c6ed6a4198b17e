"""Where the harness's data is: in the checkout, or in the installed package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_ROOM = Path(__file__).parents[3]


def data_directory(name: str) -> Path:
    """Return the folder ``name`` (requirements, runtimes, expectations, suite)."""
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _ROOM / name


def schema_file(name: str) -> Path:
    """Return a JSON Schema: of a format of ours (``results/schema``) or one the suite judges by."""
    for folder in (_PACKAGE / "schema", _ROOM.parent / "results" / "schema"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(name)
