"""Contenders: the runtimes that are timed, each with its command line, version and build."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.perf.errors import UsageError
from seatrial.perf.stopwatch import ENVIRON, Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.perf.modes import Mode

#: Those that are looked for when none is named.
KNOWN = ("seatrial-oci", "crun", "runc", "youki", "runsc")
#: The same, for the suite of engines.
ENGINES = ("podman", "docker", "seatriald")
#: The contender that is nothing but the kernel's work.
FLOOR = "floor"
#: What the second of the A/A pair is called after.
AGAIN = "-again"

_TIMEOUT_S = 20


@dataclass(frozen=True)
class Dialect:
    """How one runtime's command line is not like runc's."""

    options: tuple[str, ...] = ()
    #: Whether the payload can be given descriptor 3; otherwise it writes to its stdout.
    preserves: bool = True
    #: Whether its CLOCK_MONOTONIC in a container is the host's.
    monotonic: bool = True
    #: What is added to its environment.
    environment: tuple[str, ...] = ()
    #: Whether it is an engine, which makes a container of an image, by a runtime below it.
    engine: bool = False


_DIALECTS = {
    "seatrial-oci": Dialect(environment=("SEATRIAL_OCI_CACHE=on",)),
    "runsc": Dialect(("--network=none", "--oci-seccomp"), preserves=False, monotonic=False),
    "podman": Dialect(preserves=False, engine=True),
    "docker": Dialect(preserves=False, engine=True),
    "seatriald": Dialect(preserves=False, engine=True),
}


@dataclass(frozen=True)
class Contender:
    """One runtime under one name; the two of the A/A pair differ in the name alone."""

    name: str
    path: str
    version: str
    sha256: str
    dialect: Dialect = field(default=Dialect(), compare=False)
    editable: bool = False
    #: What it says of itself, and the hash of the Python that it starts, if it does.
    about: str = ""
    package_sha256: str = ""
    mode: Mode | None = None

    @property
    def is_floor(self) -> bool:
        """Whether it is the kernel's floor."""
        return self.name == FLOOR

    @property
    def is_engine(self) -> bool:
        """Whether it is an engine."""
        return self.dialect.engine

    @property
    def is_again(self) -> bool:
        """Whether it is the second of the A/A pair."""
        return self.name.endswith(AGAIN)

    def is_of(self, other: Contender) -> bool:
        """Whether it is the other one, its second in the A/A pair, or that in a mode."""
        return self.path == other.path

    @property
    def runtime(self) -> str:
        """The name without the mark of the A/A pair."""
        return self.name.removesuffix(AGAIN)

    @property
    def has_modes(self) -> bool:
        """Whether it is the reference runtime, which can be timed in several modes."""
        return (
            bool(self.package_sha256)
            and not self.is_engine
            and self.mode is None
            and not self.is_again
        )

    @property
    def python(self) -> str:
        """The Python that it starts, which has its API too."""
        return os.path.join(os.path.dirname(self.path), "python3")

    @property
    def descriptor(self) -> int:
        """Where the payload writes to in this runtime's containers."""
        return 3 if self.dialect.preserves else 1

    def step(self, verb: str, root: str, *words: str, flags: str = "") -> Step:
        """Return one verb of it as a step."""
        if "p" in flags and not self.dialect.preserves:
            flags += "o"
        command = (self.path, "--root", root, *self.dialect.options, verb, *words)
        return Step(verb, (*self.environment, *command), flags)

    @property
    def environment(self) -> tuple[str, ...]:
        """What is added to its environment: its mode's, or else its own."""
        mode = self.mode.environment if self.mode else ()
        return mode or self.dialect.environment

    def preserving(self) -> tuple[str, ...]:
        """Return the words by which the payload's descriptor is passed on."""
        return ("--preserve-fds", "1") if self.dialect.preserves else ()

    def again(self) -> Contender:
        """Return the same under the name for the second of the A/A pair."""
        return replace(self, name=self.name + AGAIN)

    def within(self, mode: Mode) -> Contender:
        """Return the same in a mode, under a name of its own."""
        return replace(self, name=f"{self.name}-{mode.name}", mode=mode)

    def as_dict(self) -> dict[str, object]:
        """Return what results say about it."""
        return {
            "program": os.path.basename(self.path),
            "version": self.version,
            "sha256": self.sha256,
            "editable": self.editable,
            "about": self.about,
            **({"package_sha256": self.package_sha256} if self.package_sha256 else {}),
            **({"mode": self.mode.about} if self.mode else {}),
            **({"environment": list(self.environment)} if self.environment else {}),
        }


