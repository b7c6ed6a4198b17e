"""A container's root filesystem: its image's layers, and a folder of its own above (overlayfs)."""

from __future__ import annotations

import os
from contextlib import suppress

from seatrial.engine import kernel
from seatrial.engine.extraction import remove_tree

#: mount(2) takes a page of options.
_LONGEST = 4000


class Snapshot:
    """The folders of one container: ``upper`` has what it changed, ``rootfs`` is what it sees."""

    def __init__(self, folder: str, layers: list[str]) -> None:
        self.upper, self.root = f"{folder}/upper", f"{folder}/rootfs"
        self._work = f"{folder}/work"
        self._empty = f"{folder}/empty"
        #: From the topmost to the lowest, as overlayfs wants them.
        self._layers = list(reversed(layers)) or [self._empty]

    def make(self) -> None:
        """Make the folders."""
        for path in (self.upper, self._work, self.root, self._empty):
            os.makedirs(path, mode=0o755, exist_ok=True)

    @property
    def mounted(self) -> bool:
        """Whether the root filesystem is there to be seen."""
        return os.path.ismount(self.root)

    def mount(self) -> None:
        """Let the root filesystem be seen."""
        if self.mounted:
            return
        opened: list[int] = []
        try:
            lower = ":".join(self._layers)
            if len(lower) + 2 * len(self.upper) > _LONGEST:
                opened = [os.open(path, os.O_PATH | os.O_CLOEXEC) for path in self._layers]
                lower = ":".join(f"/proc/self/fd/{each}" for each in opened)
            options = f"lowerdir={lower},upperdir={self.upper},workdir={self._work}"
            kernel.mount("overlay", self.root, "overlay", 0, options)
        finally:
            for each in opened:
                os.close(each)

    def unmount(self) -> None:
        """Let it be seen no more."""
        with suppress(OSError):
            kernel.umount(self.root)

    def remove(self) -> None:
        """Remove the folders; the layers belong to the images."""
        self.unmount()
        for path in (self.upper, self._work, self.root, self._empty):
            with suppress(FileNotFoundError):
                remove_tree(None, path)
