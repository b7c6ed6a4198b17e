"""Layers laid out as folders, which containers share, by the digest of their plain archive."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import IO, TYPE_CHECKING

from seatrial.engine.compression import Hashing, plain
from seatrial.engine.errors import BadRequest
from seatrial.engine.extraction import Extractor, remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterable


class Layers:
    """The folder of them all."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        os.makedirs(folder, mode=0o700, exist_ok=True)
        for name in os.listdir(folder):
            if name.startswith("new-"):  # of a daemon that was killed
                remove_tree(None, f"{folder}/{name}")

    def path(self, diff_id: str) -> str:
        """Return where a layer's files are."""
        return f"{self._folder}/{diff_id.removeprefix('sha256:')}"

    def has(self, diff_id: str) -> bool:
        """Whether a layer is laid out."""
        return os.path.isdir(self.path(diff_id))

    def add(self, archive: IO[bytes], expected: str | None = None) -> tuple[str, int]:
        """Lay out a layer from its archive; return its digest and the size of its files.

        What has another digest than was said leaves nothing: it appears under its name when all of
        it is there and right.
        """
        made = tempfile.mkdtemp(prefix="new-", dir=self._folder)
        os.chmod(made, 0o755)  # noqa: S103 - it may become a container's /
        try:
            reader = Hashing(plain(archive))
            with Extractor(made) as extractor:
                extractor.apply(reader)
                size = extractor.size_bytes
            reader.drain()
            if expected is not None and reader.digest != expected:
                raise BadRequest(
                    f"a layer has the digest {reader.digest}, not {expected} as was said"
                )
            with contextlib.suppress(OSError):  # somebody else was faster
                os.rename(made, self.path(reader.digest))
        finally:
            with contextlib.suppress(FileNotFoundError):
                remove_tree(None, made)
        return reader.digest, size

    def diff_ids(self) -> set[str]:
        """Return what there is, and what is half there."""
        return {f"sha256:{name}" for name in os.listdir(self._folder)}

    def keep_only(self, diff_ids: Iterable[str]) -> int:
        """Remove every layer but these; return how many that were."""
        wanted = {diff_id.removeprefix("sha256:") for diff_id in diff_ids}
        unwanted = [name for name in os.listdir(self._folder) if name not in wanted]
        for name in unwanted:
            if not name.startswith("new-"):
                remove_tree(None, f"{self._folder}/{name}")
        return len(unwanted)