class MissingError(Exception):
    """A contender cannot take part; the text is the reason."""


def find(word: str) -> Contender:
    """Return the contender for a known name or a path; raises ``MissingError`` with the reason."""
    names = (*KNOWN, *ENGINES)
    if "/" not in word and word not in names:
        raise UsageError(
            f"there is no runtime named {word!r}",
            hint=f"known names are {', '.join(names)}; or give a path such as ./{word or 'crun'}",
        )
    # Beside this Python too, where make puts the reference runtime.
    path = shutil.which(word, path=ENVIRON["PATH"]) or shutil.which(
        word, path=os.path.dirname(sys.executable)
    )
    if "/" in word:
        path = os.path.abspath(word)
        if not os.path.isfile(path):
            raise UsageError(f"runtime {word} does not exist")
        if not os.access(path, os.X_OK):
            raise UsageError(f"runtime {word} is not executable", hint=f"chmod +x {word}")
    if path is None:
        raise MissingError("not on this machine")
    name = os.path.basename(path)
    about = _about(path)
    said = re.search(r"version:?\s+(?:release-)?(\S+)", about)
    known = next((each for each in names if name.startswith(each)), "")
    return Contender(
        name=name,
        path=path,
        version=said[1].rstrip(",") if said else "unknown",
        sha256=sha256(path),
        dialect=_DIALECTS.get(known, Dialect()),
        editable=_editable(Path(path)),
        about=about,
        package_sha256=_package(Path(path)),
    )


def distinct(found: Iterable[Contender]) -> list[Contender]:
    """Return contenders each once, with names that tell them apart: ``crun``, ``crun#2``."""
    seen: dict[str, Contender] = {}
    counts: dict[str, int] = {}
    for each in found:
        real = os.path.realpath(each.path)
        if real in seen:
            continue
        number = counts[each.name] = counts.get(each.name, 0) + 1
        seen[real] = each if number == 1 else replace(each, name=f"{each.name}#{number}")
    return list(seen.values())


def sha256(path: str) -> str:
    """Return the hash of a file; raises ``MissingError`` where it cannot be read."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise MissingError(f"cannot read {path}: {error.strerror}") from None


def _package(path: Path) -> str:
    """Return the hash of our own Python; empty for what is not ours."""
    if not path.name.startswith("seatrial"):
        return ""
    digest = hashlib.sha256()
    for folder in path.parent.parent.glob("lib/python3*/site-packages/seatrial"):
        ours = (file for part in ("oci", "engine") for file in (folder / part).rglob("*"))
        for file in sorted(file for file in ours if file.suffix in {".py", ".so"}):
            digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _about(path: str) -> str:
    try:
        done = subprocess.run(
            [path, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            env=ENVIRON,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MissingError(f"{path} --version does not come back") from None
    except OSError as error:
        raise MissingError(f"cannot execute {path}: {error.strerror}") from None
    if done.returncode != 0:
        raise MissingError(f"{path} --version: exit status {done.returncode}")
    return done.stdout.strip()


def _editable(path: Path) -> bool:
    """Whether it stands in a Python environment that has Seatrial as an editable install."""
    for file in path.parent.parent.glob(
        "lib/python3*/site-packages/seatrial-*.dist-info/direct_url.json"
    ):
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if told.get("dir_info", {}).get("editable"):
            return path.name.startswith("seatrial")
    return False
