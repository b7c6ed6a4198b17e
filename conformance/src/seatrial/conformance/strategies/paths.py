"""Files and folders below the root, some chosen for ``maskedPaths`` or ``readonlyPaths``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from seatrial.conformance.strategies.process import file_names

if TYPE_CHECKING:
    from pathlib import Path

_TOP = "/seatrial"


@dataclass(frozen=True)
class Tree:
    """Paths of files and of folders, each in a folder that comes before it."""

    files: tuple[str, ...]
    folders: tuple[str, ...]
    chosen: list[str]

    @property
    def all(self) -> tuple[str, ...]:
        """All paths."""
        return (*self.folders, *self.files)

    def is_chosen(self, path: str) -> bool:
        """Return whether a path or a folder that it is in was chosen."""
        return any(path == each or path.startswith(f"{each}/") for each in self.chosen)

    def make(self, root: Path) -> None:
        """Make all of it below a root filesystem; no folder is empty."""
        for folder in self.folders:
            (root / folder.lstrip("/")).mkdir(parents=True)
            (root / folder.lstrip("/") / _PLACEHOLDER).touch()
        for file in self.files:
            (root / file.lstrip("/")).write_text("text")

    def looks(self) -> list[str]:
        """Return the acts that read each path in turn."""
        acts = [["list", path] for path in self.folders] + [["read", path] for path in self.files]
        return _joined(acts)

    def changes(self) -> list[str]:
        """Return the acts that change each path in turn, and can be repeated."""
        acts = [["write", f"{path}/{_PLACEHOLDER}", "new"] for path in self.folders]
        return _joined(acts + [["write", path, "new"] for path in self.files])


_PLACEHOLDER = "placeholder"


def _joined(acts: list[list[str]]) -> list[str]:
    return [word for act in acts for word in (*act, "+")][:-1]


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """A few folders and files with any names, of which some are chosen, in any order."""
    names = draw(
        st.lists(
            file_names().filter(lambda name: name not in {_PLACEHOLDER, "+"}),
            min_size=2,
            max_size=8,
            unique=True,
        )
    )
    folders: list[str] = [_TOP]
    files: list[str] = []
    for name in names:
        path = f"{draw(st.sampled_from(folders))}/{name}"
        (folders if draw(st.booleans()) else files).append(path)
    chosen = draw(st.lists(st.sampled_from([*folders[1:], *files]), min_size=1, unique=True))
    return Tree(tuple(files), tuple(folders), chosen)


def relative_paths() -> st.SearchStrategy[str]:
    """Paths of folders that are not absolute."""
    names = st.text(st.characters(codec="ascii", categories=("Ll", "Nd")), min_size=1, max_size=8)
    plain = st.lists(names, min_size=1, max_size=3).map("/".join)
    return plain | plain.map(lambda path: f"./{path}")
