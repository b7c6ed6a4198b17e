"""The journal of trials: a line for each as it ends, so that a run that was cut short can go on.

A trial is taken from the journal as long as nothing that it was made of is another: the runtime,
the harness, the mutant's chapter of the catalogue, and the tests of its rows.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.tests.mutants.catalogue import MUTANTS
from conformance.tests.mutants.trial import ROOT, Trial, files_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.tests.mutants.mutation import Mutant

#: What every trial depends on.
SOURCES = (
    *("runtime/src", "runtime/csrc", "conformance/src", "conformance/csrc"),
    "conformance/requirements",
)
SUFFIXES = {".py", ".c", ".h", ".toml", ".json"}


class Journal:
    """A file of JSON Lines, of which the last one on a mutant counts."""

    def __init__(self, path: Path) -> None:
        """Read what is there, a last line that was cut off excepted."""
        self._path = path
        self._lines: dict[str, dict[str, Any]] = {}
        if not path.exists():
            return
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            self._lines[line["mutant"]] = line

    def find(self, mutant: Mutant) -> Trial | None:
        """Return the trial of a mutant if nothing has changed since."""
        line = self._lines.get(mutant.name)
        if line is None or line["sources"] != sources(mutant):
            return None
        return Trial(mutant, line["rows"], line["seconds"], line["evidence"])

    def add(self, trial: Trial) -> None:
        """Write a trial down."""
        line = {
            "mutant": trial.mutant.name,
            "rows": trial.rows,
            "evidence": trial.evidence,
            "seconds": round(trial.seconds, 1),
            "sources": sources(trial.mutant),
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def sources(mutant: Mutant) -> str:
    """Return a digest of all that a trial of the mutant is made of."""
    paths = [*_chapters(mutant.name), *(ROOT / file for file in files_of(mutant.rows))]
    said = json.dumps([mutant.says, mutant.rows, mutant.verbs])
    return _digest([said, _common(), *map(_content, sorted(paths))])


def _chapters(name: str) -> list[Path]:
    """Return the chapter of a mutant; all of them if its name is put together there."""
    if name not in MUTANTS:
        return []  # the runtime as it is
    chapters = sorted((Path(__file__).parent / "catalogue").glob("*.py"))
    own = [path for path in chapters if f'"{name}"' in path.read_text(encoding="utf-8")]
    return own or chapters


@functools.cache
def _common() -> str:
    own = Path(__file__).parent
    paths = [own / name for name in ("command.py", "mutation.py", "plugin.py", "trial.py")]
    for folder in SOURCES:
        paths += [path for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES]
    return _digest(map(_content, sorted(paths)))


@functools.cache
def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
