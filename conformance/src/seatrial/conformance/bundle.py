"""Bundles: a folder with a ``config.json`` and a root filesystem that holds only the probe."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.conformance import config as configs
from seatrial.conformance import namespaces
from seatrial.conformance.config import PROBE
from seatrial.conformance.errors import UnfitError

if TYPE_CHECKING:
    from seatrial.conformance.config import Config

_numbers = itertools.count(1)


def probe_binary() -> Path:
    """Return the built probe; raises ``UnfitError`` where it was not built."""
    path = Path(__file__).parent / "bin" / "probe"
    if not path.is_file():
        raise UnfitError(f"the probe is not built: {path} is missing", hint="make setup")
    return path


class Bundle:
    """One bundle in the run's work folder.

    The log is a file that hooks and programs append lines to: ``log`` is its path on the host,
    ``LOG`` its path in the container, ``logged`` its lines when a test last read them.
    """

    LOG = "/seatrial.log"

    def __init__(self, parent: Path, config: Config | bytes) -> None:
        """Make the folder, the root filesystem and ``config.json``."""
        self.path = parent / f"bundle-{next(_numbers)}"
        self.rootfs = self.path / "rootfs"
        self.rootfs.mkdir(parents=True)
        for folder in ("proc", "dev", "tmp"):
            (self.rootfs / folder).mkdir()
        shutil.copy(probe_binary(), self.rootfs / PROBE.lstrip("/"))
        self.log = self.rootfs / self.LOG.lstrip("/")
        self.config = config
        self.logged: list[str] | None = None
        self.write_config(config)

    @property
    def config_file(self) -> Path:
        """The path of ``config.json``."""
        return self.path / "config.json"

    def rename(self, name: str) -> None:
        """Give the folder another name beside the one that it has."""
        self.path = self.path.rename(self.path.parent / name)
        self.rootfs = self.path / "rootfs"
        self.log = self.rootfs / self.LOG.lstrip("/")

    def write_config(self, config: Config | bytes) -> None:
        """Write ``config.json`` anew; bytes are written as they are."""
        self.config = config
        self.config_file.write_bytes(configs.dumps(config))

    def copy_probe(self, path: str) -> None:
        """Put another copy of the probe at ``path`` in the root filesystem."""
        target = self.rootfs / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(probe_binary(), target)

    def log_lines(self) -> list[str]:
        """Return the lines of the log, oldest first; none when nothing was logged."""
        try:
            lines = self.log.read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            lines = []
        self.logged = lines
        return lines

    def remove(self) -> None:
        """Remove the bundle and all in it, unless something is mounted there still.

        What a runtime left mounted may be a folder of the host's: the auditor finds it and takes
        it off, and what is below goes with the run's work folder.  A runtime may have taken the
        bundle away: that is for a test to say.
        """
        if any(Path(each.target).is_relative_to(self.path) for each in namespaces.mounts()):
            return
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.path, onerror=_make_removable)


def _make_removable(function: object, path: str, _error: object) -> None:
    os.chmod(os.path.dirname(path), 0o700)
    if callable(function):
        function(path)
