"""The outcome of the mutants, by requirement: whether its tests can fail."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.conformance.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_FORMAT = 2


@dataclass(frozen=True)
class Mutation:
    """One mutant that breaks a requirement: what it does wrong, and what the tests said."""

    name: str
    says: str
    outcome: str


def read(path: Path) -> Mapping[str, Sequence[Mutation]]:
    """Read what ``make mutants`` wrote; raises ``UsageError`` where it is something else."""
    try:
        document = json.loads(path.read_bytes())
        if document["format"] != _FORMAT:
            raise UsageError(f"mutants {path}: format {document['format']!r}, not {_FORMAT}")
        found: dict[str, list[Mutation]] = {}
        for trial in document["trials"]:
            for row, outcome in trial["rows"].items():
                mutation = Mutation(trial["mutant"], trial["says"], outcome)
                found.setdefault(row, []).append(mutation)
    except OSError as error:
        raise UsageError(f"cannot read mutants {path}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise UsageError(f"mutants {path}: not what `make mutants` writes") from None
    return found
