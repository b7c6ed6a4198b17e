"""The guests: one folder of ``vagrant/`` each, whose ``guest.json`` the Vagrantfile reads too."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from seatrial.vm.errors import VmError

#: The one that is meant where none is named.
DEFAULT = "cgroup2"


@dataclass(frozen=True)
class Guest:
    """One guest, as its folder describes it."""

    name: str
    about: str
    suite: str  # Debian's release
    cgroup_mode: str  # v1, v2 or hybrid, as the suite's results call it
    public_box: str
    command_line: str  # what the kernel is given


def checkout(start: Path | None = None) -> Path:
    """Return the checkout that ``start``, or the working directory, is in.

    Raises:
        VmError: there is none; guests are described by files of the checkout.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "Vagrantfile").is_file() and (folder / "vagrant").is_dir():
            return folder
    raise VmError(
        f"no Vagrantfile of Seatrial's in {here} or above",
        hint="guests are part of the source tree: run this in a clone of it",
    )


def every(root: Path) -> dict[str, Guest]:
    """Return all guests of the checkout ``root`` by name.

    Raises:
        VmError: a description cannot be read.
    """
    found = {}
    for file in sorted(root.glob("vagrant/*/guest.json")):
        try:
            found[file.parent.name] = Guest(file.parent.name, **json.loads(file.read_text("utf-8")))
        except (ValueError, TypeError) as error:
            raise VmError(f"cannot read {file}: {error}") from None
    return found


def named(root: Path, names: list[str]) -> list[Guest]:
    """Return the guests ``names``, or the default one.

    Raises:
        VmError: there is no guest of that name.
    """
    known = every(root)
    for name in names:
        if name not in known:
            raise VmError(f"there is no guest {name}", hint=f"guests: {', '.join(known)}")
    return [known[name] for name in names or [DEFAULT]]
